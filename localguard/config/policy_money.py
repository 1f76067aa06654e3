"""What a policy file says of money: its prices, checked for what one value alone cannot show, and as the policy's own values."""

from collections.abc import Callable

from localguard.config.policy_schema import PolicyFile, PriceTable
from localguard.policy.price import NOTHING, PriceRule, Pricing

_RATES = ("input", "output", "cache_read", "cache_write", "per_request")


def problem_with_price(table: dict[str, object]) -> str | None:
    """What is wrong with a `[[prices]]` table as it was written, or None."""
    if "like" in table:
        given = [name for name in _RATES if name in table]
        return f"give like or prices, not both (like and {given[0]})." if given else None
    if "input" in table and "output" in table:
        return None
    if "per_request" in table and not table.keys() & {"input", "output"}:
        return None
    return "give input and output (USD for a million tokens), per_request, or like (another model's name)."


def price_rules(parsed: PolicyFile, file: str, line: Callable[..., int]) -> tuple[PriceRule, ...]:
    """The `[[prices]]` of a file."""
    return tuple(_price_rule(table, file, line("prices", index)) for index, table in enumerate(parsed.prices))


def pricing(parsed: PolicyFile, line: Callable[..., int]) -> Pricing:
    """The `[pricing]` of a file."""
    table = parsed.pricing
    if not table.model_fields_set:
        return Pricing()
    return Pricing(table.unknown_input, table.unknown_output, table.local_per_hour, line("pricing"))


def _price_rule(table: PriceTable, file: str, line: int) -> PriceRule:
    return PriceRule(
        models=tuple(table.models),
        endpoints=None if table.endpoints is None else tuple(table.endpoints),
        kinds=None if table.kinds is None else tuple(table.kinds),
        like=table.like,
        input=table.input,
        output=table.output,
        cache_read=table.cache_read,
        cache_write=table.cache_write,
        per_request=table.per_request or NOTHING,
        file=file,
        line=line,
    )
