"""A fold's sums as figures, in the order in which a reader wants them: what is most first. Pure."""

from collections.abc import Mapping, Sequence

from localguard.audit.outcomes import Line
from localguard.report import timeline
from localguard.report.advice import advised
from localguard.report.figures import (
    Coverage,
    Figures,
    Flow,
    KeyUse,
    Looked,
    Redactions,
    RefusedFor,
    Row,
    Spent,
    Totals,
    Value,
    Verification,
)
from localguard.report.fold import _SESSIONS, Bill, Counted, Fold

_MOST_VALUES = 100
"""Values that a report names."""


def figures_of(
    fold: Fold,
    *,
    version: str,
    made: str,
    outcomes: Mapping[str, Sequence[Line]],
    verification: Verification,
) -> Figures:
    """What the fold holds; it is ended by this. `made` is the time of the report, `outcomes` those of `fold.rated`."""
    unended = fold.end()
    return Figures(
        version=version,
        made=made,
        scope=fold.scope,
        first=fold.first,
        last=fold.last,
        totals=Totals(
            records=fold.records,
            exchanges=fold.exchanges,
            refused=fold.refused,
            sessions=len(fold.sessions),
            more_sessions=len(fold.sessions) >= _SESSIONS,
            replaced=fold.replaced,
            distinct=sum(1 for value in fold.values.values() if value.count),
            more_distinct=fold.forgot_values,
            exposed=sum(1 for value in fold.values.values() if value.exposed),
            restored=fold.restored,
            withheld=fold.withheld,
            pruned=fold.pruned,
            unended=unended,
        ),
        redactions=_redactions(fold),
        refusals=tuple(
            sorted(
                (
                    RefusedFor(*key, one.reason, one.next_step, one.count, one.last, one.exchange)
                    for key, one in fold.refusals.items()
                ),
                key=lambda one: (-one.count, one.code, one.rule),
            )
        ),
        flows=tuple(
            sorted(
                (Flow(*flow, *sums) for flow, sums in fold.flows.items()),
                key=lambda one: (-one.exchanges, one.source, one.target),
            )
        ),
        looked=Looked(
            by_wire=tuple(
                sorted((Coverage(wire, *sums) for wire, sums in fold.wires.items()), key=lambda one: -one.exchanges)
            ),
            attachments=dict(fold.attachments.most_common(20)),
            paused=fold.paused,
            unlisted=fold.unlisted,
        ),
        values=_values(fold),
        keys=tuple(
            sorted(
                (KeyUse(*told, count, last) for told, (count, last) in fold.keys.items()),
                key=lambda one: (one.identity != "personal", -one.exchanges, one.endpoint, one.workspace),
            )
        ),
        by_bucket=_spent(fold.by_bucket),
        by_model=_spent(fold.by_model),
        by_task=_spent(fold.by_task),
        failures=dict(fold.failures.most_common()),
        outcomes={axis: tuple(lines) for axis, lines in outcomes.items()},
        verification=verification,
    )


def _redactions(fold: Fold) -> Redactions:
    slots = timeline.slots(fold.first, fold.last, fold.step) if fold.first else ()
    return Redactions(
        step=fold.step,
        slots=slots,
        exchanges=tuple(fold.slots[slot] for slot in slots),
        by_type=_rows(fold.by_type, slots),
        by_workspace=_rows(fold.by_workspace, slots),
        by_agent=_rows(fold.by_agent, slots),
        by_class=_rows(fold.by_class, slots),
    )


def _rows(table: Mapping[str, Counted], slots: Sequence[str]) -> tuple[Row, ...]:
    rows = (
        Row(name, one.total, one.exchanges, tuple(one.slots.get(slot, 0) for slot in slots))
        for name, one in table.items()
    )
    return tuple(sorted(rows, key=lambda row: (-row.total, row.name)))


def _values(fold: Fold) -> tuple[Value, ...]:
    """The values to talk about: exposed ones first, then those in most exchanges."""
    chosen = sorted(fold.values.items(), key=lambda one: (not one[1].exposed, -one[1].exchanges, one[0]))[:_MOST_VALUES]
    return tuple(
        advised(
            Value(
                fingerprint=mark,
                type=one.type,
                data_class=one.data_class,
                rule=one.rule,
                count=one.count,
                exchanges=one.exchanges,
                first=one.first,
                last=one.last,
                workspace=one.workspace,
                exposed=one.exposed,
                exchange=one.exchange,
                finding=one.finding,
            )
        )
        for mark, one in chosen
    )


def _spent(table: Mapping[str, Bill]) -> tuple[Spent, ...]:
    rows = (
        Spent(name, one.exchanges, one.cost, one.guessed, dict(sorted(one.tokens.items())))
        for name, one in table.items()
    )
    return tuple(sorted(rows, key=lambda row: (-row.cost_usd, -row.exchanges, row.name)))
