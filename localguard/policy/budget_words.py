"""What people are told of a budget: whose it is, how it stands, until when."""

from datetime import datetime
from decimal import Decimal

from localguard.policy.ledger import Standing, title
from localguard.policy.price import spelled

_CENT = Decimal("0.01")
_TELLING = Decimal("0.05")
"""Of a period has to be over before its pace says anything."""


def dollars(amount: Decimal) -> str:
    """An amount in dollars and cents, rounded up where it is less than a cent: nothing that costs is shown as nothing."""
    cents = amount.quantize(_CENT)
    return f"{_CENT if amount and not cents else cents} USD"


def described(standing: Standing) -> str:
    """That a budget is used up, in one sentence: its name, limit, what was spent, and when the next period begins."""
    budget = standing.budget
    under_way = f" and {dollars(standing.reserved)} reserved by requests under way" if standing.reserved else ""
    return (
        f"The budget {title(budget)} of {dollars(budget.limit_usd)} a {budget.period} is used up: "
        f"{dollars(standing.spent)} spent{under_way}. The next {budget.period} begins on {ends(standing)}."
    )


def advice(standing: Standing) -> str:
    """What whoever is refused can do."""
    budget = standing.budget
    place = f" ({budget.file}:{budget.line})" if budget.file else ""
    return (
        "Use a local model, which costs nothing, wait for the next period, or have limit_usd raised by whoever keeps "
        f"the budget{place}. See `localguard budget show`."
    )


def brief(standing: Standing) -> str:
    """A budget's name and how much of it is spent, for a header."""
    budget = standing.budget
    return f"{title(budget)}: {int(standing.share * 100)}% of {dollars(budget.limit_usd)} a {budget.period}"


def ends(standing: Standing) -> str:
    """When the period is over, in the budget's own zone."""
    return standing.stretch.end.astimezone(standing.budget.zone).strftime("%Y-%m-%d %H:%M %Z")


def forecast(standing: Standing, at: datetime) -> Decimal | None:
    """What is spent by the end of the period at the pace so far; None as long as a twentieth of it is not over."""
    part = standing.stretch
    over = Decimal((at - part.start).total_seconds()) / Decimal((part.end - part.start).total_seconds())
    return standing.spent / over if over >= _TELLING else None


def runs_out(standing: Standing, at: datetime) -> datetime | None:
    """When the limit is reached at that pace, None where it is not before the period ends."""
    expected, limit = forecast(standing, at), standing.budget.limit_usd
    if expected is None or expected <= limit or standing.spent >= limit:
        return None
    part = standing.stretch
    return part.start + (part.end - part.start) * float(limit / expected)


def told(standing: Standing, at: datetime) -> dict[str, object]:
    """A standing as programs read it: amounts are decimal digits, times are in the budget's zone."""
    budget, expected = standing.budget, forecast(standing, at)
    out = runs_out(standing, at)
    return {
        "name": title(budget),
        "period": budget.period,
        "zone": str(budget.zone),
        "starts": _local(standing, standing.stretch.start),
        "ends": _local(standing, standing.stretch.end),
        "limit_usd": spelled(budget.limit_usd),
        "spent_usd": spelled(standing.spent),
        "reserved_usd": spelled(standing.reserved),
        "forecast_usd": None if expected is None else spelled(expected.quantize(_CENT)),
        "runs_out": None if out is None else _local(standing, out),
        "on_exceed": budget.on_exceed,
        "used_up": standing.used_up,
        "file": budget.file,
        "line": budget.line,
    }


def _local(standing: Standing, at: datetime) -> str:
    return at.astimezone(standing.budget.zone).isoformat(timespec="minutes")
