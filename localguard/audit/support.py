"""What a support case may be told from the log: nine answers and explained failures, from allow-listed fields only. Pure.

No text of a prompt, a reply, a command line, a path, a reason that a person typed or a note is taken over, whatever the
records hold; of commands the programs' names are.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from localguard.audit.explain import explain
from localguard.audit.outcomes import works_of
from localguard.audit.queries import Record
from localguard.audit.sessions import Session, session_of

_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_EXPLAINED = 20
_SHOWN = 12
_SAID_NO = "localguard_policy_ask_denied"
"""The refusal whose reason quotes what a person typed."""
_LOCAL = ("workspace", "repository", "branch", "commit", "by")


def answers(id: str, records: Sequence[Record]) -> list[str]:
    """The nine questions of a support case and what the records say, one a line; `-` where they say nothing."""
    told = session_of(id, records)
    return [
        f"Which model: {_names(told.models)}; served {_names(told.served)}",
        f"Which endpoint: {_names(told.endpoints)}",
        f"Whose identity paid: {_names(told.identities)}; cost bucket {_names(told.buckets)}; {told.cost_usd} USD",
        f"Which repository: {_names(told.repositories)}",
        f"Which branch: {_names(told.branches)}; commits {_names(Counter({c[:12]: n for c, n in told.commits.items()}))}",
        f"Which tools: {_names(told.tools)}; MCP servers {', '.join(told.mcp_servers) or '-'}",
        f"Which instructions: {_instructions(told)}",
        f"Which commands: {_names(programs(told))} (programs only; {len(told.commands)} commands in all)",
        f"Who approved: {_approvals(told)}",
    ]


def summary(id: str, records: Sequence[Record]) -> list[str]:
    """Agents, times, numbers, refusals by code, failures by origin, what was replaced by type, results."""
    told = session_of(id, records)
    results = Counter(work.verdict.result for work in works_of(records) if work.verdict is not None)
    return [
        f"Agents: {_names(told.agents)}",
        f"Time: {told.began or '-'} to {told.ended or '-'}",
        f"Exchanges: {told.exchanges}, {told.refused} refused, {told.failed} not completed",
        f"Refusals: {_names(told.refusals)}",
        f"Failures from: {_names(told.origins)}",
        f"Replaced: {_names(told.redactions)}; withheld {told.withheld}",
        f"Policies: {_names(Counter({digest[:16]: count for digest, count in told.policies.items()}))}",
        f"Deciding rules: {_names(told.rules)}",
        f"Tokens: {_names(told.tokens)}",
        f"Results: {_names(results)}",
    ]


def explained(records: Iterable[Record]) -> list[str]:
    """The explanations of the newest exchanges that were refused or not completed, of one that is alone in any case."""
    by_exchange: dict[str, list[Record]] = {}
    for record in records:
        if record.exchange is not None:
            by_exchange.setdefault(record.exchange, []).append(_allowed(record))
    chosen = [each for each in by_exchange.values() if len(by_exchange) == 1 or any(map(_failed, each))]
    lines: list[str] = []
    for each in chosen[-_EXPLAINED:]:
        lines += [*str(explain(each)).split("\n"), ""]
    return lines


def programs(told: Session) -> Counter[str]:
    """The programs that commands begin with; what looks like no program's name is `other`."""
    found: Counter[str] = Counter()
    for one in told.commands:
        first = PurePath(one.command.split(None, 1)[0]).name if one.command.strip() else ""
        found[first if _PROGRAM.fullmatch(first) else "other"] += 1
    return found


def _allowed(record: Record) -> Record:
    """The record without what a support case is not told."""
    local: dict[str, Any] = {name: value for name, value in (record.local or {}).items() if name in _LOCAL}
    rules = (record.local or {}).get("rules") or ()
    local["rules"] = [{**rule, "file": PurePath(str(rule.get("file"))).name} for rule in rules]
    files = (record.local or {}).get("instructions") or ()
    local["instructions"] = [{**file, "name": PurePath(str(file.get("name"))).name} for file in files]
    metadata: dict[str, Any] = record.metadata or {}
    if record.kind == "control":
        metadata = {name: value for name, value in metadata.items() if name in ("event", "detail")}
    metadata = {name: value for name, value in metadata.items() if name not in ("route", "calls")}
    if metadata.get("code") == _SAID_NO:
        metadata["reason"] = "A person was asked and said no."
    findings = [{**one, "place": "-"} for one in record.findings or ()]
    return replace(record, metadata=metadata, findings=findings, local=local)


def _failed(record: Record) -> bool:
    state = (record.metadata or {}).get("state")
    return record.kind == "refusal" or (record.kind == "outcome" and state != "completed")


def _names(counter: Counter[str]) -> str:
    shown = [name if count == 1 else f"{name} ({count})" for name, count in counter.most_common(_SHOWN)]
    more = len(counter) - _SHOWN
    return (", ".join(shown) or "-") + (f" and {more} more" if more > 0 else "")


def _instructions(told: Session) -> str:
    compared = {True: ", as on disk", False: ", not as on disk", None: ""}
    files = [
        f"{PurePath(one.name).name} ({one.digest[:12]}{compared[one.matches_disk]})"
        for one in told.instructions[:_SHOWN]
    ]
    return ", ".join(files) or "-"


def _approvals(told: Session) -> str:
    said = [f"{one.by or 'somebody'} ({one.event}, {one.time[:19]})" for one in told.approvals[-_SHOWN:]]
    return ", ".join(said) or "nobody was asked"
