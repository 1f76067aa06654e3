"""Programs that run code: whether what they are given as code, or read from standard input, stays on this machine."""

import re
from collections.abc import Callable, Sequence

from localguard.redact import script
from localguard.redact.programs import PYTHON_MODULES, names
from localguard.redact.shell_commands import Word

_SED_RUNS = re.compile(
    r"(?:^|[;{}\n])\s*(?:[0-9$]+|/(?:\\.|[^/\n])*/)?(?:,(?:[0-9$]+|/(?:\\.|[^/\n])*/))?\s*!?\s*e(?:\s|$)"
)
_SED_FLAG = re.compile(
    r"s(?P<mark>[^\w\s\\])(?:\\.|(?!(?P=mark)).)*(?P=mark)(?:\\.|(?!(?P=mark)).)*(?P=mark)[a-zA-Z0-9]*e", re.DOTALL
)
_SQLITE_COMMANDS = names("""
    tables schema headers header mode dump indexes indices databases width timeout bail echo nullvalue separator stats print
    quit exit explain fullschema changes timer show help
""")


def coverage(words: Sequence[Word]) -> str | None:
    """Say why `coverage` with these arguments may leave this machine, None where it stays."""
    if not words or words[0].text != "run":
        return None
    plain = [word.text for word in words[1:]]
    if "-m" in plain[:-1] and plain[plain.index("-m") + 1] in PYTHON_MODULES:
        return None
    return "Python runs a script that is not seen here"


def python(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why Python with these arguments, or on this standard input, may leave this machine, None where it stays."""
    index = 0
    while index < len(words) and words[index].text.startswith("-") and words[index].text != "-":
        text = words[index].text
        index += 1
        if text in ("-X", "-W"):
            index += 1
        elif text == "-m" or re.fullmatch(r"-[BEIOPSbdqsuv]+m", text):
            if index < len(words) and words[index].text == "coverage":
                return coverage(words[index + 1 :])
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


def node(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why Node with these arguments, or on this standard input, may leave this machine, None where it stays."""
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


def with_code_option(language: str, options: str) -> Callable[[Sequence[Word], str | None, int], str | None]:
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


def awk(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why an AWK program may leave this machine, None where it stays."""
    index = 0
    while index < len(words) and words[index].text.startswith("-"):
        if words[index].text not in ("-F", "-v") and not words[index].text.startswith(("-F", "-v")):
            return "awk has an option that is not known"
        index += 2 if words[index].text in ("-F", "-v") else 1
    if index >= len(words):
        return None
    return script.other_reaches_beyond(words[index].text.replace("||", " "), "AWK")


def sed(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why sed may start other programs, None where it edits only."""
    for word in words:
        if re.match(r"-[a-zA-Z]*f|--file", word.text) and not word.text.startswith("-i"):
            return "sed runs a script that is not seen here"
        if _SED_RUNS.search(word.text) or _SED_FLAG.search(word.text):
            return "sed starts other programs"
    return None


def sqlite(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why sqlite3, by its arguments or its standard input, may start programs or load code, None where it does not."""
    for text in [word.text for word in words] + ([stdin] if stdin else []):
        if re.search(r"load_extension|edit\s*\(|\|", text.replace("||", " ")):
            return "sqlite3 starts other programs"
        if any(found not in _SQLITE_COMMANDS for found in re.findall(r"^\s*\.([a-z]+)", text, re.MULTILINE)):
            return "sqlite3 is given a command that is not known to stay on this machine"
    return None


def dc(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why dc may start other programs, None where it calculates only."""
    texts = [word.text for word in words] + ([stdin] if stdin else [])
    return "dc starts other programs" if any("!" in text for text in texts) else None
