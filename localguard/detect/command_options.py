"""Where the passwords stand in the commands that take one, as data: options, joined options, positions.

Long options whose name says what they hold (`--password`, `--token`) are no matter of the program and not listed:
`rules/assignments.toml` has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from localguard.detect.words import word_set


@dataclass(frozen=True, slots=True)
class Options:
    """How one family of programs takes its passwords.

    `first`: words of which the first argument must be one (empty: any). `spaced`: options whose next argument is the
    value. `joined`: options with the value right behind them. `pair`: options whose value is `user<mark>password`, with
    the mark. `place`: which argument that is no option holds it (-1 the last), if `needs` (an option or word) is there,
    or None. `least`: how many arguments that are no options there must be for that.
    """

    first: frozenset[str] = frozenset()
    spaced: frozenset[str] = frozenset()
    joined: tuple[str, ...] = ()
    pair: tuple[tuple[str, str], ...] = ()
    place: int | None = None
    needs: str = ""
    least: int = 0


def _family(names: str, *options: Options) -> dict[str, tuple[Options, ...]]:
    return dict.fromkeys(names.split(), options)


_LOGIN: Final = Options(first=word_set("login"), spaced=word_set("-p"))

PROGRAMS: Final[Mapping[str, tuple[Options, ...]]] = {
    **_family(
        "mysql mysqldump mysqlimport mysqlcheck mysqlsh mariadb mariadb-dump mariadb-admin mycli",
        Options(joined=("-p",)),
    ),
    **_family("mysqladmin", Options(joined=("-p",)), Options(place=-1, needs="password", least=2)),
    **_family("docker podman buildah nerdctl skopeo oras oc", _LOGIN),
    **_family("az", _LOGIN, Options(first=word_set("keyvault"), spaced=word_set("--value"))),
    **_family("helm", Options(first=word_set("registry"), spaced=word_set("-p"))),
    **_family(
        "mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat snowsql ncftpput ncftpget ncftp rdesktop "
        "evil-winrm psexec psexec64 psexec.exe cqlsh useradd usermod crackmapexec nxc netexec hydra couchbase-cli cbq "
        "tsql iscsiadm mssql-cli rabbitmqadmin",
        Options(spaced=word_set("-p -P")),
    ),
    **_family("sshpass", Options(spaced=word_set("-p"), joined=("-p",))),
    **_family(
        "zip unzip zipcloak sqlcmd ipmitool mosquitto_pub mosquitto_sub bcp isql fisql",
        Options(spaced=word_set("-P"), joined=("-P",)),
    ),
    **_family("7z 7za 7zr rar unrar", Options(joined=("-p", "-hp"))),
    **_family(
        "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn ldappasswd",
        Options(spaced=word_set("-w -s -a"), joined=()),
    ),
    **_family("redis-cli keydb-cli valkey-cli", Options(spaced=word_set("-a"))),
    **_family("smbclient winexe rpcclient smbget smbmap smbcacls", Options(pair=(("-U", "%"), ("--user", "%")))),
    **_family("lftp", Options(pair=(("-u", ","), ("--user", ",")))),
    **_family(
        "curl wget http https httpie xh wrk ab siege",
        Options(
            pair=(
                ("-u", ":"),
                ("--user", ":"),
                ("-U", ":"),
                ("--proxy-user", ":"),
                ("-a", ":"),
                ("--auth", ":"),
                ("-A", ":"),
                ("-P", ":"),
            ),
            spaced=word_set("--oauth2-bearer --proxy-pass --pass"),
        ),
    ),
    **_family(
        "openssl",
        Options(
            pair=(
                ("-pass", "pass:"),
                ("-passin", "pass:"),
                ("-passout", "pass:"),
                ("-password", "pass:"),
                ("-srppass", "pass:"),
            ),
            spaced=word_set("-k -K -macopt"),
        ),
        Options(first=word_set("passwd"), place=1, least=2),
    ),
    **_family("plink pscp psftp putty", Options(spaced=word_set("-pw"))),
    **_family("schtasks schtasks.exe", Options(spaced=word_set("/rp /RP /p /P"))),
    **_family("twine", Options(first=word_set("upload"), spaced=word_set("-p"))),
    **_family(
        "poetry composer",
        Options(first=word_set("config"), place=-1, needs="http-basic", least=4),
        Options(first=word_set("config"), place=-1, needs="pypi-token", least=3),
    ),
    **_family("cargo", Options(first=word_set("login"), place=1, least=2)),
    **_family("dotnet nuget", Options(first=word_set("nuget push"), spaced=word_set("-k"))),
    **_family("wmic winrs wmic.exe", Options(joined=("/password:", "-p:"))),
    **_family("keytool jarsigner", Options(spaced=word_set("-storepass -keypass -srcstorepass -deststorepass -new"))),
    **_family("ssh-keygen", Options(spaced=word_set("-N -P"))),
    **_family("snmpwalk snmpget snmpset snmpbulkwalk", Options(spaced=word_set("-c -A -X"))),
    **_family("security", Options(first=word_set("add-generic-password add-internet-password"), spaced=word_set("-w"))),
    **_family("netsh netsh.exe", Options(joined=("key=", "keyMaterial="))),
    **_family("xfreerdp wfreerdp xfreerdp3", Options(joined=("/p:",))),
    **_family("cmdkey cmdkey.exe", Options(joined=("/pass:",))),
    **_family("htpasswd", Options(place=-1, needs="-b", least=2)),
    **_family("mosquitto_passwd", Options(place=-1, needs="-b", least=3)),
    **_family("rabbitmqctl", Options(first=word_set("add_user change_password authenticate_user"), place=2, least=3)),
    **_family(
        "net net.exe",
        Options(first=word_set("user"), place=2, least=3),
        Options(first=word_set("use"), place=-1, needs="/user", least=3),
    ),
    **_family("vault", Options(first=word_set("login"), place=1, least=2)),
    **_family("bw", Options(first=word_set("unlock"), place=1, least=2)),
    **_family("nmcli", Options(spaced=word_set("password wifi-sec.psk 802-11-wireless-security.psk"))),
    **_family("wpa_passphrase", Options(place=-1, least=2)),
    **_family("npm yarn pnpm", Options(first=word_set("config set"), spaced=word_set("_authToken _password _auth"))),
    **_family("gh", Options(first=word_set("secret"), spaced=word_set("-b --body"))),
    **_family("redis-server valkey-server", Options(spaced=word_set("--requirepass --masterauth"))),
    **_family("sqlplus sqlldr expdp impdp rman", Options(place=0, needs="/", least=1)),
    **_family("kubectl", Options(first=word_set("create"), joined=("--from-literal=",))),
    **_family("aws", Options(first=word_set("configure"), place=3, needs="secret", least=4)),
    **_family("rclone", Options(first=word_set("obscure"), place=1, least=2)),
}

# Programs to which a password is piped or handed as a here-string.
PIPED: Final = (
    r"(?:chpasswd|(?:sudo\s+)?passwd\b|sudo\s+(?:-\w+\s+)*-\w*S|passwd\s+--stdin|cryptsetup|gpg\b[^|\n]*--passphrase-fd|smbpasswd|kinit|"
    r"vault\s+login|(?:docker|podman|helm\s+registry|oras|skopeo|crane)\s+login|[^|\n]*--(?:password|passphrase|token|with)-(?:stdin|token)\b|[^|\n]*\bsecrets?\s+(?:put|set|create)\b)"
)
