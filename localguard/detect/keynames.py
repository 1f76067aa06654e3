"""Which keys hold secrets, by the words of their names: of programs' settings, and of people in their own languages."""

import unicodedata
from functools import lru_cache
from typing import Final

from localguard.detect.words import word_set, words_of

# Words after the telling one that change nothing: `password_prod`, `api_key_2`, `token_value`, `SECRET_KEY_BASE`.
_NEUTRAL: Final = word_set(
    """
    0 1 2 3 4 5 6 7 8 9 prod production dev development stage staging test testing qa uat live sandbox local main master
    primary secondary tertiary old new current previous backup default value val raw plain plaintext clear cleartext text
    b64 base64 bytes encoded enc str string eu us asia global internal external override base data confirmation confirm repeat
    again
    """
)

# Without accents, in lower case (see `plain_word`).
PASSWORD_WORDS: Final = word_set(
    """
    password passwd passphrase passcode pass pwd pswd pw passw passwrd passwort kennwort zugangspasswort mdp motdepasse
    contrasena contrasenya contrasenia senha wachtwoord haslo losenord losen adgangskode kodeord passord salasana heslo
    parola parole sifre sifresi jelszo lozinka geslo slaptazodis parool psk requirepass authtok passin passout passwordhash
    пароль κωδικος 密码 密碼
    口令 パスワード 비밀번호
    """
)
_TOKEN: Final = frozenset(
    {"token", "bearer", "jwt", "authtoken", "accesstoken", "sessionid", "phpsessid", "jsessionid"}
)
_SECRET: Final = frozenset({"secret", "secrets", "credential", "credentials", "creds", "cred"})
_KEY_OWNERS: Final = word_set(
    """
    api access auth private secret sign signing encrypt encryption decrypt decryption crypto account shared master service
    client license licence subscription storage ssh jwt session webhook admin root hmac aes app application deploy publish
    publishing write instrumentation registration integration consumer csrf data datadog dd db database cipher security
    logged nonce server wep wpa wifi rsa dsa tls ssl functions host user developer project
    """
)
# Words that hold a secret only if what they hold was drawn at random: everything else is called so as well.
_WEAK: Final = word_set(
    """
    key keys auth pin salt seed nonce hash signature sig otp totp entropy cookie session sid cert code apitoken hmac
    digest login license licence webhook dsn authorization xauth community credential_id mnemonic
    """
)
# Lower-case compounds without a separator, longest first: `dbpassword`, `authtoken`, `clientsecret`, `rootpw`.
_COMPOUNDS: Final = (
    ("passphrase", "PASSWORD"),
    ("passwort", "PASSWORD"),
    ("password", "PASSWORD"),
    ("passwd", "PASSWORD"),
    ("secretkey", "SECRET"),
    ("accesskey", "API_KEY"),
    ("privatekey", "SECRET"),
    ("authkey", "API_KEY"),
    ("accountkey", "API_KEY"),
    ("masterkey", "SECRET"),
    ("signingkey", "SECRET"),
    ("encryptionkey", "SECRET"),
    ("apikey", "API_KEY"),
    ("secret", "SECRET"),
    ("token", "ACCESS_TOKEN"),
    ("pwd", "PASSWORD"),
)
_PASS_HEADS: Final = word_set(
    """
    remote local imap pop pop3 ssl tls wpa enc enable backup portal git svn ci user1 web1 db root user usr admin adm mysql smtp mail email ftp sftp ssh require key store keystore truststore trust redis pg
    postgres sys wifi ap sudo become login http https proxy bind my web mongo rabbit rabbitmq mq ldap smb vnc rdp cert pfx
    p12 jks ansible host default guest master test old new sql ora oracle sa nas router svc service account
    """
)
# Words before that turn a token, secret or password into something else.
_NOT_SECRET_OWNERS: Final = word_set(
    """
    csrf xsrf next page continuation start end stop pad eos bos unk mask sep cls special cancel cancellation max min num
    total count prompt completion input output current lexer syntax public no has is use show hide forgot reset require
    requires required needs with without allow enable disable by pagination sync resume cursor get set delta existing
    """
)
_NOT_WEAK_OWNERS: Final = word_set(
    """
    public publishable site vapid generation captcha primary foreign sort cache partition row range shift ctrl alt arrow hot short object dict map storage s3 query
    idempotency routing translation locale i18n index unique natural group hash git commit file content image layer build
    color error status exit country zip postal postcode lang language source byte op char key function qr bar type stack
    integrity checksum check md5 sha sha1 sha256 sha512 tree blob block tx transaction cert certificate fingerprint pub ssh
    host known etag version lock package image digest curve game trace span request test random numpy torch np rng
    verify verification socket peer dns
    """
)
_PLAIN: Final = str.maketrans({"ł": "l", "ı": "i", "ø": "o", "đ": "d", "ß": "ss"})


def plain_word(name: str) -> str:
    """`name` without accents, letters that have none by their nearest, in lower case."""
    if name.isascii():
        return name.lower()
    decomposed = unicodedata.normalize("NFD", name.translate(_PLAIN))
    return unicodedata.normalize("NFC", "".join(char for char in decomposed if not unicodedata.combining(char))).lower()


def _words(key: str) -> list[str]:
    words = words_of(key[-80:] if key.isascii() else plain_word(key[-80:]))
    while len(words) > 1 and (words[-1] in _NEUTRAL or words[-1].isdigit()):
        words.pop()
    return words


@lru_cache(maxsize=8192)
def secret_key_type(key: str) -> str | None:
    """The type of what a key of this name holds (`PASSWORD`, `API_KEY`, `ACCESS_TOKEN`, `SECRET`), or None.

    The last telling word decides: `DB_PASSWORD_PROD` is a password, `password_file`, `token_url`, `max_tokens` and
    `secret_name` hold none. For `is_weak_key` names the type holds only for values that look random.
    """
    words = _words(key)
    if not words:
        return None
    last, owner = words[-1], words[-2] if len(words) > 1 else ""
    if last in PASSWORD_WORDS:
        return _password(key, last, owner)
    if last in _TOKEN:
        return None if owner in _NOT_SECRET_OWNERS or "public" in words else "ACCESS_TOKEN"
    if last in _SECRET:
        return None if owner in _NOT_SECRET_OWNERS else "SECRET"
    if last == "hash" and owner in PASSWORD_WORDS:
        return "PASSWORD"
    if last == "key" and owner in _KEY_OWNERS and not (owner == "storage" and len(words) == 2):
        secret = owner in ("secret", "private", "sign", "signing", "encrypt", "encryption", "master")
        return "SECRET" if secret else "API_KEY"
    for ending, kind in _COMPOUNDS:
        if last.endswith(ending):
            head = last[: -len(ending)]
            return None if head in _NOT_SECRET_OWNERS or (ending == "pwd" and head == "c") else kind
    if last.endswith(("pass", "pw")) and last.removesuffix("pw").removesuffix("pass") in _PASS_HEADS:
        return "PASSWORD"
    return "SECRET" if _weak_word(words, last, owner) else None


def _password(key: str, last: str, owner: str) -> str | None:
    if last in ("pass", "pw", "losen") and not (owner or key.strip("-_.\"'$ ").lower() in ("pass", "pw")):
        return None
    setters = ("get", "set", "with", "current", "reset", "root")
    return None if owner in _NOT_SECRET_OWNERS and owner not in setters else "PASSWORD"


def _weak_word(words: list[str], last: str, owner: str) -> bool:
    return last in _WEAK and "public" not in words and owner not in _NOT_WEAK_OWNERS and owner not in _NOT_SECRET_OWNERS


@lru_cache(maxsize=8192)
def is_weak_key(key: str) -> bool:
    """Whether a key of this name holds a secret only where the value looks random: `key`, `salt`, `seed`, `auth`, `pin`."""
    words = _words(key)
    if not words or words[-1] not in _WEAK:
        return False
    owner = words[-2] if len(words) > 1 else ""
    return not ((words[-1] == "key" and owner in _KEY_OWNERS) or (words[-1] == "hash" and owner in PASSWORD_WORDS))
