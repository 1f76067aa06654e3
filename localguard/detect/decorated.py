"""Blocks of several lines in which every line has something before it that is not the block's: a line number, a diff mark.

An agent that reads such a dump writes the lines back without what stood before them. So each line is a value of its own,
and what stands between them is left alone.
"""

import re
from collections.abc import Iterable, Iterator

from localguard.detect.finding import Finding, Window
from localguard.detect.words import is_distinctive

_TYPE = "PRIVATE_KEY"
_FIRST = re.compile(rb"(?:^|\n)([ \t]*(?:\d{1,6}[ \t]*(?:[|:\t.]|\xe2\x86\x92)[ \t]?[+-]?|[+>-][ \t]?))\Z")
_LINE = {
    "number": re.compile(rb"[ \t]*\d{1,6}[ \t]*(?:[|:\t.]|\xe2\x86\x92)[ \t]?[+-]?"),
    "mark": re.compile(rb"[+>-][ \t]?"),
}
_LEAD = 40


def undecorated(findings: Iterable[Finding], window: Window) -> Iterator[Finding]:
    """Findings in `window`, with private-key blocks in decorated lines given line by line, their marker lines left out."""
    for finding in findings:
        start, end = finding.start - window.start, finding.end - window.start
        spans = _line_spans(window.text, start, end) if finding.type == _TYPE else None
        if spans is None:
            yield finding
            continue
        for low, high in spans:
            value = window.text[low:high].decode("utf-8", "replace")
            yield Finding(
                window.start + low,
                window.start + high,
                finding.type,
                finding.data_class,
                finding.rule,
                is_distinctive(value),
            )


def _line_spans(text: bytes, start: int, end: int) -> list[tuple[int, int]] | None:
    """The bare lines of `text[start:end]`, or None where its lines are not decorated."""
    first = _FIRST.search(text[max(0, start - _LEAD) : start])
    if first is None or b"\n" not in text[start:end]:
        return None
    decoration = _LINE["number" if re.search(rb"\d", first.group(1)) else "mark"]
    spans: list[tuple[int, int]] = []
    position = start
    while position < end:
        stop = text.find(b"\n", position, end)
        stop = end if stop < 0 else stop
        low = position
        if position != start:
            lead = decoration.match(text, position, stop)
            if lead is None:
                return None
            low = lead.end()
        high = low + len(text[low:stop].rstrip())
        if low < high and not text.startswith(b"----", low):
            spans.append((low, high))
        position = stop + 1
    return spans
