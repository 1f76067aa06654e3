"""Findings as a person or a program reads them. No format holds a value."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import localguard
from localguard.detect.finding import Finding


@dataclass(frozen=True, slots=True)
class Located:
    """A finding with its place: `start` and `end` are Unicode code points of the text, lines and columns count from 1."""

    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int
    type: str
    data_class: str
    rule: str
    action: str


def locate(text: bytes, findings: Sequence[Finding], actions: Mapping[str, str]) -> list[Located]:
    """Return findings (sorted, byte offsets in the UTF-8 `text`) with code points, lines and columns; linear in the text."""
    located = []
    reader = _Position(text)
    for finding in findings:
        start, line, column = reader.at(finding.start)
        end, end_line, end_column = reader.at(finding.end)
        located.append(
            Located(
                start,
                end,
                line,
                column,
                end_line,
                end_column,
                finding.type,
                str(finding.data_class),
                finding.rule,
                actions[str(finding.data_class)],
            )
        )
    return located


class _Position:
    """Walks a text once; offsets must not decrease."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._offset = 0
        self._points = 0
        self._line = 1
        self._line_start = 0

    def at(self, offset: int) -> tuple[int, int, int]:
        """Return code point, line and column of a byte offset."""
        piece = self._text[self._offset : offset].decode("utf-8", "replace")
        breaks = piece.count("\n")
        if breaks:
            self._line += breaks
            self._line_start = self._points + piece.rindex("\n") + 1
        self._points += len(piece)
        self._offset = offset
        return self._points, self._line, self._points - self._line_start + 1


def span_entry(finding: Located) -> dict[str, Any]:
    """Return the JSON of a finding in the contract's shape: start, end, type, class, rule, action."""
    return {
        "start": finding.start,
        "end": finding.end,
        "type": finding.type,
        "class": finding.data_class,
        "rule": finding.rule,
        "action": finding.action,
    }


def text_line(path: str, finding: Located) -> str:
    """Return `path:line:column: TYPE (class, rule)`."""
    return f"{path}:{finding.line}:{finding.column}: {finding.type} ({finding.data_class}, {finding.rule})"


def json_entry(path: str, finding: Located) -> dict[str, Any]:
    """Return one finding of `--format json`."""
    return {"path": path, "line": finding.line, "column": finding.column, **span_entry(finding)}


def sarif(results: Sequence[tuple[str, Located]]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log (OASIS, 2020) of findings as (path relative to the working directory with `/`, finding)."""
    rules = sorted({(finding.rule, finding.type) for _, finding in results})
    names = list(dict.fromkeys(rule for rule, _ in rules))
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "localguard",
                        "version": localguard.__version__,
                        "rules": [
                            {"id": rule, "shortDescription": {"text": f"Finds values of rule {rule}."}}
                            for rule in names
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(path, finding, names.index(finding.rule)) for path, finding in results],
            }
        ],
    }


def _sarif_result(path: str, finding: Located, rule_index: int) -> dict[str, Any]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": "error" if finding.data_class == "secret" else "warning",
        "message": {"text": f"{finding.type} ({finding.data_class})"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": path}, "region": region}}],
    }


def json_line(value: object) -> str:
    """Return one line of JSON, ASCII only, so that no line separator inside a text can cut it."""
    return json.dumps(value, separators=(",", ":"))
