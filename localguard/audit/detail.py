"""Everything that the records of one exchange say, in the parts in which people look at it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from localguard.audit.explain import explain
from localguard.audit.fields import Coverage, WithheldEntry
from localguard.audit.queries import Record
from localguard.audit.rows import ExchangeRow, row_of

_SHOWN_FINGERPRINT = 8


class RuleView(TypedDict):
    """A rule that decided, and where it stands."""

    id: str
    layer: str
    reason: str
    fields: list[str]
    file: str | None
    line: int | None


class DecisionView(TypedDict):
    """What was decided and by which rules. `approval` names the exchange about which a person was asked."""

    effect: str | None
    rules: list[RuleView]
    obligations: dict[str, str]
    approval: str | None
    routed_from: dict[str, str | None] | None
    fell_back_from: str | None


FindingView = TypedDict(
    "FindingView",
    {
        "type": Required[str],
        "class": Required[str],
        "rule": Required[str],
        "place": Required[str],
        "action": Required[str],
        "count": Required[int],
        "exposed": Required[bool],
        "shape": Required[str],
    },
)
"""One value that was found, at one place. ``shape`` stands for it and holds nothing of it: its type, and the beginning of its
keyed fingerprint, by which equal values are known."""


class Phase(TypedDict):
    """A part of an exchange's time, in milliseconds since the guard got the request."""

    name: str
    begins_ms: int
    ends_ms: int


class RefusalView(TypedDict):
    """Why nothing was sent, and what to do next."""

    status: int | None
    code: str | None
    origin: str | None
    reason: str | None
    next_step: str | None
    rule: str | None


class ParagraphView(TypedDict):
    """A part of the explanation."""

    title: str
    lines: list[str]


class RecordView(TypedDict):
    """One record of the log."""

    seq: int
    time: str
    kind: str


class ExchangeDetail(TypedDict):
    """One exchange, as `explain` and the terminal UI show it."""

    exchange: ExchangeRow
    headline: str
    next_step: str | None
    decision: DecisionView
    findings: list[FindingView]
    findings_kept: bool
    """False where they were pruned, or policy has them left out of the log."""
    coverage: Coverage | None
    attachments: dict[str, int]
    restored: dict[str, int]
    withheld: list[WithheldEntry]
    unknown_placeholders: int
    near_misses: int
    timing: list[Phase]
    refusal: RefusalView | None
    price_source: str | None
    cost_basis: str | None
    tools: list[str]
    tool_calls: dict[str, int]
    commands: list[str]
    """As the model wrote them, with placeholders."""
    files: list[str]
    paragraphs: list[ParagraphView]
    records: list[RecordView]


def detail_of(records: Sequence[Record]) -> ExchangeDetail | None:
    """What the records of one exchange say, in order of seq; None where they hold neither intent nor refusal."""
    row = row_of(records)
    if row is None:
        return None
    request = next(one for one in reversed(records) if one.kind in ("intent", "refusal"))
    intent = next((one for one in reversed(records) if one.kind == "intent"), None)
    refusal = next((one for one in reversed(records) if one.kind == "refusal"), None)
    outcome = next((one for one in reversed(records) if one.kind == "outcome"), None)
    asked, said = request.metadata or {}, (outcome and outcome.metadata) or {}
    local = (outcome and outcome.local) or {}
    explanation = explain(records)
    return ExchangeDetail(
        exchange=row,
        headline=explanation.headline,
        next_step=explanation.next_step,
        decision=_decision(request),
        findings=_findings(intent),
        findings_kept=intent is None
        or (intent.findings is not None and (asked.get("obligations") or {}).get("record") is None),
        coverage=asked.get("coverage"),
        attachments=dict(asked.get("attachments") or {}),
        restored=dict(said.get("restored") or {}),
        withheld=list((outcome and outcome.findings) or ()),  # type: ignore[arg-type]  # as they were written
        unknown_placeholders=int(said.get("unknown_placeholders") or 0),
        near_misses=int(said.get("near_misses") or 0),
        timing=phases(said, asked=bool(asked.get("approval"))),
        refusal=_refusal(refusal),
        price_source=said.get("price_source") or asked.get("price_source"),
        cost_basis=said.get("cost_basis"),
        tools=[str(one) for one in asked.get("tools") or ()],
        tool_calls=dict(said.get("tool_calls") or {}),
        commands=[str(one.get("command")) for one in local.get("commands") or ()],
        files=[str(one.get("path")) for one in local.get("files") or ()],
        paragraphs=[{"title": one.title, "lines": list(one.lines)} for one in explanation.paragraphs],
        records=[{"seq": one.seq, "time": one.time, "kind": one.kind} for one in records],
    )


def phases(outcome: Mapping[str, Any], *, asked: bool = False) -> list[Phase]:
    """Where the time of an exchange went, as far as its outcome says; with `asked` a person was waited for.

    The guard's part is until everything was read, scanned, decided on and recorded, the provider's until its first byte.
    """
    marks = (
        ("guard and a person" if asked else "guard", outcome.get("sent_ms")),
        ("provider", outcome.get("first_byte_ms")),
        ("reply", outcome.get("total_ms")),
    )
    found: list[Phase] = []
    begins = 0
    for name, ends in marks:
        if isinstance(ends, int) and ends >= begins:
            found.append({"name": name, "begins_ms": begins, "ends_ms": ends})
            begins = ends
    return found


def _decision(request: Record) -> DecisionView:
    m = request.metadata or {}
    sources = {one["id"]: one for one in (request.local or {}).get("rules") or ()}
    return DecisionView(
        effect=m.get("effect"),
        rules=[
            {
                "id": str(rule.get("id")),
                "layer": str(rule.get("layer")),
                "reason": str(rule.get("reason") or ""),
                "fields": [str(one) for one in rule.get("fields") or ()],
                "file": sources.get(rule.get("id"), {}).get("file"),
                "line": sources.get(rule.get("id"), {}).get("line"),
            }
            for rule in m.get("rules") or ()
        ],
        obligations={str(name): str(what) for name, what in (m.get("obligations") or {}).items()},
        approval=m.get("approval"),
        routed_from=m.get("routed_from"),
        fell_back_from=m.get("fell_back_from"),
    )


def _findings(intent: Record | None) -> list[FindingView]:
    return [
        {
            "type": str(one.get("type")),
            "class": str(one.get("class")),
            "rule": str(one.get("rule")),
            "place": str(one.get("place")),
            "action": str(one.get("action")),
            "count": int(one.get("count", 1)),
            "exposed": bool(one.get("exposed")),
            "shape": f"LG_{one.get('type')}_{str(one.get('fingerprint') or '')[:_SHOWN_FINGERPRINT]}…",
        }
        for one in (intent and intent.findings) or ()
    ]


def _refusal(refusal: Record | None) -> RefusalView | None:
    if refusal is None:
        return None
    m = refusal.metadata or {}
    return RefusalView(
        status=m.get("status"),
        code=m.get("code"),
        origin=m.get("origin"),
        reason=m.get("reason"),
        next_step=m.get("next_step"),
        rule=m.get("rule"),
    )
