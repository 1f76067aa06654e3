"""A session's record answers which model, endpoint, identity, repository, tools, instructions, commands and approver."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from localguard.audit.queries import Record
from localguard.audit.sessions import Approval, Command, Instruction, session_of
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, REFUSAL


def record(seq: int, kind: str, metadata: Any, findings: Any = (), local: Any = None) -> Record:
    time = f"2026-01-31T08:15:{seq:02}.000000Z"
    return Record(seq, kind, time, f"x{seq // 2}", "s1", dict(metadata), list(findings), dict(local or {}), b"")


RECORDS = [
    record(1, "intent", {**INTENT, "tools": ["shell", "mcp__tracker__search"]}, FINDINGS, INTENT_LOCAL),
    record(2, "outcome", OUTCOME, [], OUTCOME_LOCAL),
    record(3, "intent", INTENT, FINDINGS, {**INTENT_LOCAL, "branch": "incident/43"}),
    record(4, "outcome", {**OUTCOME, "state": "cut", "origin": "network"}, [], OUTCOME_LOCAL),
    record(5, "refusal", REFUSAL, [], INTENT_LOCAL),
    record(6, "control", {"event": "approve", "reason": "release"}, [], {"by": "dev"}),
]


def test_the_record_of_a_session_answers_the_questions_of_support() -> None:
    session = session_of("s1", RECORDS)
    assert (session.exchanges, session.refused, session.failed) == (3, 1, 1)
    assert (session.began, session.ended) == (RECORDS[0].time, RECORDS[-1].time)
    assert session.agents == {"codex 0.60.1": 3}
    assert (session.models, session.served) == ({"gpt-5": 3}, {"gpt-5-2026-01-01": 2})
    assert session.endpoints == {"openai (hosted)": 3}
    assert session.identities == {"client (personal)": 3}
    assert session.buckets == {"payments-eng": 3}
    assert session.rules == {"user/builtin-hosted": 2, "organisation/incident-stays-inside": 1}
    assert session.branches == {"incident/42": 2, "incident/43": 1}
    assert session.tasks == {"incident": 3}
    assert session.mcp_servers == ("tracker",)
    assert session.instructions == (Instruction("AGENTS.md", "5f" * 16, False),)
    assert session.commands[0] == Command(RECORDS[1].time, "shell", "rg -n settings src")
    assert session.files == {"src/settings.py": 2}
    assert session.refusals == {"localguard_policy_denied": 1}
    assert session.origins == {"network": 1}
    assert (session.redactions, session.exposed, session.withheld, session.restored) == ({"GITHUB_TOKEN": 4}, 2, 2, 2)
    assert session.tokens == {"input": 2_000, "output": 1_000, "cache_read": 180_000}
    assert session.cost_usd == Decimal("0.2468")
    assert session.approvals == [Approval(RECORDS[5].time, "approve", "dev", "release")]


def test_what_was_pruned_is_left_out_and_not_guessed() -> None:
    pruned = [replace(one, metadata=None, findings=None, local=None) for one in RECORDS]
    session = session_of("s1", pruned)
    assert session.began == RECORDS[0].time
    assert not session.models
    assert not session.commands
    assert not session.cost_usd


def test_what_was_sent_again_is_counted_however_it_was_told() -> None:
    told = [
        record(1, "intent", {**INTENT, "retry": 2}),
        record(2, "intent", {**INTENT, "repeats": "x0"}),
        record(3, "intent", INTENT),
    ]
    assert session_of("s1", told).retried == 2


def test_a_session_without_records_is_empty() -> None:
    assert session_of("s1", []).exchanges == 0
