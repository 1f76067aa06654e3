"""Times, amounts and numbers as people read them in a narrow column. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_IN = ("input", "cache_read", "cache_write")


def clock(time: str) -> str:
    """The time of day, here, of an RFC 3339 time: `14:03:59`; nothing where it is none."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ""


def day_and_clock(time: str) -> str:
    """Day and time of day, here: `2026-01-31 14:03`."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return ""


def short(number: int) -> str:
    """A number in at most five characters: `999`, `12.3k`, `4.56M`."""
    for unit, letter in _UNITS:
        if number >= unit:
            value = number / unit
            return f"{value:.0f}{letter}" if value >= 100 else f"{value:.3g}{letter}"
    return str(number)


def tokens(usage: object) -> str:
    """Tokens in and out: `12.3k>410`; nothing where nobody counted."""
    if not isinstance(usage, Mapping):
        return ""
    into = sum(count for name in _IN if isinstance(count := usage.get(name), int))
    out = usage.get("output")
    return f"{short(into)}>{short(out if isinstance(out, int) else 0)}"


def money(usd: object) -> str:
    """An amount in USD: two digits from a dollar on, four below, `<.0001` where that is nothing; nothing for no amount."""
    amount = decimal(usd)
    if amount is None:
        return ""
    if amount >= 1:
        return f"{amount:.2f}"
    if amount == 0:
        return "0"
    return f"{amount:.4f}" if amount >= Decimal("0.0001") else "<.0001"


def decimal(usd: object) -> Decimal | None:
    """An amount as the API gives it; None where it is none."""
    if not isinstance(usd, str):
        return None
    try:
        amount = Decimal(usd)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def duration(ms: object) -> str:
    """A time in at most six characters: `340 ms`, `1.2 s`, `3m05s`."""
    if not isinstance(ms, int) or isinstance(ms, bool):
        return ""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 100_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms // 60_000}m{ms % 60_000 // 1000:02}s"


def number(document: Mapping[str, Any], name: str) -> int:
    """A whole number of a document, 0 where there is none."""
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def text(document: Mapping[str, Any], name: str) -> str:
    """A text of a document, empty where there is none."""
    value = document.get(name)
    return value if isinstance(value, str) else ""
