"""The leaves of a reply, each restored by its place: prose, arguments of calls, free-text input, opaque and signed ones.

What was restored is remembered, so that it goes back upstream as the model wrote it when the agent sends it again.
"""

import json
from collections.abc import Mapping

import orjson

from localguard.errors import LocalguardError
from localguard.exchange.calls import SEARCH_MARK, ToolCall, files_in_prose
from localguard.exchange.memory import Restored, WorkspaceMemory
from localguard.redact.judgement import Judged, restore_judged
from localguard.redact.quoting import restored_spellings
from localguard.redact.restorer import (
    Report,
    restore_arguments_json,
    restore_arguments_object,
    restore_freeform,
    restore_prose,
)
from localguard.wire import responses
from localguard.wire.format import Path, StreamReader, WireFormat, get_path, mapping
from localguard.wire.json_edit import Document, Edit, JsonInvalid, Leaf, LeafKind, parse, splice, string_token
from localguard.wire.table import Kind, Node

_MAX_CALL = 65_536
"""Characters of one tool call's arguments that are kept for the log."""


_PIECE = Judged("it may be a piece of a longer argument", {})
"""Of what a stream calls arguments and what is no JSON document of its own."""


class ReplyRefused(LocalguardError):
    """The reply cannot be given to the agent; what went before it stands. No raw value in the message."""


class LeafRestorer:
    """Restores the leaves of one reply's events, or of the whole of it; notes its tool calls.

    `reader` has read every event before its leaves are restored.
    """

    def __init__(
        self, format: WireFormat, memory: WorkspaceMemory, reader: StreamReader, *, asked_for_json: bool = False
    ) -> None:
        self._format = format
        self._memory = memory
        self._reader = reader
        self._asked_for_json = asked_for_json
        self.tool_calls: list[ToolCall] = []
        self.files: list[str] = []
        """Those that edits in prose change."""

    def note_call(self, tool: str, arguments: str) -> None:
        """Keep a tool call, as the model wrote it, for the log."""
        self.tool_calls.append(ToolCall(tool, arguments[:_MAX_CALL]))

    def note_prose(self, text: str) -> None:
        """Keep what edits in a text that the model wrote change, for the log."""
        self.files += files_in_prose(text)

    def note_prose_of(self, reply: object) -> None:
        """The same for each text of a whole reply."""
        for text in _strings(reply):
            if SEARCH_MARK in text:
                self.note_prose(text)

    def restore(
        self,
        value: object,
        data: bytes,
        changed: Mapping[Path, str],
        handled: set[Path],
        report: Report,
        *,
        calls: bool,
        whole: bool = False,
    ) -> bytes | None:
        """`data` with `changed` leaves written and every other leaf restored by its place; None if nothing changed."""
        try:
            document = parse(data, self._format.reply, lenient=True)
        except JsonInvalid:
            return self._restore_doubtful(value, data, changed, whole)
        edits: list[Edit] = []
        root: Path | None = None
        inputs: list[str] = []
        for leaf in document.leaves:
            kind = leaf.place.kind
            if leaf.kind is LeafKind.NUMBER:
                continue
            text = leaf.text
            if kind is Kind.INPUT:
                path = _path(leaf)
                if root is None or path[: len(root)] != root:
                    root = _input_root(self._format.reply, path)
                    inputs = self._input(document, root, report, calls=calls)
                new = inputs.pop() if inputs else text
            elif leaf.kind is LeafKind.STRING and handled and (path := _path(leaf)) in handled:
                new = changed.get(path, text)
            else:
                called = kind in (Kind.ARGUMENTS, Kind.FREEFORM) and leaf.kind is LeafKind.STRING
                if calls and called:
                    self.note_call(self._tool(document, _path(leaf)), text)
                if "LG_" not in text and not (called and "\\u004" in text):
                    continue
                if kind is Kind.SIGNED or _is_opaque(leaf):
                    continue
                new = self._restore_leaf(document, leaf, report, whole=whole)
            if new != text:
                edits.append(Edit(leaf.start, leaf.end, string_token(new)))
        return splice(data, edits) if edits else None

    def _restore_doubtful(self, value: object, data: bytes, changed: Mapping[Path, str], whole: bool) -> bytes | None:
        """`data` that repeats a key or is nested too deeply, read as most readers do: the last one counts.

        Raises ReplyRefused for a whole reply with placeholders in it.
        """
        if not changed:
            if whole and self._memory.vault.own_spans(data):
                raise ReplyRefused("the reply holds placeholders and repeats a key or is nested too deeply")
            return None
        for path, new in changed.items():
            holder = get_path(value, path[:-1])
            holder[path[-1]] = new
        try:
            return json.dumps(value, separators=(",", ":")).encode("ascii")
        except RecursionError:
            raise ReplyRefused("an event of the reply is nested too deeply") from None

    def _restore_leaf(self, document: Document, leaf: Leaf, report: Report, *, whole: bool) -> str:
        vault, text, kind = self._memory.vault, leaf.text, leaf.place.kind
        json_text = kind is Kind.ARGUMENTS and text.lstrip()[:1] in ("{", "[", '"')
        if leaf.kind is LeafKind.STRING and kind in (Kind.ARGUMENTS, Kind.FREEFORM):
            tool = self._tool(document, _path(leaf))
            if kind is Kind.ARGUMENTS and not json_text and not whole:
                return restore_judged(text, _PIECE, vault, report, tool or "arguments")
            restore = restore_arguments_json if json_text else restore_freeform
            new = restore(text, tool, vault, report)
        else:
            new = restore_prose(text, vault, report, asked_for_json=self._asked_for_json)
        if new != text:
            self.remember(text, new, arguments=json_text)
        return new

    def _tool(self, document: Document, path: Path) -> str:
        """The tool whose call holds the leaf at `path`: the name beside it, or the one the stream began it with."""
        holder = mapping(get_path(document.value, path[:-1]))
        for name in (holder.get("name"), mapping(holder.get("function")).get("name"), holder.get("tool_name")):
            if isinstance(name, str) and name:
                return name
        if self._format is responses.RESPONSES:
            if isinstance(self._reader, responses.ResponsesStream) and (
                tool := self._reader.tool_at(holder.get("output_index"))
            ):
                return tool
            return responses.tool_of(holder)
        return ""

    def _input(self, document: Document, root: Path, report: Report, *, calls: bool) -> list[str]:
        """The keys and strings of a whole call's arguments, restored, last one first."""
        value = get_path(document.value, root)
        tool = self._tool(document, root)
        if calls:
            self.note_call(tool, _json_text(value))
        new: object
        if isinstance(value, str):
            json_text = value.lstrip()[:1] in ("{", "[")
            new = (restore_arguments_json if json_text else restore_freeform)(value, tool, self._memory.vault, report)
        else:
            new = restore_arguments_object(value, tool, self._memory.vault, report)
        before, after = _strings(value), _strings(new)
        if len(before) != len(after):  # two names became one: what is not sure is left
            return []
        self._remember_all(before, after)
        return after[::-1]

    def remember(self, read: str, written: str, *, arguments: bool) -> None:
        """Remember where a whole text, or each text in a call's JSON arguments, was given values."""
        if not arguments:
            self._remember_text(read, written)
            return
        try:
            before, after = _strings(orjson.loads(read)), _strings(orjson.loads(written))
        except orjson.JSONDecodeError:
            return
        if len(before) == len(after):
            self._remember_all(before, after)

    def _remember_all(self, before: list[str], after: list[str]) -> None:
        for one, other in zip(before, after, strict=True):
            if one != other:
                self._remember_text(one, other)

    def _remember_text(self, before: str, after: str) -> None:
        """Remember where a text was given values, so that the same text goes back upstream as it came."""
        if before == after:
            return
        read, written = before.encode("utf-8", "surrogatepass"), after.encode("utf-8", "surrogatepass")
        spans: list[Restored] = []
        moved = 0  # bytes by which the written text is longer than the read one so far
        own = self._memory.vault.own_spans(read)
        for index, (start, end) in enumerate(own):
            placeholder = read[start:end].decode("ascii")
            known = self._memory.vault.resolve(placeholder)
            beside = read[end : own[index + 1][0] if index + 1 < len(own) else len(read)]
            values = [one.encode("utf-8", "surrogatepass") for one in restored_spellings(known.value)] if known else []
            value = next((one for one in values if one and written.startswith(one + beside, start + moved)), b"")
            if value:
                spans.append(Restored(start + moved, start + moved + len(value), placeholder))
                moved += len(value) - (end - start)
        if spans and len(read) + moved == len(written):
            self._memory.restored.put(self._memory.digest(b"restored", written), tuple(spans))


def _path(leaf: Leaf) -> Path:
    steps: list[str | int] = []
    link = leaf.path
    while link is not None:
        steps.append(link.step)
        link = link.parent
    return tuple(reversed(steps))


def _is_opaque(leaf: Leaf) -> bool:
    grammar = leaf.place.grammar
    return leaf.place.kind is Kind.OPAQUE and grammar is not None and grammar.fullmatch(leaf.text) is not None


def _input_root(node: Node, path: Path) -> Path:
    """Where the arguments begin that the leaf at `path` belongs to."""
    for depth, step in enumerate(path):
        node = node.item() if isinstance(step, int) else node.child(step)
        if node.inherited.kind is Kind.INPUT:
            return path[: depth + 1]
    return path


def _strings(value: object) -> list[str]:
    """Every key and string of parsed JSON in document order."""
    found: list[str] = []
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list):
            pending += reversed(one)
        elif isinstance(one, dict):
            for name, inner in reversed(one.items()):
                pending += (inner, name)
    return found


def _json_text(value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return ""
