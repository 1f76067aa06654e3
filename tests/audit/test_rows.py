"""An exchange has the same figures in a list, in its detail and in the log, and what is missing is left out."""

import time
from datetime import UTC, datetime

import pytest

from localguard.audit.detail import detail_of, phases
from localguard.audit.queries import Record
from localguard.audit.rows import row_of, time_of
from localguard.proxy.exchange_ids import ExchangeIds

ID = ExchangeIds().new()


def record(seq: int, kind: str, metadata: dict[str, object] | None, **sections: object) -> Record:
    made: dict[str, object] = {"findings": [], "local": {}, **sections}
    return Record(seq, kind, "2026-01-31T08:00:00.000000Z", ID, "s-1", metadata, **made, leaf_hash=b"")  # type: ignore[arg-type]


INTENT = record(
    1,
    "intent",
    {
        "agent": "codex",
        "endpoint": "openai",
        "endpoint_class": "hosted",
        "model": "gpt-5",
        "effect": "allow",
        "rules": [{"id": "docs", "layer": "user", "reason": "Docs may.", "fields": ["tasks"]}],
        "coverage": {"leaves": 9, "opaque": 1, "bytes": 900},
        "exposed": 1,
    },
    findings=[
        {
            "type": "EMAIL",
            "class": "pii",
            "rule": "email",
            "place": "messages[0].content",
            "action": "redacted",
            "count": 2,
            "fingerprint": "abcdef0123456789",
        },
        {
            "type": "IBAN",
            "class": "pii",
            "rule": "iban",
            "place": "messages[1].content",
            "action": "redacted",
            "exposed": True,
        },
    ],
    local={"workspace": "payments", "branch": "main", "rules": [{"id": "docs", "file": "/p.toml", "line": 7}]},
)
OUTCOME = record(
    2,
    "outcome",
    {
        "state": "completed",
        "status": 200,
        "model": "gpt-5-2026",
        "usage": {"input": 10, "output": 5},
        "cost_usd": "0.0123",
        "restored": {"EMAIL": 2},
        "withheld": 1,
        "sent_ms": 12,
        "first_byte_ms": 300,
        "total_ms": 900,
    },
    findings=[{"type": "IBAN", "class": "pii", "place": "shell", "reason": "it would leave this machine"}],
    local={"commands": [{"tool": "shell", "command": "curl x"}]},
)
REFUSAL = record(
    1,
    "refusal",
    {
        "status": 403,
        "code": "localguard_policy",
        "origin": "policy",
        "reason": "No.",
        "next_step": "Ask.",
        "rule": "inside",
    },
)


def test_an_exchange_is_running_until_its_outcome_says_how_it_ended() -> None:
    running = row_of([INTENT])
    assert running is not None
    assert (running["state"], running["replaced"], running["types"]) == ("running", 3, {"EMAIL": 2, "IBAN": 1})
    ended = row_of([INTENT, OUTCOME])
    assert ended is not None
    assert (ended["state"], ended["restored"], ended["withheld"], ended["cost_usd"]) == ("completed", 2, 1, "0.0123")
    assert (ended["workspace"], ended["rule"], ended["usage"]) == ("payments", "docs", {"input": 10, "output": 5})


def test_a_refusal_names_what_refused_it() -> None:
    row = row_of([REFUSAL])
    assert row is not None
    assert (row["state"], row["error"], row["rule"]) == ("refused", "localguard_policy", "inside")
    detail = detail_of([REFUSAL])
    assert detail is not None
    assert detail["refusal"] is not None
    assert (detail["refusal"]["reason"], detail["next_step"]) == ("No.", "Ask.")


def test_a_detail_says_what_was_decided_found_and_withheld_and_where_the_time_went() -> None:
    detail = detail_of([INTENT, OUTCOME])
    assert detail is not None
    assert detail["decision"]["rules"][0] == {
        "id": "docs",
        "layer": "user",
        "reason": "Docs may.",
        "fields": ["tasks"],
        "file": "/p.toml",
        "line": 7,
    }
    assert [one["shape"] for one in detail["findings"]] == ["LG_EMAIL_abcdef01…", "LG_IBAN_…"]
    assert [one["exposed"] for one in detail["findings"]] == [False, True]
    assert detail["withheld"][0]["reason"] == "it would leave this machine"
    assert [(one["begins_ms"], one["ends_ms"]) for one in detail["timing"]] == [(0, 12), (12, 300), (300, 900)]
    assert detail["commands"] == ["curl x"]
    assert detail["exchange"] == row_of([INTENT, OUTCOME])


def test_pruned_sections_are_left_out() -> None:
    bare = [record(1, "intent", None, findings=None, local=None), record(2, "outcome", None, findings=None, local=None)]
    detail = detail_of(bare)
    assert detail is not None
    assert detail["exchange"]["state"] == "unknown"
    assert not detail["findings_kept"]
    assert detail["timing"] == []
    assert row_of([record(1, "control", {})]) is None
    assert detail_of([]) is None


def test_phases_that_contradict_each_other_are_left_out() -> None:
    assert [one["ends_ms"] for one in phases({"sent_ms": 50, "first_byte_ms": 20, "total_ms": 90})] == [50, 90]


def test_the_time_of_an_exchange_is_in_its_id() -> None:
    before = time.time()
    told = time_of(ExchangeIds().new())
    assert told is not None
    assert before - 0.002 <= datetime.fromisoformat(told).timestamp() <= time.time()
    assert datetime.fromisoformat(told).tzinfo == UTC


@pytest.mark.parametrize(
    "id", ["", "x", "x" + "z" * 16, "y" + "0" * 16, "x" + "0" * 15 + "!", "x" + "U" * 16, "01JC2M9X5Q"]
)
def test_another_kind_of_id_has_no_time(id: str) -> None:
    assert time_of(id) is None
