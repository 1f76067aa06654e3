r"""Restoring placeholders in a tool call's arguments as their JSON text streams.

The outermost argument decides (design section 2, P8): file content and paths are restored at once; everything else is held
from its first placeholder to its end and then judged as a whole (`places.judge`). A placeholder is found however its
characters are spelled in JSON (`LG_` as `\u004cG_`); a value is escaped for the JSON string that it goes into.
"""

import copy
import json
import re
from collections.abc import Iterator, Sequence
from typing import Self

from localguard.redact import placeholder as placeholders
from localguard.redact import places
from localguard.redact.judgement import Judged, answered, judge_argument, restore_judged, written
from localguard.redact.places import Place
from localguard.redact.report import Report
from localguard.redact.turnback import count_near_misses, known_in, restore_strings, restore_text, turn_back
from localguard.redact.vault import Vault

MAX_JUDGED = 1024 * 1024
"""Characters of JSON text of one argument that are judged; a longer one counts as reaching beyond this machine."""
_MAX_NOTED = 8 * 1024 * 1024  # of file content looked through for near misses

_STRUCTURE = re.compile(r'["{}\[\],:]')
_IN_STRING = re.compile(r'["\\]|L(?=G|\\|\Z)')
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|[^u]|u)", re.DOTALL)
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_UNIT = re.compile(r"[A-Z0-9_]|\\u00[0-9A-Fa-f]{2}")
_PLAIN_RUN = re.compile(r"[A-Z0-9_]{1,48}")
_RUN_CHARACTER = re.compile(r"[A-Z0-9_]")

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TO_ESCAPE = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')


def escape(value: str) -> str:
    """Return `value` as it stands inside a JSON string: what must be is escaped, all else raw, non-ASCII too."""
    return _TO_ESCAPE.sub(lambda found: _ESCAPES.get(found.group()) or f"\\u{ord(found.group()):04x}", value)


class ArgumentsRestorer:
    """One tool call: its arguments' JSON text in, in any pieces, and out with placeholders restored.

    Interleaved calls take one restorer each. `feed` may raise `UnknownPlaceholder` (see `report`), which ends the reply;
    nothing else is raised, whatever the text: what is no JSON passes as it came, and what a cut-off text still holds comes
    unchanged from `finish`.
    """

    def __init__(self, vault: Vault, tool: str, report: Report) -> None:
        self._vault = vault
        self._tool = tool
        self._report = report
        self._pending = ""  # received and not consumed: an escape or a placeholder that may have begun
        self._out: list[str] = []
        self._depth = 0
        self._in_object = False  # the outermost value is an object
        self._expects_name = False
        self._in_string = False
        self._name: list[str] | None = None  # the argument name being read
        self._argument: str | None = None  # the outermost argument being read; "" where there are no names
        self._place = Place.UNKNOWN
        self._text: list[str] = []  # its JSON text as received; of file content without placeholders
        self._text_length = 0
        self._kept: list[str] | None = None  # from its first placeholder on, where it waits to be judged

    @property
    def holds(self) -> bool:
        """Whether an argument waits for its end to be judged, or may have to: a placeholder may have begun."""
        return self._kept is not None or bool(self._pending)

    def copy_for(self, report: Report) -> Self:
        """A restorer that goes on from here and tells `report`: this one stays as it is."""
        made = copy.copy(self)
        made._report = report
        made._out, made._text = list(self._out), list(self._text)
        made._name = None if self._name is None else list(self._name)
        made._kept = None if self._kept is None else list(self._kept)
        return made

    def feed(self, text: str) -> str:
        """Take the next piece of JSON text and return what can be emitted; raises `UnknownPlaceholder`."""
        data = self._pending + text
        position = 0
        while position < len(data):
            advanced = self._string(data, position) if self._in_string else self._structure(data, position)
            if advanced == position:
                break
            position = advanced
        self._pending = data[position:]
        return self._take()

    def finish(self) -> str:
        """Return what is still held: judged if the text is complete, unchanged if it was cut off."""
        if self._argument == "" and self._depth == 0 and not self._in_string:
            self._end_argument()
        self._emit(self._pending)
        self._pending = ""
        if self._argument is not None and self._place is Place.FILE_CONTENT:
            self._report.near_misses += count_near_misses("".join(self._text), self._vault)
        if self._kept is not None:
            self._out += self._kept
            self._kept = None
        return self._take()

    def _take(self) -> str:
        text = "".join(self._out)
        self._out.clear()
        return text

    def _emit(self, text: str, *, placeholder: str | None = None) -> None:
        """Pass received `text` on, or `placeholder`'s value in its stead, and note it as part of what it belongs to."""
        if self._name is not None:
            self._name.append(text)
        if self._argument is not None and self._text_length <= (
            _MAX_NOTED if self._place is Place.FILE_CONTENT else MAX_JUDGED
        ):
            self._text.append(text if placeholder is None or self._place is not Place.FILE_CONTENT else " ")
            self._text_length += len(text)
        (self._out if self._kept is None else self._kept).append(text if placeholder is None else placeholder)

    def _structure(self, data: str, position: int) -> int:
        found = _STRUCTURE.search(data, position)
        if found is None:
            self._emit(data[position:])
            return len(data)
        character = found.group()
        self._emit(data[position : found.start()])
        if character in ",}" and self._depth == 1 and self._in_object:
            self._end_argument()
        if self._depth == 0 and character in '["' and self._argument is None:
            self._begin_argument("")
        if character == '"':
            self._in_string = True
            if self._expects_name and self._depth == 1:
                self._name = []
                self._out.append(character)
                return found.end()
        elif character in "{[":
            if self._depth == 0:
                self._in_object = self._expects_name = character == "{"
            self._depth += 1
        elif character in "}]":
            self._depth = max(0, self._depth - 1)
        elif character == "," and self._depth == 1:
            self._expects_name = self._in_object
        self._emit(character)
        return found.end()

    def _string(self, data: str, position: int) -> int:
        found = _IN_STRING.search(data, position)
        if found is None:
            self._emit(data[position:])
            return len(data)
        start = found.start()
        if start > position:
            self._emit(data[position:start])
            return start
        if found.group() == '"':
            self._end_string()
            return start + 1
        if found.group() == "\\":
            if _ESCAPE_BEGUN.match(data, start):
                return start
            escaped = _ESCAPE.match(data, start)
            end = len(data) if escaped is None else escaped.end()
            if data[start:end] not in ("\\u004c", "\\u004C"):
                self._emit(data[start:end])
                return end
        else:
            end = start + 1
        run, ends, complete = _run(data, start)
        length = placeholders.match(run, 0, self._vault.is_own)
        if length is not None:
            self._placeholder(data[start : ends[length - 1]], run[:length])
            return ends[length - 1]
        if not complete and placeholders.may_continue(run):
            return start
        self._emit(data[start:end])
        return end

    def _end_string(self) -> None:
        self._in_string = False
        if self._name is None:
            self._emit('"')
            return
        name, self._name = "".join(self._name), None
        self._out.append('"')
        self._expects_name = False
        try:
            self._begin_argument(str(json.loads(f'"{name}"')))
        except ValueError:
            self._begin_argument(name)

    def _begin_argument(self, name: str) -> None:
        self._argument = name
        self._place = places.place_of(self._tool, name)
        self._text.clear()
        self._text_length = 0

    def _placeholder(self, spelled: str, placeholder: str) -> None:
        if self._name is not None:
            reason = "a secret as the name of an argument"
            value = turn_back(placeholder, self._vault, self._report, f"{self._tool}: argument name", withhold=reason)
        elif self._place in places.AT_ONCE:
            in_file = self._place is Place.FILE_CONTENT
            value = turn_back(placeholder, self._vault, self._report, self._where(), in_file=in_file)
        else:
            value = None
            if self._kept is None:
                self._kept = []
        self._emit(spelled, placeholder=None if value is None else escape(value))

    def _where(self) -> str:
        return f"{self._tool}.{self._argument}" if self._argument else self._tool

    def _end_argument(self) -> None:
        """Judge the argument that has just ended, if it waited for that, and pass it on."""
        text, kept = "".join(self._text), self._kept
        if self._place is Place.FILE_CONTENT:
            self._report.near_misses += count_near_misses(text, self._vault)
        if kept is not None:
            self._kept = None
            judged, spelled = self._judge(text)
            held = "".join(kept)
            count = self._restore_held(held, None)[1]
            if count != len(spelled):  # too long, unreadable, or with a key that is repeated
                judged, spelled = Judged(judged.reason or "it is not readable without doubt", {}), [None] * count
            self._out.append(self._restore_held(held, judged, spelled)[0])
        self._argument = None
        self._text.clear()

    def _judge(self, text: str) -> tuple[Judged, list[str | None]]:
        """Judge the whole argument; also return what is written for each of its placeholders, in order."""
        if self._text_length > MAX_JUDGED:
            return Judged("it is too long to judge", {}), []
        try:
            value: object = json.loads(text.lstrip().removeprefix(":"), strict=False)
        except (ValueError, RecursionError):
            return Judged("it is not readable as JSON", {}), []
        tool, argument, vault = self._tool, self._argument or "", self._vault
        judged = answered(judge_argument(value, tool, argument, vault), value, tool, argument, vault, self._report)
        return judged, [one for inner in _texts(value) for one in judged.of(inner, vault)]

    def _restore_held(self, text: str, judged: Judged | None, spelled: Sequence[str | None] = ()) -> tuple[str, int]:
        """Return the JSON text `text`, which begins inside a string, with placeholders turned back, and their number.

        Without `judged` they are only counted.
        """
        parts: list[str] = []
        position = count = 0
        while True:
            found = _IN_STRING.search(text, position)
            if found is None:
                parts.append(text[position:])
                return "".join(parts), count
            start, end = found.start(), found.end()
            if found.group() == "\\":
                escaped = _ESCAPE.match(text, start)
                end = len(text) if escaped is None else escaped.end()
            if found.group() == "L" or text[start:end] in ("\\u004c", "\\u004C"):
                run, ends, _ = _run(text, start)
                length = placeholders.match(run, 0, self._vault.is_own)
                if length is not None:
                    value = None
                    if judged is not None:
                        one = spelled[count]
                        value = written(
                            run[:length], one, self._vault, self._report, self._where(), reason=judged.reason
                        )
                    count += 1
                    own = text[start : ends[length - 1]]
                    parts += (text[position:start], own if value is None else escape(value))
                    position = ends[length - 1]
                    continue
            parts.append(text[position:end])
            position = end


def restore_arguments_json(json_text: str, tool: str, vault: Vault, report: Report) -> str:
    """Return the whole JSON text of a tool call's arguments restored; raises `UnknownPlaceholder`."""
    restorer = ArgumentsRestorer(vault, tool, report)
    return restorer.feed(json_text) + restorer.finish()


def restore_arguments_object(value: object, tool: str, vault: Vault, report: Report) -> object:
    """Return arguments that came as parsed JSON restored: new strings, everything else untouched.

    Raises `UnknownPlaceholder`.
    """
    if not isinstance(value, dict):
        return _restore_argument(value, tool, "", vault, report)
    answer: dict[str, object] = {}
    for name, inner in value.items():
        reason = "a secret as the name of an argument"
        where = f"{tool}: argument name"
        restored_name = restore_text(
            name,
            vault,
            lambda found: turn_back(found, vault, report, where, withhold=reason),  # noqa: B023
        )
        answer[restored_name] = _restore_argument(inner, tool, name, vault, report)
    return answer


def _restore_argument(value: object, tool: str, argument: str, vault: Vault, report: Report) -> object:
    if isinstance(value, int | float) or value is None:
        return value
    place = places.place_of(tool, argument)
    where = f"{tool}.{argument}" if argument else tool
    in_file = place is Place.FILE_CONTENT
    judged: Judged | None = None
    if place not in places.AT_ONCE:
        if not known_in(value, vault):  # nothing to judge; unknown ones are noted below
            judged = Judged("its value is not known", {})
        else:
            judged = judge_argument(value, tool, argument, vault)
            judged = answered(judged, value, tool, argument, vault, report)

    def restore(text: str) -> str:
        if judged is not None:
            return restore_judged(text, judged, vault, report, where)
        if in_file:
            taken_out = restore_text(text, vault, lambda _: " ")
            report.near_misses += count_near_misses(taken_out, vault)
        return restore_text(text, vault, lambda found: turn_back(found, vault, report, where, in_file=in_file))

    return restore_strings(value, restore)


def _texts(value: object) -> Iterator[str]:
    """Yield every key and string of parsed JSON in document order."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            pending += reversed(one)
        elif isinstance(one, dict):
            for name, inner in reversed(one.items()):
                pending += (inner, name)


def _run(data: str, start: int) -> tuple[str, list[int], bool]:
    """Return the placeholder characters that begin at `start`, where each ends in `data`, and whether the run ended there."""
    plain = _PLAIN_RUN.match(data, start)
    if plain is not None and plain.end() < len(data) and data[plain.end()] != "\\":
        return plain.group(), list(range(start + 1, plain.end() + 1)), True
    characters: list[str] = []
    ends: list[int] = []
    position = start
    while len(characters) < placeholders.MAX_LENGTH:
        if len(characters) <= len(placeholders.PREFIX) and not placeholders.PREFIX.startswith("".join(characters)):
            return "".join(characters), ends, True
        unit = _UNIT.match(data, position)
        if unit is None:
            return "".join(characters), ends, position < len(data) and _ESCAPE_BEGUN.match(data, position) is None
        text = unit.group()
        character = text if len(text) == 1 else chr(int(text[2:], 16))
        if not _RUN_CHARACTER.match(character):
            return "".join(characters), ends, True
        characters.append(character)
        position = unit.end()
        ends.append(position)
    return "".join(characters), ends, True
