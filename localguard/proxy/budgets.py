"""Budgets at work: reserved before an exchange is sent, settled when it has ended, and what people are told of them.

The ledger is in memory, and every charge of it in the log, in the same transaction as the intent or the outcome that it is
part of. After a restart it is read from there; what has no outcome then is billed at its reservation.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from localguard.audit.charges import latest_charge, read_charges
from localguard.audit.record import RecordInvalid, timestamp
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.policy.budget_words import brief, described, told
from localguard.policy.budgets_in_force import in_force
from localguard.policy.layers import RuleRef
from localguard.policy.ledger import Charge, Ledger, Standing, Subject, title
from localguard.policy.ledger_time import LedgerTime
from localguard.policy.model import Budget, Effect, Layer
from localguard.policy.price import NOTHING, spelled
from localguard.proxy import records, refusals
from localguard.proxy.asking import Asking
from localguard.proxy.billing import Bill
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control
from localguard.proxy.control_answers import BudgetList, ClockView
from localguard.proxy.control_models import TrustBody
from localguard.proxy.live import Exchange
from localguard.proxy.refusals import Refused

log = logging.getLogger(__name__)

HEADER = "X-LocalGuard-Budget"
_LONGEST_PERIOD = timedelta(days=40)


class Budgets:
    """The budgets of one daemon. Lives in its event loop; its calls are offered to `control`."""

    def __init__(
        self,
        ledger: Ledger,
        times: LedgerTime,
        *,
        store: Store,
        control: Control,
        asking: Asking,
        callers: Callers,
        wall: Callable[[], datetime],
        layers: Callable[[], tuple[Layer, ...]],
    ) -> None:
        self._ledger = ledger
        self._times = times
        self._store = store
        self._control = control
        self._asking = asking
        self._callers = callers
        self._wall = wall
        self._layers = layers
        self._held = False
        control.offer(
            Call("GET", "/budgets", "How the budgets stand.", self._show, gives=BudgetList),
            Call(
                "POST",
                "/budgets/clock",
                "Have budgets go by the machine's clock again.",
                self._trust,
                takes=TrustBody,
                gives=ClockView,
            ),
        )

    @classmethod
    def open(
        cls,
        log_file: Path,
        *,
        store: Store,
        control: Control,
        asking: Asking,
        callers: Callers,
        wall: Callable[[], datetime],
        layers: Callable[[], tuple[Layer, ...]],
    ) -> Self:
        """The budgets of a home, with what was spent before. Blocking. Raises LogUnavailable."""
        times = LedgerTime(wall(), steady(), latest_charge(log_file))
        since = times.now(wall(), steady()) - _LONGEST_PERIOD
        ledger = Ledger(read_charges(log_file, since))
        return cls(
            ledger, times, store=store, control=control, asking=asking, callers=callers, wall=wall, layers=layers
        )

    async def reserve(self, exchange: Exchange, request: bytes) -> None:
        """Reserve what an exchange may cost; it is noted in it which budgets are nearly used up. Raises Refused.

        `request` is what the agent sent, should a person be asked about it.
        """
        if exchange.price is None or exchange.price.free:
            return
        over: list[Budget] = []
        while (refused := self._try(exchange, over)) is not None:
            if refused.budget.on_exceed != "ask":
                raise Refused(refusals.of_budget(refused))
            await self._ask(exchange, refused, request)
            over.append(refused.budget)  # this one, and no other: each asks or refuses by itself

    def release(self, exchange: Exchange) -> None:
        """Nothing of this exchange will be sent."""
        self._ledger.release(exchange.id)

    def settle(self, exchange: Exchange, bill: Bill | None) -> None:
        """Book what an exchange cost, and tell of budgets that it brought near their end. Never raises."""
        for standing in self._ledger.settle(exchange.id, NOTHING if bill is None else bill.cost):
            self._warn(standing)

    def policy_changed(self) -> None:
        """The budgets are others now."""
        self._ledger.forget_accounts()

    def told(self) -> list[dict[str, object]]:
        """How the budgets of organisation and user stand, as programs read it."""
        now = self._now()
        return [told(standing, now) for standing in self._ledger.standings(in_force(self._layers()), now)]

    def _try(self, exchange: Exchange, over: Sequence[Budget]) -> Standing | None:
        """Reserve, or return the budget that is used up; those that are `over` may be."""
        caller, facts = exchange.caller, exchange.facts
        subject = Subject(
            caller.workspace.cost_bucket,
            records.workspace_name(caller, exchange.memory),
            caller.endpoint.identity,
            facts.model if facts is not None else None,
        )
        now = self._now()
        exchange.billed_at = now if self._held else None
        charge = Charge(exchange.id, now, subject, exchange.reserved)
        admission = self._ledger.reserve(charge, in_force(caller.layers), over=over)
        if admission.exceeded is None and admission.near:
            near = ", ".join(brief(standing) for standing in admission.near)
            exchange.notices = ((HEADER, near.encode("ascii", "replace").decode()),)
        return admission.exceeded

    async def _ask(self, exchange: Exchange, standing: Standing, request: bytes) -> None:
        assert exchange.decision is not None
        budget, reason = standing.budget, described(standing)
        rule = RuleRef(f"budget {title(budget)}", "user", budget.file, budget.line, reason)
        await self._asking.admit(
            exchange, replace(exchange.decision, effect=Effect.ASK, deciding=(rule,), reason=reason), request
        )

    def _now(self) -> datetime:
        now = self._times.now(self._wall(), steady())
        if self._times.held != self._held:
            self._held = self._times.held
            event = "budget-clock-held" if self._held else "budget-clock"
            self._tell(event, {"budgets_go_by": timestamp(now)})
            if self._held:
                log.warning("the clock moved as no time passes; budgets go on as of %s", timestamp(now))
        return now

    def _warn(self, standing: Standing) -> None:
        self._tell(
            "budget-warning",
            {
                "budget": title(standing.budget),
                "period": standing.budget.period,
                "percent": int(standing.share * 100),
                "spent_usd": spelled(standing.spent),
                "limit_usd": spelled(standing.budget.limit_usd),
                "ends": timestamp(standing.stretch.end),
            },
        )

    def _tell(self, event: str, detail: dict[str, str | int | bool | None]) -> None:
        self._control.publish(event, detail)
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note("control", metadata={"event": event, "detail": detail})

    # control calls

    def _show(self, _: Arguments) -> Mapping[str, object]:
        return {
            "now": timestamp(self._now()),
            "clock_held": self._held,
            "budgets": self.told(),
        }

    async def _trust(self, given: Arguments) -> Mapping[str, object]:
        await self._callers.only_persons(given.request, "say which clock budgets go by")
        self._times.trust(self._wall())
        now = self._now()
        self._ledger.forget_accounts()
        self._tell("budget-clock-trusted", {"budgets_go_by": timestamp(now)})
        return {"now": timestamp(now)}


def steady() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
