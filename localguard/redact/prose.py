r"""Restoring placeholders in a model's prose as it streams.

Prose is shown, and what shows it may follow it: a rendered Markdown image is fetched without a click. So a placeholder
stays where a restored value could leave the machine inside an address: http, ws and ftp URLs, `//host` and `www.`
addresses, Markdown destinations (`](…)`, `[x]: …`), CSS `url(…)` and the HTML attributes that hold addresses. Code fences and SEARCH/REPLACE blocks are shown as they are, or written to
files, and are restored whole; so are addresses whose host is this machine.

The state machine decides by what came before a placeholder, never by what follows it, so that any chunking of the same
text gives the same output. What it does not see: addresses put together by the reader (a host in one line, a path in the
next), or by a renderer with a syntax of its own.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum

from localguard.redact import placeholder as placeholders
from localguard.redact.report import Report, Withheld
from localguard.redact.vault import Vault

_BEHIND = 1024  # characters kept of what was consumed: enough to look back over `src   =` or `https:/`
_MAX_LINE_HEAD = 1200  # of a line's beginning: a reference label has at most 999 characters (CommonMark 0.31, 4.7)
_MAX_ADDRESS_HEAD = 2000
_MAX_BRACKETS = 64

_L = r"L(?=G_|G?\Z)"  # where a placeholder may begin
_NORMAL = re.compile(_L + r"|\n|(?<=/)/|(?<=\\)/|(?<=\])[(:]|(?<=[lL])\(|(?<=[fFcCtTnNaArRdDeEgG\s])=|(?<=[wW]{3})\.")
_VERBATIM = re.compile(_L + r"|\n")
_INTERESTING = re.compile(
    r"[L\n/(:=]|[wW]\.|\A\."
)  # without any of these a piece of text changes nothing outside an address
_NOT_SPACE = re.compile(r"\S|\n")

_SCHEME = re.compile(r"(?:https?|wss?|(?<![A-Za-z])ftps?):\\?/\\?\Z", re.IGNORECASE)
_RELATIVE = re.compile(r"(?:\A|[\s\"'`(\[{<>=,;|])/\Z")
_WWW = re.compile(r"(?<![\w.@/-])www\Z", re.IGNORECASE)
_STYLE = re.compile(r"(?<![\w-])url\Z", re.IGNORECASE)
_ATTRIBUTES = ("src", "srcset", "href")
_TAG_ATTRIBUTE = re.compile(
    r"<[A-Za-z][^<>]*[\s\"'/](?:action|formaction|data|poster|background|cite|codebase|code|content|ping|manifest)\s*",
    re.IGNORECASE,
)
"""Attributes that hold an address (HTML standard, index of attributes), but are ordinary words outside a tag."""
_ENDS_IN_ADDRESS = re.compile(r"(?:https?|wss?|ftps?)://[^\s\"'`<>()\[\]{}]*\Z", re.IGNORECASE)
_LOOPBACK = re.compile(
    r"\s*<?(?:https?|wss?)://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?[/?#](?!.*://)",
    re.IGNORECASE | re.DOTALL,
)
_REFERENCE = re.compile(r"[ \t>*+\-0-9.)]*\[(?:[^\[\]\\]|\\.)+\]")

_FENCE = re.compile(r"( *)(`{3,}(?!.*`)|~{3,})")
_LIST_ITEM = re.compile(r" *(?:[-*+]|[0-9]{1,9}[.)]) +")
_SEARCH = re.compile(r"(?:<{5,9}|-{5,9}) SEARCH\b")
_REPLACE = re.compile(r"(?:>{5,9}|\+{5,9}) REPLACE\b")
_HTML_BLOCK = re.compile(  # CommonMark 0.31, 4.6: blocks in which Markdown, fences included, means nothing
    r" {0,3}<(?:!|\?|/?(?:address|article|aside|blockquote|body|center|details|dialog|div|dl|fieldset|figure|footer|form"
    r"|h[1-6]|head|header|html|iframe|link|main|menu|nav|ol|p|pre|script|section|style|summary|table|tbody|td|textarea"
    r"|th|thead|title|tr|ul)(?![\w-]))",
    re.IGNORECASE,
)
_HTML_TAG_ALONE = re.compile(r" {0,3}</?[A-Za-z][^<>]*>\s*\Z")

_URL_STEP = re.compile(_L + r"|[\s\"'`<>()\[\]{}]")
_PLAIN_STEP = re.compile(_L + r"|[\s()]")
_ANGLE_STEP = re.compile(_L + r"|[>\n]")
_BARE_STEP = re.compile(_L + r"|[\s>]")
_QUOTED_STEP = {'"': re.compile(_L + r'|["\n]'), "'": re.compile(_L + r"|['\n]")}
_JSON_HEADS = ("{", "[", '"')
_OPENER = {")": "(", "]": "[", "}": "{"}


class _Kind(Enum):
    URL = "url"
    DESTINATION = "markdown destination"
    ATTRIBUTE = "html attribute"


@dataclass(slots=True)
class _Address:
    """An address that the text is inside of: how it ends, and enough of its beginning to know its host."""

    kind: _Kind
    head: str = ""
    begun: bool = False  # False while only white space came after `](`, `]:` or `=`
    closer: str = ""  # the quote or `>` that ends it, if it has one
    brackets: str = ""  # opened within it and not closed yet
    lines: int = 0  # line breaks before it began

    @property
    def step(self) -> re.Pattern[str]:
        """What to look for next inside it."""
        if not self.begun:
            return _NOT_SPACE
        if self.kind is _Kind.URL:
            return _URL_STEP
        if self.kind is _Kind.DESTINATION:
            return _ANGLE_STEP if self.closer else _PLAIN_STEP
        return _QUOTED_STEP[self.closer] if self.closer else _BARE_STEP

    def is_loopback(self) -> bool:
        """Say whether its host is complete, is this machine, and no second address came after it."""
        return len(self.head) < _MAX_ADDRESS_HEAD and _LOOPBACK.match(self.head) is not None


class ProseRestorer:
    """One stream channel of prose (a content block, a choice): text in, restored text out.

    `feed` returns what can be said so far and holds back at most a possible beginning of a placeholder (47 characters);
    `finish` returns the rest. Never raises; not thread-safe.

    Where the request asked for JSON and the text begins like it, values are written as JSON strings spell them, so that
    the document stays valid.
    """

    def __init__(self, vault: Vault, report: Report, *, asked_for_json: bool = False) -> None:
        self._vault = vault
        self._report = report
        self._may_be_json = asked_for_json  # until the first visible character has come
        self._in_json = False
        self._held = ""
        self._behind = "\n"
        self._line = ""  # the beginning of the current line, as far as it was consumed
        self._previous_blank = True
        self._item_offset: int | None = None  # where the text of a list item on the previous line began
        self._in_html = False
        self._in_edit = False  # inside a SEARCH/REPLACE block
        self._fence: tuple[str, int] | None = None  # its characters, its indentation
        self._check_indent = False  # at the beginning of a line inside an indented fence
        self._address: _Address | None = None

    def feed(self, text: str) -> str:
        """Take the next piece of text, of any length, and return what can be emitted."""
        if self._may_be_json and (head := text.lstrip()[:1]):
            self._may_be_json, self._in_json = False, head in _JSON_HEADS
        if not self._held and self._address is None and not self._check_indent and not _INTERESTING.search(text):
            self._line_grows(text)
            self._behind = (self._behind + text)[-_BEHIND:]
            return text
        return self._advance(text, final=False)

    def finish(self) -> str:
        """Return what was held back; nothing may be fed afterwards."""
        return self._advance("", final=True)

    def _advance(self, text: str, *, final: bool) -> str:
        data = self._behind + self._held + text
        position = clean = len(self._behind)  # data[clean:position] is consumed and not yet emitted
        emitted: list[str] = []
        while True:
            found = self._pattern().search(data, position)
            event = len(data) if found is None else found.start()
            if event > position:
                self._consume(data[position:event])
                position = event
            if found is None:
                break
            character = data[position]
            if self._check_indent or (self._address is not None and not self._address.begun):
                position += self._begin(character)
            elif character == "L":
                end = placeholders.match(data, position, self._vault.is_own)
                if end is not None:
                    emitted += (data[clean:position], self._restore(data[position:end]))
                    self._consume(data[position:end])
                    position = clean = end
                elif not final and self._may_continue(data, position):
                    break
                else:
                    self._consume("L")
                    position += 1
            elif character == "\n":
                position += self._end_line()
            elif self._address is not None:
                position += self._within(self._address, character, data[position - 1])
            else:
                self._open(character, data, position)
                self._line_grows(character)
                position += 1
        emitted.append(data[clean:position])
        self._held = data[position:]
        self._behind = data[max(0, position - _BEHIND) : position]
        return "".join(emitted)

    def _pattern(self) -> re.Pattern[str]:
        if self._check_indent:
            return _NOT_SPACE
        if self._address is not None:
            return self._address.step
        return _VERBATIM if self._in_edit or self._fence is not None else _NORMAL

    def _may_continue(self, data: str, position: int) -> bool:
        return len(data) - position < placeholders.MAX_LENGTH and placeholders.may_continue(data[position:])

    def _consume(self, text: str) -> None:
        self._line_grows(text)
        address = self._address
        if address is not None and address.begun and len(address.head) < _MAX_ADDRESS_HEAD:
            address.head += text

    def _line_grows(self, text: str) -> None:
        if len(self._line) < _MAX_LINE_HEAD:
            self._line += text

    def _restore(self, text: str) -> str:
        known = self._vault.resolve(text)
        if known is None:
            self._report.unknown.append(text)
            return text
        if self._report.keeps(known.type, known.data_class, "prose"):
            return text
        address = self._address
        if address is not None and not address.is_loopback():
            reason = "an address in prose may be followed by whatever shows it"
            self._report.withheld.append(Withheld(known.type, known.data_class, address.kind.value, reason))
            return text
        self._report.restored[known.type] += 1
        if address is None and self._fence is None and not self._in_edit:
            opened = _ENDS_IN_ADDRESS.search(known.value)
            if opened is not None:  # the value is the beginning of an address: what follows stands inside it
                self._address = _Address(_Kind.URL, opened.group(), begun=True)
        return json.dumps(known.value, ensure_ascii=False)[1:-1] if self._in_json else known.value

    def _begin(self, character: str) -> int:
        """Handle the first visible character of an address or of a line in an indented fence; return how many to skip."""
        if character == "\n":
            return self._end_line()
        if self._check_indent:
            self._check_indent = False
            if self._fence is not None and len(self._line) < self._fence[1]:
                self._fence = None  # the list item that held the fence has ended
            return 0
        address = self._address
        if address is None or character == ")":
            self._address = None
            return 0
        address.begun = True
        if address.kind is _Kind.DESTINATION and character == "<":
            address.closer = ">"
        elif address.kind is _Kind.ATTRIBUTE and character in "\"'":
            address.closer = character
            self._line_grows(character)
            return 1
        elif address.kind is _Kind.ATTRIBUTE and character == ">":
            self._address = None
            return 0
        else:
            return 0
        self._consume(character)
        return 1

    def _within(self, address: _Address, character: str, before: str) -> int:
        """Handle a step character inside an address; return 0 where the address has ended before it, else 1."""
        if character in "([{":
            address.brackets = (address.brackets + character)[-_MAX_BRACKETS:]
        elif character in ")]}" and address.brackets.endswith(_OPENER[character]):
            address.brackets = address.brackets[:-1]
        elif before != "\\" or address.kind is not _Kind.DESTINATION:
            self._address = None
            return 0
        self._consume(character)
        return 1

    def _open(self, character: str, data: str, position: int) -> None:
        """Enter an address if `data[position]` begins one."""
        if character == "/":
            scheme = _SCHEME.search(data, max(0, position - 9), position)
            if scheme is not None:
                self._address = _Address(_Kind.URL, scheme.group().replace("\\", "") + "/", begun=True)
            elif _RELATIVE.search(data, max(0, position - 2), position):
                self._address = _Address(_Kind.URL, "//", begun=True)
        elif character == ".":
            if _WWW.search(data, max(0, position - 4), position):
                self._address = _Address(_Kind.URL, "www.", begun=True)
        elif character == "(" and data[position - 1] != "]":
            if _STYLE.search(data, max(0, position - 4), position):
                self._address = _Address(_Kind.ATTRIBUTE)
        elif character == "(" or (character == ":" and _REFERENCE.fullmatch(self._line)):
            self._address = _Address(_Kind.DESTINATION)
        elif character == "=" and (
            data[max(0, position - _BEHIND) : position].rstrip().lower().endswith(_ATTRIBUTES)
            or self._in_tag(data, position)
        ):
            self._address = _Address(_Kind.ATTRIBUTE)

    @staticmethod
    def _in_tag(data: str, position: int) -> bool:
        """Say whether `data[:position]` ends in a tag, in the name of an attribute that holds an address."""
        start = data.rfind("<", max(0, position - _BEHIND), position)
        return start >= 0 and _TAG_ATTRIBUTE.fullmatch(data, start, position) is not None

    def _end_line(self) -> int:
        """Handle a line break: addresses that end there, and what kind of line this was; return 1."""
        line, self._line = self._line.rstrip("\r"), ""
        blank = not line.strip()
        address = self._address
        if address is not None:
            address.lines += 1
            quoted = address.kind is _Kind.ATTRIBUTE and address.closer
            if (
                (blank and address.lines > 1)
                or (address.begun and not quoted)
                or (not address.begun and address.lines > 1)
            ):
                self._address = None
            elif address.begun and len(address.head) < _MAX_ADDRESS_HEAD:
                address.head += "\n"
        if self._in_edit:
            self._in_edit = _REPLACE.match(line) is None
        elif _SEARCH.match(line):
            self._in_edit = True
            self._address = None
        elif self._fence is not None:
            if self._closes_fence(line, self._fence):
                self._fence = None
                self._previous_blank, self._item_offset = False, None
        else:
            self._read_line(line, blank=blank)
        self._check_indent = self._fence is not None and self._fence[1] > 3 and not self._in_edit
        return 1

    def _read_line(self, line: str, *, blank: bool) -> None:
        fence = None if self._in_html else _FENCE.match(line)
        if fence is not None:
            indent = len(fence.group(1))
            in_item = self._item_offset is not None and self._item_offset <= indent <= self._item_offset + 3
            if indent <= 3 or self._previous_blank or in_item:
                self._fence = (fence.group(2), indent)
                self._address = None
        opens_html = _HTML_BLOCK.match(line) or (self._previous_blank and _HTML_TAG_ALONE.match(line))
        self._in_html = not blank and (self._in_html or bool(opens_html))
        self._previous_blank = blank
        item = _LIST_ITEM.match(line)
        self._item_offset = None if item is None else item.end()

    @staticmethod
    def _closes_fence(line: str, fence: tuple[str, int]) -> bool:
        text = line.strip()
        return len(text) >= len(fence[0]) and not text.strip(fence[0][0])


def restore_prose(text: str, vault: Vault, report: Report, *, asked_for_json: bool = False) -> str:
    """Return the whole of `text` restored as `ProseRestorer` does, for replies that do not stream."""
    if placeholders.PREFIX not in text:
        return text
    restorer = ProseRestorer(vault, report, asked_for_json=asked_for_json)
    return restorer.feed(text) + restorer.finish()
