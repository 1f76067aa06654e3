"""Writing values into shell text with the escapes that their place needs, so that the shell reads exactly the value.

Each placeholder's place is told by reading the text as a shell does. What was written is read again: unless that gives the
same commands as before, with the values in place of the placeholders, nothing that needs escapes is written at all.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from localguard.redact import placeholder as placeholders
from localguard.redact.programs import names
from localguard.redact.shell_commands import Command, NotParsable, Spot, Word
from localguard.redact.shell_syntax import read
from localguard.redact.turnback import restore_text
from localguard.redact.vault import Vault, shell_spellings

Spelled = tuple[str | None, ...]
"""For each own placeholder of a text, in order, what is written in its stead; None where it must stay."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+-]+")
_IN_CODE = re.compile(r"[A-Za-z0-9_.:%+-]+")
_IN_PYTHON = re.compile(r"[^'\"\\{}\x00-\x1f]+")
_PATTERN_CHARACTERS = frozenset("{}[],*?~=")
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_SHELL_OPTION = re.compile(r"-[a-z]*c[a-z]*")
_SHELLS = names("sh bash zsh dash ksh ash")
_CODE = _SHELLS | names("""
    eval trap alias source . perl ruby php node nodejs deno bun awk gawk mawk sed gsed jq yq psql mysql mariadb sqlite3
    printf make just xargs parallel envsubst ssh docker podman kubectl su expect osascript dc bc let redis-cli mongosh
""")
"""Programs that read their words or their input as a language of its own, in which a value may mean something."""


def spell_text(text: str, vault: Vault) -> Spelled:
    """Return how the values of the own placeholders in the shell text `text` are written into it."""
    found = list(placeholders.find(text, vault.is_own))
    values = [_value(text[start:end], vault) for start, end in found]
    plain = tuple(value if value is not None and _PLAIN.fullmatch(value) else None for value in values)
    try:
        commands, spots = read(text)
    except (NotParsable, RecursionError):
        return plain
    spots = sorted(spots, key=lambda spot: spot.start)
    spelled: list[str | None] = []
    for (start, end), value in zip(found, values, strict=True):
        spelled.append(None if value is None else _spell(value, _place(spots, start, end), text, start, end))
    as_code = {
        own
        for command in commands
        for own in dict.fromkeys(_placeholders(command, vault))
        if (value := _value(own, vault)) is not None and not _PLAIN.fullmatch(value) and _as_code(command, own, value)
    }
    spelled = [None if text[start:end] in as_code else one for (start, end), one in zip(found, spelled, strict=True)]
    written = written_text(text, spelled, vault)
    kept = [text[start:end] for (start, end), one in zip(found, spelled, strict=True) if one is None]
    try:
        if not kept and _shape(read(written)[0], None) != _shape(commands, vault):
            return plain
        if (
            kept
        ):  # those that stay are told apart by their text, which may be restored elsewhere: compare as far as known
            return plain if len(read(written)[0]) != len(commands) else tuple(spelled)
    except (NotParsable, RecursionError):
        return plain
    return tuple(spelled)


def spell_words(words: Sequence[str], vault: Vault) -> dict[str, Spelled]:
    """Return how values are written into the words of one command that no shell reads, by word: exactly.

    The script of a shell (`bash -c …`) among them is shell text.
    """
    answer: dict[str, Spelled] = {}
    program = words[0].rpartition("/")[2] if words else ""
    script = False
    for word in words[1:]:
        if script:
            answer[word] = spell_text(word, vault)
            break
        script = program in _SHELLS and _SHELL_OPTION.fullmatch(word) is not None
    if answer:
        return answer
    command = Command(words=[Word(word, quoted=True) for word in words])
    for word in words:
        spelled: list[str | None] = []
        for start, end in placeholders.find(word, vault.is_own):
            value = _value(word[start:end], vault)
            unsure = value is None or (not _PLAIN.fullmatch(value) and _as_code(command, word[start:end], value))
            spelled.append(None if unsure else value)
        answer[word] = tuple(spelled)
    return answer


def written_text(text: str, spelled: Sequence[str | None], vault: Vault) -> str:
    """Return `text` with what `spelled` says written for each of its own placeholders."""
    following = iter(spelled)
    return restore_text(text, vault, lambda _: next(following, None))


def restored_spellings(value: str) -> tuple[str, ...]:
    """Return every way in which a reply's text may spell `value` in its placeholder's stead, the exact one first."""
    in_json = json.dumps(value, ensure_ascii=False)[1:-1]
    return tuple(dict.fromkeys((value, in_json, *shell_spellings(value), quoted_word(value))))


def quoted_word(value: str) -> str:
    """Return `value` as one word of shell text, in single quotes."""
    return "'" + value.replace("'", "'\\''") + "'"


def _value(placeholder: str, vault: Vault) -> str | None:
    known = vault.resolve(placeholder)
    return None if known is None else known.value


def _place(spots: Sequence[Spot], start: int, end: int) -> str:
    at = bisect_right(spots, start, key=lambda spot: spot.start) - 1
    return spots[at].kind if at >= 0 and end <= spots[at].end else ""


def _spell(value: str, kind: str, text: str, start: int, end: int) -> str | None:
    beside = {text[start - 1 : start], text[end : end + 1]}
    if kind == "word":
        plain = _PLAIN.fullmatch(value) and not beside & _PATTERN_CHARACTERS - {"="}
        return value if plain else quoted_word(value)
    if kind == "single":
        return value.replace("'", "'\\''")
    if kind == "double":
        return re.sub(r'[$`"\\]', r"\\\g<0>", value)
    if kind == "body":
        return re.sub(r"[$`\\]", r"\\\g<0>", value)
    if kind == "exact":
        return value
    if kind == "comment":
        return None if "\n" in value else value
    return value if _PLAIN.fullmatch(value) else None


def _placeholders(command: Command, vault: Vault) -> Iterator[str]:
    """Yield the own placeholders in what `command` is given: its words, its here-documents, what it reads and writes."""
    texts = [word.text for word in command.words]
    texts += [text for redirect in command.redirects for text in (redirect.body, redirect.target.text) if text]
    for text in texts:
        for start, end in placeholders.find(text, vault.is_own):
            yield text[start:end]


def _as_code(command: Command, own: str, value: str) -> bool:
    """Say whether `command`, which is given `own`, reads it as code in which `value` may mean something."""
    texts = [word.text for word in command.words]
    for at, text in enumerate(texts):
        name = text.rpartition("/")[2]
        if name == "printf" and at + 1 < len(texts):
            shape = texts[at + 1]
            if own in shape or shape in ("-v", "--") or "b" in shape:
                return True
            continue
        if (
            name == "echo"
            and any(re.fullmatch(r"-[nE]*e[neE]*", option) for option in texts[at + 1 :])
            and "\\" in value
        ):
            return True
        if _PYTHON.fullmatch(name):
            return _IN_PYTHON.fullmatch(value) is None
        if name in _CODE:
            return _IN_CODE.fullmatch(value) is None
    return False


def _shape(commands: Sequence[Command], vault: Vault | None) -> list[object]:
    """Return what `commands` are, with the values of own placeholders put in if there is a vault."""

    def filled(text: str) -> str:
        return text if vault is None else restore_text(text, vault, lambda found: _value(found, vault))

    return [
        (
            [(filled(name), filled(word.text)) for name, word in command.assignments],
            [filled(word.text) for word in command.words],
            [
                (redirect.operator, filled(redirect.target.text), filled(redirect.text or ""))
                for redirect in command.redirects
            ],
        )
        for command in commands
    ]
