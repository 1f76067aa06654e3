"""Network programs that may talk to this machine itself: curl, wget, netcat, database clients."""

import re
from collections.abc import Sequence

from localguard.redact.address import is_loopback_host, is_this_machine
from localguard.redact.programs import names
from localguard.redact.shell_commands import COMPUTED, Word

_AWAY = "it sends to an address that is not this machine's"

_CURL_VALUES = names("""
    X request H header d data data-raw data-binary data-urlencode data-ascii json F form form-string o output u user A user-agent
    b cookie c cookie-jar e referer m max-time connect-timeout w write-out T upload-file cacert cert key E retry retry-delay
    retry-max-time D dump-header oauth2-bearer max-redirs C continue-at r range limit-rate
    """)
_CURL_FLAGS = names("""
    s silent S show-error L location k insecure i include v verbose f fail fail-with-body I head G get g globoff N no-buffer
    compressed O remote-name 0 http1.0 http1.1 http2 a append 4 ipv4 6 ipv6 # progress-bar create-dirs no-progress-meter
    """)
_WGET_VALUES = names(
    "O output-document o output-file header post-data post-file method body-data body-file user password t tries T timeout U"
    " user-agent P directory-prefix"
)
_WGET_FLAGS = names(
    "q quiet v verbose nv no-verbose S server-response c continue no-check-certificate content-on-error"
)
_DATABASE_HOST = {
    "psql": ("-h", "--host"),
    "pg_dump": ("-h", "--host"),
    "pg_restore": ("-h", "--host"),
    "mysql": ("-h", "--host"),
    "mysqldump": ("-h", "--host"),
    "mariadb": ("-h", "--host"),
    "redis-cli": ("-h",),
    "mongosh": ("--host",),
    "mongo": ("--host",),
}
_CONNECTION_HOST = re.compile(r"\b(?:host|hostaddr|service|servicefile)\s*=\s*([^\s;]*)", re.IGNORECASE)
_STARTS_PROGRAM = re.compile(
    r"\\!|\\[a-z]+\s*\||\\setenv|\\system|\bPROGRAM\b|system\s|\bfetch\s*\(|\\c(?:onnect)?\b|require\s*\(|\\\.\s",
    re.IGNORECASE,
)
_HOST_LIKE = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?(?:/.*)?", re.DOTALL)


def reaches_beyond(program: str, words: Sequence[Word], stdin: str | None) -> str | None:
    """Return why the network `program` with arguments `words` reaches beyond this machine, or None if all is loopback."""
    if program == "curl":
        return _by_options(words, _CURL_VALUES, _CURL_FLAGS, "url")
    if program == "wget":
        return _by_options(words, _WGET_VALUES, _WGET_FLAGS, "")
    if program in ("http", "https", "httpie", "xh"):
        return _httpie(words)
    if program in ("nc", "ncat", "netcat", "telnet"):
        return _netcat(words)
    if program in _DATABASE_HOST:
        return _database(program, words, stdin)
    return "it works over the network"


def _by_options(
    words: Sequence[Word], values: frozenset[str], flags: frozenset[str], address_option: str
) -> str | None:
    """Read curl's and wget's options: those in `values` take one more word, an unknown one is beyond judging."""
    addresses: list[Word] = []
    index = 0
    while index < len(words):
        text = words[index].text
        index += 1
        if text.startswith("--") and len(text) > 2:
            name, _, value = text[2:].partition("=")
            if name == address_option:
                addresses.append(Word(value) if value else words[min(index, len(words) - 1)])
                index += not value
            elif name in values:
                index += not value
            elif name not in flags:
                return "it has an option that is not known to keep it on this machine"
        elif text.startswith("-") and len(text) > 1:
            if text[1:] in flags:
                continue
            for at, letter in enumerate(text[1:], 1):
                if letter in values:
                    index += at == len(text) - 1
                    break
                if letter not in flags:
                    return "it has an option that is not known to keep it on this machine"
        else:
            addresses.append(words[index - 1])
    if not addresses:
        return "it has no address that can be read"
    return None if all(_is_here(word) for word in addresses) else _AWAY


def _is_here(word: Word) -> bool:
    return not (word.pattern and not word.quoted and "{" in word.text.split("?")[0]) and is_this_machine(word.text)


def _httpie(words: Sequence[Word]) -> str | None:
    plain = [word for word in words if not word.text.startswith("-")]
    if any(word.text.startswith("--proxy") or word.text.startswith("--session") for word in words):
        return "it has an option that is not known to keep it on this machine"
    if plain and plain[0].text.isalpha() and plain[0].text.isupper():
        plain = plain[1:]
    if not plain:
        return "it has no address that can be read"
    target = plain[0].text
    return None if re.match(r":[0-9]*(?:/|\Z)", target) or is_this_machine(target) else _AWAY


def _netcat(words: Sequence[Word]) -> str | None:
    plain = [word.text for word in words if not word.text.startswith("-")]
    if any(re.fullmatch(r"-[zvnw46uN]+", word.text) is None for word in words if word.text.startswith("-")):
        return "it has an option that is not known to keep it on this machine"
    if plain and is_loopback_host(plain[0]):
        return None
    return _AWAY


def _database(program: str, words: Sequence[Word], stdin: str | None) -> str | None:
    """Without a host these clients use a local socket; a host, a URL or a connection string says otherwise."""
    options = _DATABASE_HOST[program]
    index = 0
    while index < len(words):
        text = words[index].text
        index += 1
        host: str | None = None
        for option in options:
            if text == option:
                host = words[index].text if index < len(words) else ""
                index += 1
            elif text.startswith(option + "=") or (not option.startswith("--") and text.startswith(option)):
                host = text[len(option) :].removeprefix("=")
        if host is not None:
            if not is_loopback_host(host) and not host.startswith("/"):
                return _AWAY
            continue
        if "://" in text and not is_this_machine(text):
            return _AWAY
        for setting in _CONNECTION_HOST.finditer(text):
            if not is_loopback_host(setting.group(1)) and not setting.group(1).startswith("/"):
                return _AWAY
        if text.startswith(COMPUTED):
            return "its database is computed"
        if program in ("mongo", "mongosh") and not text.startswith("-") and _HOST_LIKE.fullmatch(text):
            return _AWAY
        if _STARTS_PROGRAM.search(text):
            return "it may start other programs or connect elsewhere"
    if stdin is not None and (_STARTS_PROGRAM.search(stdin) or "://" in stdin):
        return "it may start other programs or connect elsewhere"
    if stdin is not None and any(not is_loopback_host(found.group(1)) for found in _CONNECTION_HOST.finditer(stdin)):
        return _AWAY
    return None
