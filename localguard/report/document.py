"""Figures as one JSON document. Pure."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal

from localguard.report.figures import Figures

_MOST = 1_000
"""Entries of one list."""


def document(figures: Figures) -> str:
    """The figures with the names that `figures` gives them, indented, ending with a line break; money as strings."""
    return json.dumps({"report": 1, **_plain_object(figures)}, indent=2) + "\n"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain_object(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value[:_MOST]]
    return str(value) if isinstance(value, Decimal) else value


def _plain_object(value: object) -> dict[str, object]:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type]
