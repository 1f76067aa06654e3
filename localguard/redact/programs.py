"""Programs and what of them stays on this machine: data for `command`."""

import re


def names(text: str) -> frozenset[str]:
    """Return the words of `text`: how tables of names are written here."""
    return frozenset(text.split())


LOCAL = names("""
    : . [ true false test echo printf cat tee touch mkdir rmdir rm cp mv ln chmod chown chgrp install truncate mktemp sync dd
    shred ls dir stat file realpath readlink basename dirname pwd cd pushd popd tree du df head tail wc nl fold fmt column rev
    tac shuf seq yes expr bc dc cut paste join split csplit comm cmp diff diff3 sdiff colordiff uniq tr expand unexpand
    grep egrep fgrep zgrep ag ack bat less more strings od xxd hexdump base64 base32 md5sum sha1sum sha224sum sha256sum
    sha384sum sha512sum b2sum shasum cksum sum gzip gunzip zcat bzip2 bunzip2 bzcat xz unxz xzcat zstd unzstd zip unzip
    jq xmllint envsubst patch apply_patch applypatch htpasswd uuidgen iconv dos2unix unix2dos numfmt
    export declare typeset local readonly unset set shopt read mapfile readarray return exit break continue shift wait jobs fg
    bg disown kill umask ulimit getopts let hash type which whereis times history
    printenv id groups whoami hostname uname arch date sleep uptime nproc free ps pgrep pkill killall lsof tput clear reset
    stty tty dircolors locale
    pytest py.test coverage ruff black mypy flake8 isort pylint pyright jest vitest mocha ava tsc eslint prettier biome
    stylelint rspec rubocop phpunit ctest gofmt goimports golangci-lint rustfmt shellcheck shfmt hadolint yamllint markdownlint
    ssh-keygen pbcopy pbpaste xclip
""")
"""Programs that keep to this machine whatever their arguments are."""

STARTING_OPTIONS: dict[str, tuple[str, ...]] = {
    "less": ("+",),
    "more": ("+",),
    "bat": ("--pager",),
    "ag": ("--pager",),
    "ack": ("--pager",),
    "split": ("--filter",),
    "sdiff": ("--diff-program",),
    "diff3": ("--diff-program",),
    "install": ("--strip-program",),
    "zip": ("-TT", "--unzip-command"),
    "mapfile": ("-C",),
    "readarray": ("-C",),
    "hash": ("-p",),
    "patch": ("-e", "--ed"),
    "ssh-keygen": ("-D",),
}
"""Options of such programs that start what their value says."""

INDEXING = names("test [ let declare typeset local export readonly unset printf read wait mapfile readarray")
"""Builtins of the shell that evaluate names, array indices included."""

FETCHING = names("xmllint")
"""Programs that load an address where they take a file."""

BUILD_OPTIONS: dict[str, tuple[str, ...]] = {
    "go": ("-exec", "--exec", "-toolexec", "--toolexec", "-vettool", "--vettool"),
    "cargo": ("--config",),
    "npm": ("--script-shell", "--registry"),
    "pnpm": ("--script-shell", "--registry"),
    "yarn": ("--script-shell", "--registry"),
    "tox": ("-x", "--override"),
    "nox": ("-f", "--noxfile"),
    "just": ("--shell", "--chooser", "-c", "--command"),
    "pip": ("-i", "--index-url", "--extra-index-url", "--find-links", "--proxy"),
    "pip3": ("-i", "--index-url", "--extra-index-url", "--find-links", "--proxy"),
    "docker": ("-H", "--host", "-c", "--context"),
    "ansible-vault": ("--vault-id",),
}
"""Options of builders that start another program or change whom they talk to."""

BUILDS: dict[str, frozenset[str]] = {
    "npm": names("test t run run-script ls list version pkg"),
    "pnpm": names("test t run ls list"),
    "yarn": names("test run"),
    "bun": names("test"),
    "cargo": names("test t build b check c clippy fmt"),
    "go": names("test build vet fmt list version env"),
    "dotnet": names("test build format"),
    "swift": names("test build"),
    "mvn": names("test verify compile package"),
    "gradle": names("test build check"),
    "gradlew": names("test build check"),
    "mix": names("test format compile"),
    "make": names("test tests check lint format fmt build all clean"),
    "just": names("test check lint format fmt build"),
    "pip": names("list show freeze check"),
    "pip3": names("list show freeze check"),
    "pre-commit": names("run"),
    "tox": names("run r"),
    "nox": frozenset(),
    "docker": names("ps images logs inspect version info"),
    "ansible-vault": names("encrypt decrypt view encrypt_string"),
    "openssl": names(
        "enc rand genrsa rsa rsautl x509 pkcs12 pkcs8 dgst base64 req passwd pkey pkeyutl genpkey ec ecparam verify version"
        " asn1parse cms smime sha256 md5"
    ),
}
"""Programs that stay here with these first arguments (test runners and builders run the project's own code)."""

SCRIPT_LEAVES = re.compile(r"deploy|publish|release|push|upload|send|sync|e2e|remote|prod", re.IGNORECASE)
"""Names of project scripts (`npm run NAME`) that are meant to reach out."""

GIT_LOCAL = names("""
    add am apply archive blame branch cat-file check-attr check-ignore checkout cherry-pick clean commit config describe diff
    diff-tree format-patch grep hash-object init log ls-files ls-tree merge merge-base mv name-rev notes rebase reflog reset
    restore rev-list rev-parse revert rm shortlog show show-ref stash status switch symbolic-ref tag update-index update-ref
    var version worktree write-tree
""")
GIT_SETTINGS = re.compile(
    r"(?:user\.|author\.|committer\.|commit\.|color\.|advice\.|init\.|tag\.|gpg\.format|core\.(?:autocrlf|quotepath|eol|filemode)"
    r"|diff\.renames|merge\.conflictstyle|pull\.rebase|safe\.directory)",
    re.IGNORECASE,
)
"""Settings that start no program and change no address."""

PYTHON_MODULES = names("""
    pytest unittest doctest json.tool py_compile compileall black ruff mypy isort flake8 pylint coverage base64 zipfile tarfile
    gzip tokenize ast venv tabnanny site sysconfig calendar
""")

WRAPPERS: dict[str, frozenset[str]] = {
    "sudo": names("-u --user -g --group -p --prompt -C -h -R -D -T -U"),
    "doas": names("-u"),
    "env": names("-u --unset -C --chdir"),
    "nohup": frozenset(),
    "time": names("-f -o --format --output"),
    "nice": names("-n --adjustment"),
    "ionice": names("-c -n -p"),
    "command": frozenset(),
    "builtin": frozenset(),
    "exec": names("-a"),
    "timeout": names("-s --signal -k --kill-after"),
    "stdbuf": names("-i -o -e --input --output --error"),
    "setsid": frozenset(),
    "xargs": names("-I -n -P -d -L -E -s -a --max-args --max-procs --delimiter --replace --arg-file"),
    "npx": frozenset(),
    "uv": frozenset(),
    "poetry": frozenset(),
    "pipenv": frozenset(),
    "hatch": frozenset(),
    "rye": frozenset(),
    "pdm": frozenset(),
    "bundle": frozenset(),
}
"""Programs that run the program in their arguments, and which of their options take a value."""

RUN_WORD = {"uv": "run", "poetry": "run", "pipenv": "run", "hatch": "run", "rye": "run", "pdm": "run", "bundle": "exec"}
"""Wrappers that need this word before the program; without it they fetch, install or publish."""

NETWORK = names("""
    curl wget http https httpie xh aria2c nc ncat netcat socat telnet ssh scp sftp rsync ftp lftp tftp mosh sshpass autossh
    gh glab hub aws az gcloud gsutil s3cmd kubectl helm oc terraform pulumi ansible ansible-playbook heroku vercel netlify fly
    flyctl wrangler firebase doctl twine mail mailx sendmail mutt swaks msmtp psql pg_dump pg_restore mysql mysqldump mariadb
    redis-cli mongo mongosh mongodump sqlcmd clickhouse-client nslookup dig host drill whois ping ping6 traceroute tracepath
    mtr nmap open xdg-open start w3m lynx links elinks logger wscat websocat grpcurl ngrok cloudflared tailscale rclone
    restic svn hg vault op bw
""")
"""Programs that are known to reach out; some of them may talk to loopback (see `loopback`)."""

RUNNER_VARIABLES = re.compile(
    r"PROMPT_COMMAND|BASH_ENV|ENV|LD_\w+|DYLD_\w+|GIT_\w*(?:COMMAND|ASKPASS|PROXY\w*|SSH|EXEC_PATH|CONFIG\w*|EXTERNAL_DIFF)"
    r"|PYTHON(?:STARTUP|INSPECT)|NODE_OPTIONS|PERL5OPT|RUBYOPT|\w*PAGER|\w*EDITOR|VISUAL|SSH_ASKPASS|MAKEFLAGS|GNUMAKEFLAGS"
    r"|BASH_FUNC\w*|PS4|LESS\w*|TAR_OPTIONS|TAR_RSH|TAPE|RSH|ZIPOPT|CURL_HOME|WGETRC|NETRC|DOCKER_(?:HOST|CONTEXT)"
    r"|PGHOST(?:ADDR)?|PGSERVICE(?:FILE)?|MYSQL_HOST|(?:\w+_)?(?:HTTPS?|ALL|FTP)_PROXY|GOPROXY|GOFLAGS|GONOSUMDB|GOSUMDB"
    r"|NPM_CONFIG_\w+|PIP_\w*(?:URL|LINKS|PROXY)|UV_\w*(?:URL|INDEX)|CARGO_(?!TERM_)\w+|RUSTC\w*|SHELL|CC|CXX|CPP|LD|AR|AS|MAKE|RM",
    re.IGNORECASE,
)
"""Variables that make other programs run, or programs talk to elsewhere, once they are set."""

SEARCH_VARIABLES = re.compile(
    r"PATH|CDPATH|FPATH|PYTHON(?:PATH|HOME|USERBASE|BREAKPOINT)|NODE_PATH|PERL5?LIB|PERL5DB|RUBYLIB|GEM_(?:HOME|PATH)"
    r"|BUNDLE_\w+|CLASSPATH|(?:_?JAVA|JAVA_TOOL|JDK_JAVA|MAVEN|GRADLE|SBT|JVM)_OPT(?:S|IONS)|PHPRC|PHP_INI_SCAN_DIR|LUA_C?PATH\w*"
    r"|AWKPATH|AWKLIBPATH|GOPATH|GOROOT|GOBIN|GOTOOLDIR|RUSTUP_\w+|ZDOTDIR|HOME|XDG_CONFIG_\w+|INPUTRC|SHELLOPTS|BASHOPTS"
    r"|OPENSSL_(?:CONF|MODULES|ENGINES)|GCONV_PATH|HOSTALIASES|RES_OPTIONS|LOCALDOMAIN|PYTEST_(?:PLUGINS|ADDOPTS)|JUST_\w+"
)
"""Variables that say where programs and what they load are looked for: with them a known name means something unknown."""

STANDARD_DIRECTORIES = re.compile(
    r"(?:(?:/usr)?(?:/local)?/s?bin|/opt/homebrew/s?bin)(?::(?:(?:/usr)?(?:/local)?/s?bin|/opt/homebrew/s?bin))*"
)
"""Where programs are what their names say."""

HARMLESS_RUNNER = re.compile(
    r"|gcc|g\+\+|cc|c\+\+|clang|clang\+\+|ld|ar|sccache|ccache|direct|off|-mod=\w+|-v|target|/bin/(?:ba)?sh|bash|-[RFX]+"
    r"|cat|less|more|true|:|vi|vim|nano|--max-old-space-size=[0-9]+|localhost|127\.0\.0\.1|/[\w./-]*postgresql"
)
"""Values under which such a variable changes nothing that matters here."""

BIN_DIRECTORIES = re.compile(
    r"(?:/usr)?(?:/local)?/s?bin/|/opt/homebrew/bin/|(?:\./)?(?:[\w./-]*/)?(?:node_modules/\.bin|\.?venv/bin|vendor/bin)/|\./(?=gradlew\Z)"
)
"""Directories whose programs are what their names say."""
