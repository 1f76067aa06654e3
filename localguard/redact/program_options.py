"""Build tools, git and archivers: which of their verbs, options and settings keep them on this machine."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from localguard.redact.address import is_this_machine
from localguard.redact.programs import (
    BUILD_OPTIONS,
    BUILDS,
    GIT_LOCAL,
    GIT_SETTINGS,
    HARMLESS_RUNNER,
    RUNNER_VARIABLES,
    SCRIPT_LEAVES,
    SEARCH_VARIABLES,
    STANDARD_DIRECTORIES,
)
from localguard.redact.shell_commands import Word

AWAY = "it has an address that is not this machine's"
_URL = re.compile(r"(?=[a-z][a-z0-9+.-]{1,30}://)", re.IGNORECASE)
_MAKE_READS = re.compile(r"(?:-\w*f|--(?:file|makefile)=?) ?(?:-|/dev/\S*).*|--ev(?:al?)?[= ].*|-E.*", re.DOTALL)
_REMOTE_ARCHIVE = re.compile(r"(?!-)[^/:]+:|--file=[^/:]+:|-\w*f[^/:]+:")


def changes_programs(name: str, value: str) -> bool:
    """Whether a variable of this name and value changes which programs run, or what they do."""
    name = name.removesuffix("+").partition("[")[0]
    if SEARCH_VARIABLES.fullmatch(name):
        return not (name == "PATH" and STANDARD_DIRECTORIES.fullmatch(value))
    return RUNNER_VARIABLES.fullmatch(name) is not None and HARMLESS_RUNNER.fullmatch(value) is None


def starts(words: Sequence[Word], options: Sequence[str]) -> bool:
    """Whether a word is one of `options`, with its value or without, or shortened as GNU programs let long ones be."""
    for word in words:
        option = word.text.partition("=")[0]
        shortened = len(option) > 3 and option.startswith("--")
        if word.text.startswith(tuple(options)) or (shortened and any(one.startswith(option) for one in options)):
            return True
    return False


def without(*options: str) -> Callable[[Sequence[Word], str | None, int], str | None]:
    """Return the judgement of a program that stays here unless one of `options` begins an argument."""

    def judge(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
        if starts(words, options):
            return "it has an option that makes it start other programs or reach out"
        return None

    return judge


def build(name: str, words: Sequence[Word]) -> str | None:
    """Say why the build tool `name` may leave this machine with these arguments, None where it stays."""
    taking = ("-C", "-f") if name == "make" else ()
    plain = [
        word
        for before, word in pairwise([Word(""), *words])
        if not word.text.startswith(("-", "+")) and before.text not in taking
    ]
    allowed = BUILDS[name]
    if name == "make" and any("=" in word.text and "(" in word.text for word in words):
        return "make is given a function"
    if name == "make" and any(changes_programs(*word.text.partition("=")[::2]) for word in words):
        return "make is given another program"
    if name == "make" and any(
        _MAKE_READS.fullmatch(f"{one.text} {two.text}") for one, two in pairwise([*words, Word("")])
    ):
        return "make reads rules that are not in a file"
    if starts(words, BUILD_OPTIONS.get(name, ())):
        return f"{name} has an option that makes it start other programs or reach out"
    if any(_URL.search(word.text) and not is_this_machine(_URL.split(word.text, maxsplit=1)[1]) for word in words):
        return AWAY
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


def git(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why git may leave this machine or start other programs with these arguments, None where it stays."""
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
    if verb in ("rebase", "archive", "grep") and starts(
        words[index + 1 :], ("-x", "--exec", "--remote", "--upload-pack", "-O", "--open-files-in-pager")
    ):
        return "git starts other programs or reaches out"
    return None


def tar(words: Sequence[Word], stdin: str | None, nesting: int) -> str | None:
    """Say why tar may leave this machine or start other programs with these arguments, None where it stays."""
    if any(_REMOTE_ARCHIVE.match(word.text) for word in words):
        return "tar writes to or reads from another machine"
    return without(
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
