"""Whether a shell command reaches beyond this machine.

An allow list: a text stays here if every simple command in it, nested ones included, is a program that is known to stay
here, used in a way that is known to. Then what its words and here-documents hold is data, addresses too: a connection
string written into a file goes nowhere. All else reaches beyond: network programs (but for loopback), programs nobody
knows, names that are computed, scripts in files, text that cannot be parsed.

This does not protect against what a local program or a file does later: a test suite may send what a file holds.
"""

import re
from collections.abc import Callable, Sequence

from localguard.redact import interpreters, loopback, program_options
from localguard.redact.address import is_this_machine
from localguard.redact.program_options import AWAY, changes_programs, starts
from localguard.redact.programs import (
    BIN_DIRECTORIES,
    BUILDS,
    FETCHING,
    INDEXING,
    LOCAL,
    NETWORK,
    RUN_WORD,
    STARTING_OPTIONS,
    WRAPPERS,
    names,
)
from localguard.redact.shell_commands import COMPUTED, INDEX_RUNS, Command, NotParsable, Word
from localguard.redact.shell_syntax import commands_of

_MAX_TEXT = 1024 * 1024
_MAX_NESTING = 6

_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash"})
_SHELL_FLAGS = re.compile(r"[-+][abefhiklmnprtuvxBCEHPT]*(?P<code>c)?[abefhiklmnprtuvxBCEHPT]*")
_PYTHON = re.compile(r"(?:python|pypy)(?:[0-9](?:\.[0-9]+)?)?(?:\.exe)?")
_PRIVATE_FILE = re.compile(
    r"(?:.*/)?(?:activate|\.env(?:\.[\w.-]+)?|[\w.-]+\.env|\.envrc|\.(?:bash|zsh)rc|\.(?:bash_)?profile|env)"
)
_DEVICE = re.compile(r"/dev/(?!null|stdin|stdout|stderr|tty|zero|random|urandom|full|fd/|shm|disk|sd|nvme|loop)")
_ASSIGNING = names("read mapfile readarray getopts let wait unset")
"""Builtins of the shell that set the variables that they are told."""
_DURATION = re.compile(r"[0-9.]+[smhd]?")


def reaches_beyond(text: str, *, nesting: int = 0) -> str | None:
    """Return in words why shell `text` reaches beyond this machine, or None where all of it stays here."""
    if len(text) > _MAX_TEXT:
        return "the command is too long to judge"
    if nesting > _MAX_NESTING:
        return "the command is nested too deeply to judge"
    try:
        commands = commands_of(text)
    except NotParsable as problem:
        return f"the command cannot be parsed: {problem}"
    for command in commands:
        reason = _judge(command, nesting)
        if reason is not None:
            return reason
    return None


def words_reach_beyond(words: Sequence[str]) -> str | None:
    """`reaches_beyond` for one command that came as an array of words, which no shell reads."""
    if not words:
        return None
    if any(COMPUTED in word for word in words):
        return "the command cannot be parsed: a NUL character"
    return _judge_words([Word(word, quoted=True) for word in words], None, 0)


def _judge(command: Command, nesting: int) -> str | None:
    for name, value in command.assignments:
        if changes_programs(name, value.text):
            return f"it sets {name}, which changes what other programs do"
    for redirect in command.redirects:
        target = redirect.target.text
        if re.match(r"/dev/(?:tcp|udp|\0)|//|\\\\", target):
            return "it opens a network connection by redirection"
    for _, value in command.assignments:
        if _DEVICE.search(value.text):
            return "it prepares a network connection by redirection"
        if INDEX_RUNS.search(value.text):
            return "it hides a command in the index of an array"
    if not command.words:
        return None
    if command.words[0].text in ("export", "declare", "typeset", "readonly", "local"):
        for word in command.words[1:]:
            if changes_programs(*word.text.partition("=")[::2]):
                return "it sets a variable that changes what other programs do"
    return _judge_words(command.words, command.stdin, nesting)


def _judge_words(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Judge the program `words[0]` with its arguments; `stdin` is what a here-document gives it."""
    if nesting > _MAX_NESTING:
        return "the command is nested too deeply to judge"
    first = words[0]
    if first.computed or (first.pattern and first.text not in ("[", "[[")):
        return "the name of a program is computed"
    directory = BIN_DIRECTORIES.match(first.text)
    name = first.text[directory.end() :] if directory else first.text
    arguments = words[1:]
    if name in _SPECIAL:
        return _SPECIAL[name](arguments, stdin, nesting)
    if _PYTHON.fullmatch(name):
        return interpreters.python(arguments, stdin, nesting)
    if name in LOCAL:
        return _local(name, arguments)
    if name in _SHELLS:
        return _shell(arguments, stdin, nesting)
    if name in WRAPPERS:
        return _wrapper(name, arguments, stdin, nesting)
    if name in BUILDS:
        return program_options.build(name, arguments)
    if name in NETWORK:
        reason = loopback.reaches_beyond(name, arguments, stdin)
        return None if reason is None else f"{name}: {reason}"
    return "it runs a program that is not known to stay on this machine"


def _local(name: str, words: Sequence[Word]) -> str | None:
    """Judge a program that keeps to this machine, some options aside."""
    if starts(words, STARTING_OPTIONS.get(name, ())):
        return "it has an option that makes it start other programs or reach out"
    if name in INDEXING and any(INDEX_RUNS.search(word.text.partition("=")[0]) for word in words):
        return "it hides a command in the index of an array"
    if name in _ASSIGNING and any(changes_programs(word.text, COMPUTED) for word in words):
        return "it sets a variable that changes what other programs do"
    if name == "printf" and words and words[0].text.startswith("-v"):
        variable = words[0].text[2:] or "".join(word.text for word in words[1:2])
        if changes_programs(variable, COMPUTED):
            return "it sets a variable that changes what other programs do"
    if name in ("let", "test", "[") and any(INDEX_RUNS.search(word.text) for word in words):
        return "it hides a command in the index of an array"
    if name in FETCHING and any("://" in word.text and not is_this_machine(word.text) for word in words):
        return AWAY
    if name == "coverage":
        return interpreters.coverage(words)
    return None


def _shell(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    index = 0
    while index < len(words) and words[index].text[:1] in ("-", "+") and len(words[index].text) > 1:
        text = words[index].text
        flags = _SHELL_FLAGS.fullmatch(text)
        if text in ("--norc", "--noprofile", "--login", "--posix", "-l"):
            index += 1
            continue
        if text in ("-o", "+o", "-O", "+O"):
            index += 2
            continue
        if flags is None:
            if text == "-s" and index + 1 == len(words):
                break
            return "a shell has an option that is not known"
        index += 1
        if flags.group("code"):
            if index >= len(words) or words[index].computed:
                return "a shell runs text that is computed"
            return reaches_beyond(words[index].text, nesting=nesting + 1)
    if index < len(words) and words[index].text not in ("-", "-s"):
        return "a shell runs a script that is not seen here"
    if stdin is None:
        return "a shell runs what it reads from elsewhere"
    return reaches_beyond(stdin, nesting=nesting + 1)


def _eval(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    if any(word.computed for word in words):
        return "eval runs text that is computed"
    return reaches_beyond(" ".join(word.text for word in words), nesting=nesting + 1)


def _source(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    if words and _PRIVATE_FILE.fullmatch(words[0].text.replace(COMPUTED, "")):
        return None
    return "it runs a script that is not seen here"


def _trap(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    return _eval(words[:1], stdin, nesting) if words and words[0].text != "-" else None


def _alias(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    for word in words:
        reason = _eval([Word(word.text.partition("=")[2])], stdin, nesting)
        if reason is not None:
            return reason
    return None


def _wrapper(name: str, words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    index = 0
    if name in RUN_WORD:
        if not words or words[0].text != RUN_WORD[name]:
            return f"{name} may fetch, install or publish"
        index = 1
    if name == "command" and words and words[0].text in ("-v", "-V"):
        return None
    while index < len(words) and words[index].text.startswith("-") and len(words[index].text) > 1:
        text = words[index].text
        if text == "--":
            index += 1
            break
        if name in RUN_WORD or (name == "env" and text.startswith(("-S", "--split"))):
            return f"{name} has an option that is not known to keep it on this machine"
        index += 2 if text in WRAPPERS[name] else 1
    while name in ("env", "sudo") and index < len(words) and re.match(r"[A-Za-z_]\w*=", words[index].text):
        if changes_programs(*words[index].text.partition("=")[::2]):
            return "it sets a variable that changes what other programs do"
        index += 1
    if name == "timeout" and index < len(words):
        if not _DURATION.fullmatch(words[index].text):
            return "a timeout that cannot be read"
        index += 1
    if index >= len(words):
        return None
    if name == "npx" and (words[index].text not in LOCAL or "@" in words[index].text):
        return "npx may fetch the program that it runs"
    return _judge_words(words[index:], stdin, nesting + 1)


def _find(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    for index, word in enumerate(words):
        if word.text in ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"):
            inner: list[Word] = []
            for following in words[index + 1 :]:
                if following.text in (";", "+"):
                    break
                inner.append(following)
            if not inner:
                return "find runs something unreadable"
            reason = _judge_words(inner, None, nesting + 1)
            if reason is not None:
                return reason
    return None


_SPECIAL: dict[str, Callable[[Sequence[Word], str | None, int], str | None]] = {
    "eval": _eval,
    "source": _source,
    ".": _source,
    "trap": _trap,
    "alias": _alias,
    "node": interpreters.node,
    "nodejs": interpreters.node,
    "perl": interpreters.with_code_option("Perl", "eE"),
    "ruby": interpreters.with_code_option("Ruby", "e"),
    "php": interpreters.with_code_option("PHP", "r"),
    "awk": interpreters.awk,
    "gawk": interpreters.awk,
    "mawk": interpreters.awk,
    "sed": interpreters.sed,
    "gsed": interpreters.sed,
    "find": _find,
    "fd": _find,
    "fdfind": _find,
    "git": program_options.git,
    "sqlite3": interpreters.sqlite,
    "rg": program_options.without("--pre", "--hostname-bin", "--search-zip"),
    "sort": program_options.without("--compress-program", "--files0-from"),
    "tar": program_options.tar,
    "dc": interpreters.dc,
    "gpg": program_options.without(
        "--send-keys",
        "--recv-keys",
        "--receive-keys",
        "--search-keys",
        "--refresh-keys",
        "--keyserver",
        "--locate-keys",
        "--fetch-keys",
        "--auto-key",
        "--photo-viewer",
        "--agent-program",
        "--dirmngr-program",
    ),
    "yq": program_options.without("--from-url"),
}
