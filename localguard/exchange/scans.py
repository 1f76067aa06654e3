"""A boundary text as detectors see it: decoded where it is JSON, with the names that its values stand under."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from localguard.detect.finding import Finding
from localguard.detect.structured import MESSAGE
from localguard.exchange.member_names import MAX_KEYED, with_context
from localguard.exchange.texts import MAX_NESTING, NUMBER_DIGITS
from localguard.wire.json_edit import JsonInvalid, LeafKind, lift_spans, parse

_DOCUMENT = re.compile(rb"^[ \t]*[{\[][^\n]*[}\]][ \t\r]*$", re.MULTILINE)
"""A line that may be a JSON document."""
_ASSIGNS = re.compile(rb"[:=]")


@dataclass(frozen=True, slots=True)
class Scan:
    """One text as detectors see it, and the way back: levels of decoding between it and the boundary text."""

    text: bytes
    shift: int
    """Bytes of context before the value."""
    size: int
    """Bytes of the value; findings outside it are context's."""
    whole: bool
    """The value is spelled otherwise here: a finding in it means the whole of it."""
    levels: tuple[tuple[bytes, int], ...]
    """Raw JSON text and token offset of each decoding, innermost first; -1 - offset for a number's token."""
    bare: int
    """Bytes of the value in its own text, where `whole`."""

    def locate(self, findings: Sequence[Finding]) -> list[tuple[int, int] | None]:
        """Where in the boundary text each finding stands, or None if it is context's."""
        spans: list[tuple[int, int]] = []
        kept: list[int] = []
        for index, finding in enumerate(findings):
            start, end = max(finding.start - self.shift, 0), min(finding.end - self.shift, self.size)
            if start < end:
                spans.append((0, self.bare) if self.whole else (start, end))
                kept.append(index)
        for raw, token in self.levels:
            if token < 0:  # a number's token: no quotes, no escapes
                spans = [(start - token - 1, end - token - 1) for start, end in spans]
            else:
                spans = lift_spans(raw, token, spans)
        located: list[tuple[int, int] | None] = [None] * len(findings)
        for index, span in zip(kept, spans, strict=True):
            located[index] = span
        return located


def scans_of(text: bytes, context: bytes) -> list[Scan]:
    """What of a boundary text is scanned: itself, or the decoded texts of the JSON that it is."""
    found: list[Scan] = []
    _add_scans(found, text, context, (), 0)
    return found


def _add_scans(
    found: list[Scan], text: bytes, context: bytes, levels: tuple[tuple[bytes, int], ...], depth: int
) -> None:
    if depth < MAX_NESTING and (head := text.lstrip()[:1]) and head in b"{[":
        try:
            document = parse(text)
        except JsonInvalid:
            document = None
        if document is not None and document.leaves:
            for leaf, name in with_context(document):
                if leaf.kind is LeafKind.NUMBER:
                    if leaf.end - leaf.start >= NUMBER_DIGITS:
                        _add_keyed(found, leaf.text.encode(), name, ((text, -leaf.start - 1), *levels))
                elif len(leaf.text) > 3:
                    _add_scans(found, leaf.text.encode(), name, ((text, leaf.start), *levels), depth + 1)
            return
        lines = _json_lines(text) if document is None else []
        for start, line in lines:
            _add_scans(found, line, context, ((text, -start - 1), *levels), depth + 1)
        if lines:
            return
    _add_keyed(found, text, context, levels)


def _json_lines(text: bytes) -> list[tuple[int, bytes]]:
    """The lines of a text whose first line is a JSON document (JSON lines, logs), other lines in groups, with their offsets."""
    if not _DOCUMENT.match(text) or b"\n" not in text.strip():
        return []
    parts: list[tuple[int, bytes]] = []
    kept = 0
    for found in _DOCUMENT.finditer(text):
        if text[kept : found.start()].strip():
            parts.append((kept, text[kept : found.start()]))
        parts.append((found.start(), found.group()))
        kept = found.end()
    if text[kept:].strip():
        parts.append((kept, text[kept:]))
    return parts


def _add_keyed(found: list[Scan], text: bytes, context: bytes, levels: tuple[tuple[bytes, int], ...]) -> None:
    if not context or len(text) > MAX_KEYED:
        found.append(Scan(text, 0, len(text), False, levels, len(text)))
        return
    # A member's name is part of what makes its value a secret: scanned as the member that it is.
    plain = not re.search(rb'["\\\x00-\x1f]', text)
    head = b'"' + context + b'": "'
    if plain:
        found.append(Scan(head + text + b'"', len(head), len(text), False, levels, len(text)))
        if _ASSIGNS.search(text):  # an assignment of its own, which may count at the beginning of a line only
            found.append(Scan(text, 0, len(text), False, levels, len(text)))
        return
    safe = re.sub(rb'["\\\x00-\x1f]', b"_", text)
    if b"\n" not in text:
        found.append(Scan(head + safe + b'"', len(head), len(safe), True, levels, len(text)))
    found.append(Scan(text, 0, len(text), False, levels, len(text)))


def locate_all(scans: Sequence[Scan], results: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """Findings of all scans of one boundary text, in its offsets, in order."""
    located: dict[tuple[int, int, str, str, bool], Finding] = {}
    for scan, findings in zip(scans, results, strict=True):
        if not findings:
            continue
        for finding, span in zip(findings, scan.locate(findings), strict=True):
            if scan.levels and finding.rule == MESSAGE:
                continue  # a member of JSON
            if span is not None and span[0] < span[1]:
                located.setdefault(
                    (*span, finding.type, str(finding.data_class), finding.distinctive),
                    Finding(*span, finding.type, finding.data_class, finding.rule, finding.distinctive),
                )
    return tuple(sorted(located.values(), key=lambda one: (one.start, -one.end)))
