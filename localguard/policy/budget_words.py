"""What people are told of a budget: whose it is, how it stands, until when."""

from decimal import Decimal

from localguard.policy.ledger import Standing, title

_CENT = Decimal("0.01")


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
