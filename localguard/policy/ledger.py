"""What was spent, what is reserved, and whether the budgets leave room for more. Pure: times and amounts are passed in.

An exchange reserves the most that it is expected to cost before anything is sent, and is settled at what it did cost. It is
admitted while what was spent and reserved is below the limit. So as long as nothing costs more than its reservation, a budget
is overrun by less than the one reservation that was admitted last, however many exchanges run at once.

What an exchange costs counts in the period in which it was reserved, also where it ends in the next one.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from localguard.policy.matching import glob_matches
from localguard.policy.model import Budget
from localguard.policy.periods import Stretch, quarter, stretch
from localguard.policy.price import NOTHING

DEFAULT_WARN_AT: Final = (Decimal("0.8"),)
_WHOLE: Final = Decimal(1)
_KEPT: Final = timedelta(days=70)
_MAX_ACCOUNTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose spending it is: what budgets tell apart."""

    bucket: str | None
    workspace: str | None
    identity: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Charge:
    """One exchange's money. `cost` is None as long as it is not known; then the reservation counts."""

    exchange: str
    at: datetime
    subject: Subject
    reserved: Decimal
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in its current period."""

    budget: Budget
    stretch: Stretch
    spent: Decimal
    reserved: Decimal

    @property
    def used_up(self) -> bool:
        """Whether nothing more is admitted."""
        return self.spent + self.reserved >= self.budget.limit_usd

    @property
    def share(self) -> Decimal:
        """What was spent of the limit; 1 is all of it."""
        return self.spent / self.budget.limit_usd if self.budget.limit_usd else _WHOLE

    @property
    def passed(self) -> int:
        """How many of the shares at which the budget warns were passed, the whole being the last."""
        return sum(self.share >= share for share in thresholds(self.budget))


@dataclass(slots=True)
class _Account:
    budget: Budget
    stretch: Stretch
    spent: Decimal = NOTHING
    reserved: Decimal = NOTHING
    warned: int = 0

    def standing(self) -> Standing:
        return Standing(self.budget, self.stretch, self.spent, self.reserved)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether an exchange may be sent: `exceeded` is None, or the first budget that says no. `near` are those that warn."""

    exceeded: Standing | None
    near: tuple[Standing, ...] = ()


@dataclass(slots=True)
class _Spent:
    """What one subject spent, by quarter of an hour."""

    quarters: dict[int, Decimal] = field(default_factory=dict)

    def add(self, at: int, amount: Decimal) -> None:
        self.quarters[at] = self.quarters.get(at, NOTHING) + amount

    def within(self, part: Stretch) -> Decimal:
        first, last = quarter(part.start), quarter(part.end)
        return sum((amount for at, amount in self.quarters.items() if first <= at < last), NOTHING)


class Ledger:
    """All spending of the last months, and an account for each budget that was asked about. For one thread."""

    def __init__(self, charges: Iterable[Charge] = ()) -> None:
        """`charges` are those of earlier runs; one without a cost is billed at its reservation."""
        self._spent: dict[Subject, _Spent] = {}
        self._open: dict[str, Charge] = {}
        self._accounts: dict[Budget, _Account] = {}
        self._swept: datetime | None = None
        for charge in charges:
            self._book(charge, charge.reserved if charge.cost is None else charge.cost)

    def reserve(self, charge: Charge, budgets: Iterable[Budget], *, over: Collection[Budget] = ()) -> Admission:
        """Reserve what an exchange may cost, unless one of `budgets` refuses because it is used up; then nothing is reserved.

        Those that a person allowed to be passed are `over`. One that denies is named before one that asks: no answer to
        the one passes the other. What costs nothing is always admitted.
        """
        asked = [self._account(budget, charge.at) for budget in budgets if concerns(budget, charge.subject)]
        if charge.reserved:
            binding = [one for one in asked if one.budget.on_exceed != "warn" and one.budget not in over]
            exceeded = [one for one in binding if one.spent + one.reserved >= one.budget.limit_usd]
            if exceeded:
                return Admission(min(exceeded, key=lambda one: one.budget.on_exceed != "deny").standing())
        if charge.reserved:
            self._open[charge.exchange] = charge
            for account in self._accounts.values():
                if account.stretch.covers(charge.at) and concerns(account.budget, charge.subject):
                    account.reserved += charge.reserved
        return Admission(None, tuple(account.standing() for account in asked if account.warned))

    def settle(self, exchange: str, cost: Decimal) -> Sequence[Standing]:
        """Book what an exchange cost in place of its reservation; return the budgets that it brought past a warning.

        Does nothing for an exchange that has no reservation.
        """
        charge = self._open.pop(exchange, None)
        if charge is None:
            return ()
        self._book(charge, cost)
        passed = []
        for account in self._accounts.values():
            if not account.stretch.covers(charge.at) or not concerns(account.budget, charge.subject):
                continue
            account.reserved -= charge.reserved
            account.spent += cost
            standing = account.standing()
            if standing.passed > account.warned:
                account.warned = standing.passed
                passed.append(standing)
        return passed

    def release(self, exchange: str) -> None:
        """Forget the reservation of an exchange of which nothing was sent."""
        self.settle(exchange, NOTHING)

    def standings(self, budgets: Iterable[Budget], at: datetime) -> tuple[Standing, ...]:
        """How these budgets stand, in their order."""
        return tuple(self._account(budget, at).standing() for budget in budgets)

    def forget_accounts(self) -> None:
        """Count anew for every budget that is asked about from now on: the policy is another one."""
        self._accounts.clear()

    def _account(self, budget: Budget, at: datetime) -> _Account:
        account = self._accounts.get(budget)
        if account is not None and account.stretch.covers(at):
            return account
        if account is None:
            if len(self._accounts) >= _MAX_ACCOUNTS:  # of repositories that came and went
                self.forget_accounts()
            account = self._accounts[budget] = _Account(budget, stretch(at, budget.period, budget.zone))
        else:
            account.stretch = stretch(at, budget.period, budget.zone)
            self._sweep(at)
        self._count(account)
        return account

    def _book(self, charge: Charge, cost: Decimal) -> None:
        if cost:
            self._spent.setdefault(charge.subject, _Spent()).add(quarter(charge.at), cost)

    def _count(self, account: _Account) -> None:
        part = account.stretch
        account.spent = sum(
            (spent.within(part) for subject, spent in self._spent.items() if concerns(account.budget, subject)), NOTHING
        )
        account.reserved = sum(
            (
                charge.reserved
                for charge in self._open.values()
                if part.covers(charge.at) and concerns(account.budget, charge.subject)
            ),
            NOTHING,
        )
        account.warned = account.standing().passed

    def _sweep(self, at: datetime) -> None:
        """Forget what no period can ask for any more."""
        if self._swept is not None and at - self._swept < timedelta(days=1):
            return
        self._swept = at
        oldest = quarter(at - _KEPT)
        for subject in list(self._spent):
            kept = {number: amount for number, amount in self._spent[subject].quarters.items() if number >= oldest}
            if kept:
                self._spent[subject].quarters = kept
            else:
                del self._spent[subject]


def concerns(budget: Budget, subject: Subject) -> bool:
    """Whether a budget counts what this subject spends."""
    return (
        (budget.bucket is None or budget.bucket == subject.bucket)
        and (budget.workspace is None or budget.workspace == subject.workspace)
        and (budget.identity is None or budget.identity == subject.identity)
        # a model that is not known may be one of them
        and (budget.models is None or subject.model is None or glob_matches(budget.models, subject.model))
    )


def thresholds(budget: Budget) -> tuple[Decimal, ...]:
    """The shares at which a budget warns, the whole being the last."""
    return (*(budget.warn_at or DEFAULT_WARN_AT), _WHOLE)


def title(budget: Budget) -> str:
    """What a budget is called where people read of it."""
    parts = [budget.bucket] if budget.bucket is not None else []
    for word, value in (("workspace", budget.workspace), ("identity", budget.identity)):
        parts += [f"{word} {value}"] if value is not None else []
    if budget.models is not None:
        parts.append("all models" if "*" in budget.models else f"models {', '.join(budget.models)}")
    return " / ".join(parts) or "all work"
