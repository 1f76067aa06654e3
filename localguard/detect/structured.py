"""Secrets whose name stands in another line or column: tables, SQL inserts, Kubernetes secrets, names beside values.

Each reader starts at a line that its gate points out and goes over the lines after it, at most REACH bytes.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from localguard.detect import exchanges
from localguard.detect.alone import drawn_message
from localguard.detect.context_validators import handed_over, not_placeholder
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.gated import Gated
from localguard.detect.keynames import is_weak_key, secret_key_type
from localguard.detect.literals import literal_value
from localguard.detect.prefilter import Gate
from localguard.detect.randomness import surprise
from localguard.detect.words import is_distinctive

REACH: Final = 8192  # bytes after the line of the gate that a reader sees, rounded down to whole lines
_NEAR: Final = 600  # the same for readers that need a few lines only

_HINT: Final = (
    r"(?i:passw|passphrase|pwd|secret|token|api[ _-]?key|passwort|kennwort|mot de passe|mdp|contrase|senha|wachtwoord|has.{1,2}o|"
    r"heslo|parola|salasana|credential)|парол|Парол|密码|パスワード|비밀번호"
)
_GATES: Final[dict[str, tuple[str, int]]] = {
    "table/separated": (
        r"[,;\t|][ \t\"'`*]*(?:" + _HINT + r"|(?i:pass|pw)[ \t\"'`*,;|])[\w ]*[\"'`* ]*(?:[,;\t|]|\r?(?:\n|$))|"
        r"[,;\t|][ \t]*(?i:pass|pw)[ \t]*\r?(?:\n|$)|[a-zA-Z][ ]{2}[^\n]*(?:" + _HINT + r")[\w ]*\r?(?:\n|$)|"
        r"(?:^|\n)[\"'|]?[ \t]*(?:" + _HINT + r")[\w ]*[\"' ]*[,;\t|]",
        REACH,
    ),
    "table/html": (r"<th[^<>]*>[ \t]*(?:" + _HINT + r")", REACH),
    "table/insert": (r"(?i:insert[ \t]+(?:ignore[ \t]+)?into)[ \t]+[^\n(]*\([^\n)]*(?:" + _HINT + ")", REACH),
    "structured/kubernetes": (
        r"kind[\"']?:[ \t]+[\"']?Secret\b|(?:^|\n)[ \t]*[\"']?(?:stringD|d)ata[\"']?:[ \t]*\r?(?:\n|$)",
        4096,
    ),
    "structured/variable": (r"variable[ \t]+\"[\w-]*(?:" + _HINT + r")[\w-]*\"[ \t]*\{", _NEAR),
    "structured/named": (
        r"<name>[^<\n]*(?:"
        + _HINT
        + r")[^<\n]*</name>|\"ParameterKey\"|\"[\w.-]*(?:"
        + _HINT
        + r"|(?i:pass|pw)\")[\w.-]*\"?[ \t]*:[ \t]*\{",
        _NEAR,
    ),
    "structured/joined": (
        r"(?:"
        + _HINT
        + r")[\w]*[\"'\]]*[ \t]*(?:[:=]|=>|:=)[ \t]*\(?[ \t]*(?:\\?\r?\n|[\"'][^\"'\n]*[\"'][ \t]*[+.&\\]?[ \t]*\\?\r?(?:\n|$))",
        _NEAR,
    ),
    "structured/answer": (
        r"[$>#][ \t]+(?:echo|cat|printenv|SELECT|select|vault|kubectl|pass|op|aws|security|gcloud|az)[ \t][^\n]*(?:"
        + _HINT
        + r"|(?i:credential|pass\b))",
        _NEAR,
    ),
    "structured/lone": (r"(?:^|\n)[ \t\"'`]*[A-Za-z0-9+/_-]{20}[A-Za-z0-9+/_-]*={0,2}[ \t\"'`]*\r?(?:\n|$)", 4),
    **exchanges.GATES,
    "structured/netrc": (
        r"(?:^|\n)[ \t]*(?:machine[ \t]+\S+|<auth-user-pass>|default[ \t]*\r?)[ \t]*\r?(?:\n|$)",
        _NEAR,
    ),
}
_Span = tuple[int, int, str]


class StructuredEngine(Gated):
    """Reads lines together behind its gates."""

    def __init__(self) -> None:
        super().__init__(
            [
                Gate(
                    name,
                    pattern.encode(),
                    reach,
                    apart=True,
                    context=True,
                    together="lines" if name in exchanges.GATES else "structured",
                )
                for name, (pattern, reach) in _GATES.items()
            ]
        )

    def examine(self, window: Window) -> Iterator[Finding]:
        """The secrets of the structures in `window`; offsets are in the whole text."""
        self.load()
        for gate in self._gates:
            if gate.name in window.gates:
                alone = gate.name == "structured/lone"
                whole = _message(window) if alone else None
                spans = (
                    [whole]
                    if whole
                    else _lone(window)
                    if alone
                    else _read(window.text, self._patterns[gate.name], gate)
                )
                for start, end, kind in spans:
                    value = window.text[start:end].decode("utf-8", "replace")
                    yield Finding(
                        window.start + start,
                        window.start + end,
                        kind,
                        DataClass.SECRET,
                        MESSAGE if whole else gate.name,
                        is_distinctive(value),
                    )


def _read(text: bytes, pattern: Any, gate: Gate) -> Iterator[_Span]:
    """The spans that the reader of `gate` finds, in bytes of `text`. A block that was read is not read again."""
    read, position = _READERS[gate.name], 0
    while (found := pattern.search(text, position)) is not None:
        low = text.rfind(b"\n", 0, found.start() + (text[found.start() : found.start() + 1] == b"\n")) + 1
        if text[found.start() : found.start() + 1] == b"\n":
            low = found.start() + 1
        right = text.find(
            b"\n", max(found.start(), low)
        )  # of the first line, where the gate asks for the next ones too
        right = len(text) if right < 0 else right
        high = min(len(text), right + gate.reach)
        if high < len(text):
            high = max(right, text.rfind(b"\n", right, high))
        block = text[low:high].decode("utf-8", "surrogateescape")
        consumed = 0
        for start, end, kind in read(block):
            first = len(block[:start].encode("utf-8", "surrogateescape"))
            size = len(block[start:end].encode("utf-8", "surrogateescape"))
            consumed = max(consumed, first + size)
            yield low + first, low + first + size, kind
        position = max(right, low + consumed, min(found.end(), right + 1), found.start() + 1)


_LONE: Final = re.compile(rb"(?m)^([A-Za-z0-9+/_-]{24,100}={0,2})[ \t]*\r?$")
_EDGE_LINE: Final = re.compile(rb"[ \t\r]*(?:[`~]{3}\w*)?[ \t\r]*")


MESSAGE: Final = "structured/message"
"""The rule of what is all that a text says. Whoever knows that the text is no message leaves it: a member of a data structure,
an id in a header, a nested JSON text."""
_MESSAGE: Final = re.compile(rb"\s*[\"'`]*([A-Za-z0-9+/_-]{20,100}={0,2})[\"'`]*\s*")


def _message(window: Window) -> _Span | None:
    """A value that was drawn at random and is all that the text says: somebody hands it over, or a tool printed it."""
    found = _MESSAGE.fullmatch(window.text) if window.start == 0 and not window.cut_right else None
    return (*found.span(1), "SECRET") if found and drawn_message(found[1].decode()) else None


def _lone(window: Window) -> Iterator[_Span]:
    """A generated value that is a paragraph or a code block by itself: nothing of a longer base64 text.

    A text that is nothing else is a matter of `_message`.
    """
    text = window.text
    for found in _LONE.finditer(text):
        start, end = found.span(1)
        before = text[text.rfind(b"\n", 0, start - 1) + 1 : start - 1] if start else b""
        after = text[found.end() + 1 : (text.find(b"\n", found.end() + 1) + len(text) + 1) % (len(text) + 1)]
        if (start == 0 and window.start > 0) or not (_EDGE_LINE.fullmatch(before) and _EDGE_LINE.fullmatch(after)):
            continue
        if text.strip() != found[1] and handed_over(found[1].decode(), ""):
            yield start, end, "SECRET"


def _lines(block: str) -> Iterator[tuple[int, str]]:
    """Each line with the place of its start, cut off when it is asked for: most readers stop long before the block's end."""
    position = 0
    while position <= len(block):
        end = block.find("\n", position)
        end = len(block) if end < 0 else end
        yield position, block[position:end].rstrip("\r")
        position = end + 1


def _kind(key: str) -> str | None:
    """The type of a column or name, weak ones aside."""
    name = key.strip(" \t\"'`*_:")
    return None if len(name) > 40 or is_weak_key(name) else secret_key_type(name)


_ODD_WORD: Final = 4.2  # mean surprise of letter pairs in a cell of letters that is no word
_CELL_EDGE: Final = " \t\"'`*"


def _cells(line: str, separator: str) -> list[tuple[int, int]]:
    """The spans of the cells of a line; separators inside double quotes do not count."""
    spans, start, quoted = [], 0, False
    for index, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            spans.append((start, index))
            start = index + 1
    spans.append((start, len(line)))
    return spans


def _bare(line: str, start: int, end: int) -> tuple[int, int]:
    while start < end and line[start] in _CELL_EDGE:
        start += 1
    while end > start and line[end - 1] in _CELL_EDGE:
        end -= 1
    return start, end


def _separated(block: str) -> Iterator[_Span]:
    """Columns of CSV, TSV, Markdown and database clients, named by the first line."""
    lines = _lines(block)
    header = next(lines)[1]
    separator = max("|\t;,", key=header.count)
    if separator not in header and "  " in header.strip():
        yield from _aligned(header, lines)
        return
    names = [header[slice(*_bare(header, *span))] for span in _cells(header, separator)]
    columns = {index: kind for index, name in enumerate(names) if (kind := _kind(name))}
    if not columns or sum(map(bool, names)) < 2 or not all(re.fullmatch(r"[\w .()/#*-]{0,40}", name) for name in names):
        return
    for place, line in lines:
        if re.fullmatch(r"[\s|:+-]*", line):
            if not line.strip():
                return
            continue
        cells = _cells(line, separator)
        if len(cells) != len(names):
            return
        for index, kind in columns.items():
            start, end = _bare(line, *cells[index])
            value = line[start:end]
            if _cell_value(value, kind):
                yield place + start, place + end, kind
            elif _kind(value):
                return  # the next table's head, which is read by itself: repeated heads would cost their square


def _aligned(header: str, lines: Iterator[tuple[int, str]]) -> Iterator[_Span]:
    """Columns that two spaces or more keep apart."""
    names = re.split(r" {2,}", header.strip())
    kinds = {index: kind for index, name in enumerate(names) if (kind := _kind(name))}
    for place, line in lines:
        cells = list(re.finditer(r"\S+(?: \S+)*", line))
        if len(cells) != len(names):
            return
        for index, kind in kinds.items():
            if _cell_value(cells[index][0], kind):
                yield place + cells[index].start(), place + cells[index].end(), kind


def _cell_value(value: str, kind: str) -> bool:
    if " " in value or not not_placeholder(value) or _NAMES.fullmatch(value):
        return False
    if kind == "PASSWORD":
        odd = not value.isalpha() or (len(value) >= 6 and surprise(value) >= _ODD_WORD)
        return odd and literal_value(value, "password", "quoted")
    return len(value) >= 8 and literal_value(value, "token", "quoted")


_NAMES: Final = re.compile(r"[a-z]+(?:_[a-z]+)+\d?|[a-z_]+=\S+")  # of columns; of arguments, with their value


_TAGS: Final = re.compile(r"<(/?)(t[hdr])\b[^<>]*>([^<]*)")


def _html(block: str) -> Iterator[_Span]:
    """Columns of an HTML table, named by its header cells."""
    names: list[str] = []
    column = -1
    for found in _TAGS.finditer(block):
        tag = found[1] + found[2]
        if tag == "th":
            names.append(found[3])
        elif tag == "tr":
            column = -1
        elif tag == "td":
            column += 1
            start, end = found.span(3)
            start, end = _bare(block, start, end)
            kind = _kind(names[column]) if column < len(names) else None
            if kind and _cell_value(block[start:end], kind):
                yield start, end, kind


_INSERT: Final = re.compile(
    r"(?i)insert\s+(?:ignore\s+)?into\s+[^\s(]+\s*\(([^)]*)\)\s*(?:overriding\s+\w+\s+value\s+)?values\s*"
)
_SQL_VALUE: Final = re.compile(
    r"\s*(?:[nNeE]?'((?:[^'\\]|''|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|((?:[^,()'\"]|\([^()]*\))*))\s*([,)])"
)


def _insert(block: str) -> Iterator[_Span]:
    """The values of an INSERT that stand in the place of a column that holds secrets."""
    head = _INSERT.search(block)
    if head is None:
        return
    kinds = [_kind(name) for name in head[1].split(",")]
    position = head.end()
    while (row := re.compile(r"\s*,?\s*\(").match(block, position)) is not None:
        position, column = row.end(), 0
        while (value := _SQL_VALUE.match(block, position)) is not None:
            position = value.end()
            kind = kinds[column] if column < len(kinds) else None
            group = 1 if value.start(1) >= 0 else 2
            if kind and value.start(group) >= 0 and _cell_value(value[group], kind):
                yield *value.span(group), kind
            column += 1
            if value[4] == ")":
                break
        else:
            return


_PAIR: Final = re.compile(r"^([ \t]+)[\"']?([\w.-]+)[\"']?:[ \t]+[\"']?([^\s\"'|>{][^\s\"']*)[\"']?[ \t]*,?$")


def _kubernetes(block: str) -> Iterator[_Span]:
    """Every value under `data` and `stringData` of a Secret: base64, or as it is."""
    if not re.search(r"(?m)^[ \t]*[\"']?kind[\"']?:[ \t]+[\"']?Secret\b", block):
        return
    inside, seen = "", 0
    for place, line in _lines(block):
        seen += "kind" in line
        if line.startswith("---") or seen > 1:
            return  # the next document, which is read by itself
        section = re.match(r"([ \t]*)[\"']?(data|stringData)[\"']?:[ \t]*\{?$", line)
        pair = _PAIR.match(line)
        if section:
            inside = section[2]
        elif inside and pair:
            value = pair[3]
            encoded = inside == "data" and len(value) >= 8 and re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", value)
            plain = inside == "stringData" and not value.isalpha() and literal_value(value, "password", "quoted")
            if (encoded or plain) and not re.search(r"(?i)user|host|port|\.crt|certificate", pair[2]):
                yield place + pair.start(3), place + pair.end(3), "SECRET"
        elif inside and line.strip() and not line.startswith((" ", "\t")):
            inside = ""


_DEFAULT: Final = re.compile(r"variable\s+\"([\w-]+)\"\s*\{[^{}]*?\bdefault\s*=\s*\"((?:[^\"\\\n$]|\\.)+)\"")


def _variable(block: str) -> Iterator[_Span]:
    """The default of a Terraform variable."""
    found = _DEFAULT.match(block, max(0, block.find("variable")))
    if found and (kind := _kind(found[1])) and literal_value(found[2], found[1], "quoted"):
        yield *found.span(2), kind


_NAMED: Final = re.compile(
    r"<name>\s*([\w.-]+)\s*</name>\s*<value>([^<\n]+)</value>|\"ParameterKey\"\s*:\s*\"([\w.-]+)\"\s*,\s*\"ParameterValue\"\s*:\s*\"([^\"\n]+)\""
    r"|\"([\w.-]+)\"\s*:\s*\{[^{}]{0,300}?\"(?:value|default|Value|Default)\"\s*:\s*\"([^\"\n]+)\""
)


def _named(block: str) -> Iterator[_Span]:
    """Name and value as elements or members: Hadoop, CloudFormation, Terraform outputs."""
    for found in _NAMED.finditer(block[: _NEAR * 2]):
        group = next(index for index in (1, 3, 5) if found.start(index) >= 0)
        kind = _kind(found[group])
        if kind and literal_value(found[group + 1], found[group], "quoted"):
            yield *found.span(group + 1), kind


_KEYED: Final = re.compile(r"([\w.$-]{1,60})[\"'\]]*[ \t]*(?::=|=>|[:=])[ \t]*\(?[ \t]*\\?\r?\n?[ \t]*(?=[\"'])")
_LITERAL: Final = re.compile(
    r"[ \t]*[bfr]?(?:\"([^\"\\\n]*)\"|'([^'\\\n]*)')[ \t]*(?:[+.&\\][ \t]*)?\\?\r?\n?[ \t]*(?:[+.&][ \t]*)?"
)


def _joined(block: str) -> Iterator[_Span]:
    """String literals that stand one after the other, over lines: each is a piece of the value."""
    head = block.find("\n", block.find("\n") + 1)
    found = _KEYED.search(block, 0, head if head > 0 else len(block))
    if found is None or (kind := _kind(found[1])) is None:
        return
    spans: list[tuple[int, int]] = []
    position, lines = found.end(), "\n" in found[0]
    while len(spans) < 16 and (literal := _LITERAL.match(block, position)) is not None:
        group = 1 if literal.start(1) >= 0 else 2
        spans.append(literal.span(group))
        position = literal.end()
        lines = lines or "\n" in literal[0]
        if not re.search(r"[+.&\\\n]", literal[0][literal.end(group) - literal.start() + 1 :]):
            break
    whole = "".join(block[slice(*span)] for span in spans)
    if lines and (len(spans) > 1 or "\n" in found[0]) and literal_value(whole, found[1], "quoted"):
        for start, end in spans:
            if end - start >= 3:
                yield start, end, kind


def _answer(block: str) -> Iterator[_Span]:
    """The line that answers a command about a secret."""
    for place, line in islice(_lines(block), 1, 2):
        value = line.strip(" \t>`\"'")
        if len(value) < 6 or " " in value or value.isalpha() or value.startswith("/"):
            continue
        if not_placeholder(value) and literal_value(value, "password", "bare"):
            start = place + line.find(value)
            yield start, start + len(value), "PASSWORD"


def _netrc(block: str) -> Iterator[_Span]:
    """login and password on lines of their own, and OpenVPN's inline pair."""
    lines = list(islice(_lines(block), 5))
    if "<auth-user-pass>" in lines[0][1] or (len(lines) > 1 and "<auth-user-pass>" in lines[1][1]):
        first = 0 if "<auth-user-pass>" in lines[0][1] else 1
        for place, line in lines[first + 2 : first + 3]:
            if not_placeholder(line.strip()):
                yield place, place + len(line.rstrip()), "PASSWORD"
        return
    for place, line in lines[1:5]:
        found = re.match(r"[ \t]*password[ \t]+(\S+)", line)
        if found and not_placeholder(found[1]):
            yield place + found.start(1), place + found.end(1), "PASSWORD"


_READERS: Final = {
    "table/separated": _separated,
    "table/html": _html,
    "table/insert": _insert,
    "structured/kubernetes": _kubernetes,
    "structured/variable": _variable,
    "structured/named": _named,
    "structured/joined": _joined,
    "structured/answer": _answer,
    "structured/netrc": _netrc,
    **exchanges.READERS,
}
