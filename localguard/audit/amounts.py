"""Numbers as records hold them, read so that a record which holds something else adds nothing. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


def whole(value: object, otherwise: int = 0) -> int:
    """A whole number, or what stands for none."""
    return value if isinstance(value, int) else otherwise


def money(text: object) -> Decimal:
    """An amount spelled as decimal digits (USD); nothing for anything else."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return Decimal(0)


def counts(metadata: Mapping[str, Any], name: str) -> dict[str, int]:
    """The member `name` that holds names with their counts (``usage``, ``tool_calls``, ``tests``, …); empty where it is not there."""
    held = metadata.get(name)
    return {str(one): whole(count) for one, count in held.items()} if isinstance(held, dict) else {}


def spent(metadata: Mapping[str, Any]) -> Decimal:
    """What an outcome says that its exchange cost (USD)."""
    return money(metadata["cost_usd"]) if metadata.get("cost_usd") is not None else Decimal(0)


def sent_again(metadata: Mapping[str, Any]) -> bool:
    """Whether an intent or refusal is of a request that was there before, by what the client says or by what it holds."""
    return bool(metadata.get("retry") or metadata.get("repeats"))


def tests_run(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Runs of tests that a request tells of for the first time, by what became of them."""
    return {} if metadata.get("repeats") else counts(metadata, "tests")
