"""Which work came to something: sessions with what became of them, and tables of them by workflow, model or endpoint. Pure.

A session counts under the model and the endpoint that most of its exchanges went to, and under the workflow that its verdict
names, else the task that most of its exchanges were for. The order in which records are given does not matter.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, get_args

from localguard.audit.amounts import counts, sent_again, spent, tests_run
from localguard.audit.fields import ControlMetadata
from localguard.audit.queries import Record

Result = Literal["accepted", "reworked", "rejected"]
RESULTS: tuple[str, ...] = get_args(Result)
Axis = Literal["workflow", "model", "endpoint"]
AXES: tuple[str, ...] = get_args(Axis)

EVENT = "session-outcome"
"""The control record that says what became of a session; a later one replaces it."""
NAMELESS = "-"
"""Where a session names no workflow, model or endpoint."""
_CONFIDENCE = 1.959964
"""Standard deviations of a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said of a session, and what git said then. `facts` are numbers: commits kept, reverted, gone."""

    time: str
    result: str
    workflow: str | None = None
    review_minutes: int | None = None
    by: str | None = None
    note: str | None = None
    facts: Mapping[str, int] = field(default_factory=dict)


def verdict_event(workflow: str, result: str, review_minutes: int | None, facts: Mapping[str, int]) -> ControlMetadata:
    """The `metadata` of the record of a verdict. Raises ValueError for a result that there is not."""
    if result not in RESULTS:
        raise ValueError(f"a result is one of {', '.join(RESULTS)}")
    detail: dict[str, str | int | bool | None] = {"workflow": workflow, "result": result}
    if review_minutes is not None:
        detail["review_minutes"] = review_minutes
    return {"event": EVENT, "detail": detail | dict(facts)}


@dataclass(slots=True)
class Work:
    """What the records of one session add up to. Times are whole milliseconds; counters count exchanges."""

    session: str
    began: str = ""
    ended: str = ""
    exchanges: int = 0
    refused: int = 0
    failed: int = 0
    """Ended in another state than completed."""
    retries: int = 0
    """Requests that came next after one that was refused or not completed, or that were sent before."""
    models: Counter[str] = field(default_factory=Counter)
    endpoints: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    commits: dict[str, int] = field(default_factory=dict)
    """Heads that were seen, by the seq of the first record that saw them."""
    roots: Counter[str] = field(default_factory=Counter)
    """Work trees."""
    tokens: Counter[str] = field(default_factory=Counter)
    cost_usd: Decimal = Decimal(0)
    total_ms: list[int] = field(default_factory=list)
    """Of each exchange that ended, ascending."""
    commands: int = 0
    tool_calls: int = 0
    tool_failures: int = 0
    """Results of tools that the agent sent back as failed."""
    tests: Counter[str] = field(default_factory=Counter)
    """Runs of tests by the agent: passed, failed, unknown."""
    fates: Mapping[str, int] = field(default_factory=dict)
    """What git says of its commits now, as in `FACTS`; whoever asks git sets it."""
    verdict: Verdict | None = None

    @property
    def workflow(self) -> str:
        """What it was for."""
        return (self.verdict and self.verdict.workflow) or _most(self.tasks)

    @property
    def model(self) -> str:
        """What most of it was asked of."""
        return _most(self.models)

    @property
    def endpoint(self) -> str:
        """Where most of it went."""
        return _most(self.endpoints)


def works_of(records: Iterable[Record]) -> list[Work]:
    """The sessions of these records, in the order of their ids; those of which there are only verdicts are left out."""
    by_session: dict[str, list[Record]] = {}
    for record in records:
        if record.session is not None:
            by_session.setdefault(record.session, []).append(record)
    works = [_work(session, sorted(by_session[session], key=_seq)) for session in sorted(by_session)]
    return [work for work in works if work.exchanges]


def _work(session: str, records: Sequence[Record]) -> Work:
    """`records` in order of seq."""
    work = Work(session, records[0].time, records[-1].time)
    seen: set[str | None] = set()
    unwell = False
    for record in records:
        metadata, local = record.metadata or {}, record.local or {}
        if record.kind in ("intent", "refusal") and record.exchange not in seen:
            seen.add(record.exchange)
            work.retries += unwell or sent_again(metadata)
            unwell = False
            _request(work, record.seq, metadata, local)
        if record.kind == "refusal":
            work.refused += 1
            unwell = True
        elif record.kind == "outcome":
            unwell = metadata.get("state") not in ("completed", None)
            work.failed += unwell
            _outcome(work, metadata, local)
        elif record.kind == "control" and metadata.get("event") == EVENT:
            work.verdict = _verdict(record.time, metadata.get("detail") or {}, local)
    work.total_ms.sort()
    return work


def _request(work: Work, seq: int, metadata: Mapping[str, Any], local: Mapping[str, Any]) -> None:
    work.exchanges += 1
    for counter, name in ((work.models, "model"), (work.endpoints, "endpoint"), (work.tasks, "task")):
        if metadata.get(name):
            counter[str(metadata[name])] += 1
    if local.get("commit"):
        work.commits.setdefault(str(local["commit"]), seq)
    if local.get("root"):
        work.roots[str(local["root"])] += 1
    work.tool_failures += 0 if metadata.get("repeats") else counts(metadata, "tool_results").get("failed", 0)
    work.tests.update(tests_run(metadata))


def _outcome(work: Work, metadata: Mapping[str, Any], local: Mapping[str, Any]) -> None:
    work.tokens.update(counts(metadata, "usage"))
    work.tool_calls += sum(counts(metadata, "tool_calls").values())
    work.commands += len(local.get("commands") or ())
    work.cost_usd += spent(metadata)
    if isinstance(metadata.get("total_ms"), int):
        work.total_ms.append(metadata["total_ms"])


def _verdict(time: str, detail: Mapping[str, Any], local: Mapping[str, Any]) -> Verdict:
    minutes = detail.get("review_minutes")
    return Verdict(
        time,
        str(detail.get("result")),
        detail.get("workflow"),
        minutes if isinstance(minutes, int) else None,
        local.get("by"),
        local.get("note"),
        {name: detail[name] for name in FACTS if isinstance(detail.get(name), int)},
    )


FACTS = ("commits_kept", "commits_reverted", "commits_gone")
"""What git says of the commits of a session's time, when its verdict is recorded."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison. `low` and `high` are the 95 % Wilson interval of the accepted share; None where nothing is rated.

    A cost per accepted change is that of all rated sessions of the line, the rejected ones too, over the accepted ones.
    """

    name: str
    sessions: int
    rated: int
    results: Mapping[str, int]
    accepted_share: float | None
    low: float | None
    high: float | None
    cost_usd: Decimal
    cost_per_accepted: Decimal | None
    review_minutes: int
    """Of all rated sessions that say so, added up."""
    reviewed: int
    """How many say so."""
    exchanges: int
    retries: int
    tool_calls: int
    tool_failures: int
    tests: Mapping[str, int]
    """Runs of tests: passed, failed, unknown."""
    tokens: Mapping[str, int]
    p50_ms: int | None
    p95_ms: int | None
    """Of whole exchanges."""
    commits: Mapping[str, int]


def compare(works: Iterable[Work], axis: str) -> list[Line]:
    """A line for each workflow, model or endpoint, that with the most sessions first. Raises ValueError for another axis."""
    if axis not in AXES:
        raise ValueError(f"compare by one of {', '.join(AXES)}")
    groups: dict[str, list[Work]] = {}
    for work in works:
        groups.setdefault(getattr(work, axis), []).append(work)
    return sorted((_line(name, group) for name, group in groups.items()), key=lambda line: (-line.sessions, line.name))


def _line(name: str, works: Sequence[Work]) -> Line:
    verdicts = [work.verdict for work in works if work.verdict is not None]
    results = Counter(verdict.result for verdict in verdicts)
    accepted, rated = results["accepted"], len(verdicts)
    low, high = wilson(accepted, rated) if rated else (None, None)
    spent = sum((work.cost_usd for work in works if work.verdict is not None), Decimal(0))
    reviews = [verdict.review_minutes for verdict in verdicts if verdict.review_minutes is not None]
    times = sorted(value for work in works for value in work.total_ms)
    tokens: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    commits: Counter[str] = Counter()
    for work in works:
        tokens.update(work.tokens)
        tests.update(work.tests)
        commits.update(work.fates or (work.verdict.facts if work.verdict is not None else {}))
    return Line(
        name=name,
        sessions=len(works),
        rated=rated,
        results={result: results[result] for result in RESULTS},
        accepted_share=accepted / rated if rated else None,
        low=low,
        high=high,
        cost_usd=sum((work.cost_usd for work in works), Decimal(0)),
        cost_per_accepted=spent / accepted if accepted else None,
        review_minutes=sum(reviews),
        reviewed=len(reviews),
        exchanges=sum(work.exchanges for work in works),
        retries=sum(work.retries for work in works),
        tool_calls=sum(work.tool_calls for work in works),
        tool_failures=sum(work.tool_failures for work in works),
        tests=dict(sorted(tests.items())),
        tokens=dict(sorted(tokens.items())),
        p50_ms=percentile(times, 50),
        p95_ms=percentile(times, 95),
        commits=dict(sorted(commits.items())),
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a comparison's chart: the accepted share with its 95 % interval, shares of 1; only of lines that are rated."""

    name: str
    share: float
    low: float
    high: float
    rated: int
    cost_per_accepted: Decimal | None


def chart(lines: Iterable[Line]) -> list[Bar]:
    """What a chart of the accepted share shows, the best first."""
    bars = [
        Bar(line.name, line.accepted_share, line.low, line.high, line.rated, line.cost_per_accepted)
        for line in lines
        if line.accepted_share is not None and line.low is not None and line.high is not None
    ]
    return sorted(bars, key=lambda bar: (-bar.share, bar.name))


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, 1927): right for few trials and for shares near 0 and 1.

    Raises ValueError where there are no trials, or more hits than trials.
    """
    if not 0 <= hits <= trials or trials == 0:
        raise ValueError("a share needs trials, and no more hits than those")
    share, square = hits / trials, _CONFIDENCE**2
    middle = share + square / (2 * trials)
    reach = _CONFIDENCE * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    scale = 1 + square / trials
    return max((middle - reach) / scale, 0.0), min((middle + reach) / scale, 1.0)


def percentile(ascending: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many percent of the values do not exceed (nearest rank); None of none."""
    if not ascending:
        return None
    return ascending[max(math.ceil(len(ascending) * percent / 100), 1) - 1]


def _most(counter: Counter[str]) -> str:
    """The most frequent name, of several the first in order; NAMELESS where there is none."""
    return min(counter, key=lambda name: (-counter[name], name), default=NAMELESS)


def _seq(record: Record) -> int:
    return record.seq
