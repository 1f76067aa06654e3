"""Whether a shell command reaches beyond this machine.

An allow list: a text stays here if every simple command in it, nested ones included, is a program that is known to stay
here, used in a way that is known to. Then what its words and here-documents hold is data, addresses too: a connection
string written into a file goes nowhere. All else reaches beyond: network programs (but for loopback), programs nobody
knows, names that are computed, scripts in files, text that cannot be parsed.

This does not protect against what a local program or a file does later: a test suite may send what a file holds.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from localguard.redact import loopback, script
from localguard.redact.address import is_this_machine
from localguard.redact.programs import (
    BIN_DIRECTORIES,
    BUILD_OPTIONS,
    BUILDS,
    FETCHING,
    GIT_LOCAL,
    GIT_SETTINGS,
    HARMLESS_RUNNER,
    INDEXING,
    LOCAL,
    NETWORK,
    PYTHON_MODULES,
    RUN_WORD,
    RUNNER_VARIABLES,
    SCRIPT_LEAVES,
    SEARCH_VARIABLES,
    STANDARD_DIRECTORIES,
    STARTING_OPTIONS,
    WRAPPERS,
    names,
)
from localguard.redact.shell_syntax import COMPUTED, INDEX_RUNS, Command, NotParsable, Word, commands_of

_MAX_TEXT = 1024 * 1024
_MAX_NESTING = 6

_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash"})
_SHELL_FLAGS = re.compile(r"[-+][abefhiklmnprtuvxBCEHPT]*(?P<code>c)?[abefhiklmnprtuvxBCEHPT]*")
_PYTHON = re.compile(r"(?:python|pypy)(?:[0-9](?:\.[0-9]+)?)?(?:\.exe)?")
_PRIVATE_FILE = re.compile(
    r"(?:.*/)?(?:activate|\.env(?:\.[\w.-]+)?|[\w.-]+\.env|\.envrc|\.(?:bash|zsh)rc|\.(?:bash_)?profile|env)"
)
_SED_RUNS = re.compile(
    r"(?:^|[;{}\n])\s*(?:[0-9$]+|/(?:\\.|[^/\n])*/)?(?:,(?:[0-9$]+|/(?:\\.|[^/\n])*/))?\s*!?\s*e(?:\s|$)"
)
_SED_FLAG = re.compile(
    r"s(?P<mark>[^\w\s\\])(?:\\.|(?!(?P=mark)).)*(?P=mark)(?:\\.|(?!(?P=mark)).)*(?P=mark)[a-zA-Z0-9]*e", re.DOTALL
)
_DEVICE = re.compile(r"/dev/(?!null|stdin|stdout|stderr|tty|zero|random|urandom|full|fd/|shm|disk|sd|nvme|loop)")
_ASSIGNING = names("read mapfile readarray getopts let wait unset")
"""Builtins of the shell that set the variables that they are told."""
_AWAY = "it has an address that is not this machine's"
_DURATION = re.compile(r"[0-9.]+[smhd]?")


_URL = re.compile(r"(?=[a-z][a-z0-9+.-]{1,30}://)", re.IGNORECASE)
_MAKE_READS = re.compile(r"(?:-\w*f|--(?:file|makefile)=?) ?(?:-|/dev/\S*).*|--ev(?:al?)?[= ].*|-E.*", re.DOTALL)
_REMOTE_ARCHIVE = re.compile(r"(?!-)[^/:]+:|--file=[^/:]+:|-\w*f[^/:]+:")
_SQLITE_COMMANDS = names("""
    tables schema headers header mode dump indexes indices databases width timeout bail echo nullvalue separator stats print
    quit exit explain fullschema changes timer show help
""")


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


def _changes_programs(name: str, value: str) -> bool:
    name = name.removesuffix("+").partition("[")[0]
    if SEARCH_VARIABLES.fullmatch(name):
        return not (name == "PATH" and STANDARD_DIRECTORIES.fullmatch(value))
    return RUNNER_VARIABLES.fullmatch(name) is not None and HARMLESS_RUNNER.fullmatch(value) is None


def _judge(command: Command, nesting: int) -> str | None:
    for name, value in command.assignments:
        if _changes_programs(name, value.text):
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
            if _changes_programs(*word.text.partition("=")[::2]):
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
        return _python(arguments, stdin, nesting)
    if name in LOCAL:
        return _local(name, arguments)
    if name in _SHELLS:
        return _shell(arguments, stdin, nesting)
    if name in WRAPPERS:
        return _wrapper(name, arguments, stdin, nesting)
    if name in BUILDS:
        return _build(name, arguments)
    if name in NETWORK:
        reason = loopback.reaches_beyond(name, arguments, stdin)
        return None if reason is None else f"{name}: {reason}"
    return "it runs a program that is not known to stay on this machine"


def _starts(words: Sequence[Word], options: Sequence[str]) -> bool:
    """Whether a word is one of `options`, with its value or without, or shortened as GNU programs let long ones be."""
    for word in words:
        option = word.text.partition("=")[0]
        shortened = len(option) > 3 and option.startswith("--")
        if word.text.startswith(tuple(options)) or (shortened and any(one.startswith(option) for one in options)):
            return True
    return False


def _local(name: str, words: Sequence[Word]) -> str | None:
    """Judge a program that keeps to this machine, some options aside."""
    if _starts(words, STARTING_OPTIONS.get(name, ())):
        return "it has an option that makes it start other programs or reach out"
    if name in INDEXING and any(INDEX_RUNS.search(word.text.partition("=")[0]) for word in words):
        return "it hides a command in the index of an array"
    if name in _ASSIGNING and any(_changes_programs(word.text, COMPUTED) for word in words):
        return "it sets a variable that changes what other programs do"
    if name == "printf" and words and words[0].text.startswith("-v"):
        variable = words[0].text[2:] or "".join(word.text for word in words[1:2])
        if _changes_programs(variable, COMPUTED):
            return "it sets a variable that changes what other programs do"
    if name in ("let", "test", "[") and any(INDEX_RUNS.search(word.text) for word in words):
        return "it hides a command in the index of an array"
    if name in FETCHING and any("://" in word.text and not is_this_machine(word.text) for word in words):
        return _AWAY
    if name == "coverage":
        return _coverage(words)
    return None


def _coverage(words: Sequence[Word]) -> str | None:
    if not words or words[0].text != "run":
        return None
    plain = [word.text for word in words[1:]]
    if "-m" in plain[:-1] and plain[plain.index("-m") + 1] in PYTHON_MODULES:
        return None
    return "Python runs a script that is not seen here"


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
        if _changes_programs(*words[index].text.partition("=")[::2]):
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


def _build(name: str, words: Sequence[Word]) -> str | None:
    taking = ("-C", "-f") if name == "make" else ()
    plain = [
        word
        for before, word in pairwise([Word(""), *words])
        if not word.text.startswith(("-", "+")) and before.text not in taking
    ]
    allowed = BUILDS[name]
    if name == "make" and any("=" in word.text and "(" in word.text for word in words):
        return "make is given a function"
    if name == "make" and any(_changes_programs(*word.text.partition("=")[::2]) for word in words):
        return "make is given another program"
    if name == "make" and any(
        _MAKE_READS.fullmatch(f"{one.text} {two.text}") for one, two in pairwise([*words, Word("")])
    ):
        return "make reads rules that are not in a file"
    if _starts(words, BUILD_OPTIONS.get(name, ())):
        return f"{name} has an option that makes it start other programs or reach out"
    if any(_URL.search(word.text) and not is_this_machine(_URL.split(word.text, maxsplit=1)[1]) for word in words):
        return _AWAY
    if not plain:
        return (
            None
            if name in ("make", "just", "tox", "nox", "pytest", "cargo", "go", "openssl")
            else f"{name} may fetch or publish"
        )
    if plain[0].text not in allowed:
        return f"{name} does something that is not known to stay on this machine"
    if plain[0].text in ("run", "run-script") and (
        len(plain) < 2 or plain[1].computed or SCRIPT_LEAVES.search(plain[1].text)
    ):
        return f"{name} runs a script that is not known to stay on this machine"
    if name in ("make", "just") and any(word.text not in allowed and "=" not in word.text for word in plain):
        return f"{name} builds a target that is not known to stay on this machine"
    return None


def _python(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    index = 0
    while index < len(words) and words[index].text.startswith("-") and words[index].text != "-":
        text = words[index].text
        index += 1
        if text in ("-X", "-W"):
            index += 1
        elif text == "-m" or re.fullmatch(r"-[BEIOPSbdqsuv]+m", text):
            if index < len(words) and words[index].text == "coverage":
                return _coverage(words[index + 1 :])
            if index < len(words) and words[index].text in PYTHON_MODULES:
                return None
            return "Python runs a module that is not known to stay on this machine"
        elif text == "-c" or re.fullmatch(r"-[BEIOPSbdqsuv]+c", text):
            if index >= len(words) or words[index].computed:
                return "Python runs code that is computed"
            return script.python_reaches_beyond(words[index].text)
        elif text in ("--version", "-V"):
            return None
        elif re.fullmatch(r"-[BEIOPSbdqsuvi]+", text) is None:
            return "Python has an option that is not known"
    if index < len(words) and words[index].text != "-":
        script_name = words[index].text.rpartition("/")[2]
        if script_name == "manage.py" and index + 1 < len(words) and words[index + 1].text in ("test", "check"):
            return None
        return "Python runs a script that is not seen here"
    if stdin is None:
        return "Python runs what it reads from elsewhere"
    return script.python_reaches_beyond(stdin)


def _node(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    for index, word in enumerate(words):
        if word.text in ("--version", "-v", "--test", "--check"):
            return None
        if word.text in ("-e", "--eval", "-p", "--print", "-pe"):
            if index + 1 >= len(words) or words[index + 1].computed:
                return "Node runs code that is computed"
            return script.javascript_reaches_beyond(words[index + 1].text)
        if word.text.startswith("-") and word.text not in ("-", "--input-type=module", "--no-warnings"):
            return "Node has an option that is not known"
        if word.text != "-" and not word.text.startswith("-"):
            return "Node runs a script that is not seen here"
    return "Node runs what it reads from elsewhere" if stdin is None else script.javascript_reaches_beyond(stdin)


def _with_code_option(language: str, options: str) -> Callable[[Sequence[Word], str | None, int], str | None]:
    """Return the judgement of an interpreter whose code follows an option cluster that ends in one of `options`."""
    cluster = re.compile(rf"-[A-Za-df-z0-9.]*[{options}]")

    def judge(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
        codes = [words[at + 1] for at, word in enumerate(words[:-1]) if cluster.fullmatch(word.text)]
        if any(
            re.match(r"-[A-Za-z0-9]*[MIr]", word.text)
            for word in words
            if word.text.startswith("-") and language != "PHP"
        ):
            return f"{language} loads a module that is not known to stay on this machine"
        if not codes:
            if stdin is not None and not any(not word.text.startswith("-") for word in words):
                return script.other_reaches_beyond(stdin, language)
            return f"{language} runs a script that is not seen here"
        for code in codes:
            reason = f"{language} runs code that is computed" if code.computed else None
            reason = reason or script.other_reaches_beyond(code.text, language)
            if reason is not None:
                return reason
        return None

    return judge


def _awk(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    index = 0
    while index < len(words) and words[index].text.startswith("-"):
        if words[index].text not in ("-F", "-v") and not words[index].text.startswith(("-F", "-v")):
            return "awk has an option that is not known"
        index += 2 if words[index].text in ("-F", "-v") else 1
    if index >= len(words):
        return None
    return script.other_reaches_beyond(words[index].text.replace("||", " "), "AWK")


def _sed(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    for word in words:
        if re.match(r"-[a-zA-Z]*f|--file", word.text) and not word.text.startswith("-i"):
            return "sed runs a script that is not seen here"
        if _SED_RUNS.search(word.text) or _SED_FLAG.search(word.text):
            return "sed starts other programs"
    return None


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


def _without(*options: str) -> Callable[[Sequence[Word], str | None, int], str | None]:
    """Return the judgement of a program that stays here unless one of `options` begins an argument."""

    def judge(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
        if _starts(words, options):
            return "it has an option that makes it start other programs or reach out"
        return None

    return judge


def _sqlite(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    for text in [word.text for word in words] + ([stdin] if stdin else []):
        if re.search(r"load_extension|edit\s*\(|\|", text.replace("||", " ")):
            return "sqlite3 starts other programs"
        if any(found not in _SQLITE_COMMANDS for found in re.findall(r"^\s*\.([a-z]+)", text, re.MULTILINE)):
            return "sqlite3 is given a command that is not known to stay on this machine"
    return None


def _tar(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    if any(_REMOTE_ARCHIVE.match(word.text) for word in words):
        return "tar writes to or reads from another machine"
    return _without(
        "--checkpoint-action",
        "--to-command",
        "--use-compress-program",
        "-I",
        "--rsh-command",
        "--rmt-command",
        "-F",
        "--info-script",
        "--new-volume-script",
    )(words, stdin, nesting)


def _dc(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    texts = [word.text for word in words] + ([stdin] if stdin else [])
    return "dc starts other programs" if any("!" in text for text in texts) else None


def _git(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    index = 0
    while index < len(words) and words[index].text.startswith("-"):
        text = words[index].text
        index += 1
        if text == "-C":
            index += 1
        elif text == "-c":
            if index >= len(words) or not GIT_SETTINGS.match(words[index].text):
                return "git has a setting that may start other programs"
            index += 1
        elif text not in ("--no-pager", "--version", "--help", "--no-optional-locks"):
            return "git has an option that is not known to keep it on this machine"
    if index >= len(words):
        return None
    verb, rest = words[index].text, [word.text for word in words[index + 1 :]]
    if verb == "remote" and (not rest or rest in (["-v"], ["--verbose"])):
        return None
    if verb not in GIT_LOCAL:
        return "git reaches out, or does something that is not known to stay on this machine"
    if verb == "config":
        settings = [text for text in rest if not text.startswith("-")]
        reads = any(text in ("--get", "--get-all", "--list", "-l", "--unset") for text in rest)
        reads = reads or settings[:1] in (["get"], ["list"])
        if not reads and len(settings) > 1 and not GIT_SETTINGS.match(settings[0]):
            return "git has a setting that may start other programs or change an address"
    if verb in ("rebase", "archive", "grep") and _starts(
        words[index + 1 :], ("-x", "--exec", "--remote", "--upload-pack", "-O", "--open-files-in-pager")
    ):
        return "git starts other programs or reaches out"
    return None


_SPECIAL: dict[str, Callable[[Sequence[Word], str | None, int], str | None]] = {
    "eval": _eval,
    "source": _source,
    ".": _source,
    "trap": _trap,
    "alias": _alias,
    "node": _node,
    "nodejs": _node,
    "perl": _with_code_option("Perl", "eE"),
    "ruby": _with_code_option("Ruby", "e"),
    "php": _with_code_option("PHP", "r"),
    "awk": _awk,
    "gawk": _awk,
    "mawk": _awk,
    "sed": _sed,
    "gsed": _sed,
    "find": _find,
    "fd": _find,
    "fdfind": _find,
    "git": _git,
    "sqlite3": _sqlite,
    "rg": _without("--pre", "--hostname-bin", "--search-zip"),
    "sort": _without("--compress-program", "--files0-from"),
    "tar": _tar,
    "dc": _dc,
    "gpg": _without(
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
    "yq": _without("--from-url"),
}
