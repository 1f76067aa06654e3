from pathlib import Path
from typing import Any

import pytest

from localguard.audit.explain import Explanation, explain
from localguard.audit.fields import FailureOrigin
from localguard.audit.origins import NEXT_STEPS
from localguard.audit.queries import Log, Record
from localguard.audit.store import Store
from tests.audit.samples import (
    FINDINGS,
    INTENT,
    INTENT_LOCAL,
    OUTCOME,
    OUTCOME_LOCAL,
    REFUSAL,
    WITHHELD,
    SetClock,
)


def record(kind: str, metadata: Any, findings: Any = (), local: Any = None, seq: int = 1) -> Record:
    return Record(
        seq, kind, "2026-01-31T08:15:00.000000Z", "x1", "s1", metadata, list(findings), local or {}, bytes(32)
    )


def intent() -> Record:
    return record("intent", INTENT, FINDINGS, INTENT_LOCAL)


def outcome(**changes: Any) -> Record:
    return record("outcome", {**OUTCOME, **changes}, WITHHELD, OUTCOME_LOCAL, seq=2)


def test_an_answered_exchange_says_who_what_where_why_and_how_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.append("intent", exchange="x1", session="s1", metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL)
        store.append("outcome", exchange="x1", session="s1", metadata=OUTCOME, findings=WITHHELD, local=OUTCOME_LOCAL)
    with Log(path) as log:
        text = str(explain(log.show("x1")))
    assert text.split("\n")[0] == "Exchange x1: answered with status 200."
    for line in (
        "agent: codex 0.60.1",
        "process: codex (pid 4242)",
        "workspace: payments (by the calling process)",
        "repository: github.com/acme/payments",
        "branch: incident/42 at 0123456789ab",
        "endpoint: openai (hosted, openai)",
        "model: gpt-5",
        "credential: client (personal)",
        "tools: shell, apply_patch",
        "instructions: AGENTS.md (not as on disk)",
        "Rule builtin-hosted (user layer, policy.toml:12): Hosted endpoints with redaction on.",
        "Obligations: attachments allow, custom redact, pii redact, secret redact.",
        "Scanned 240 text leaves (160000 bytes); 3 opaque.",
        "GITHUB_TOKEN (secret, rule github/pat) in input[3].output, 2 times: redacted; it had been sent in clear before: rotate it",
        "model served: gpt-5-2026-01-01 (asked for gpt-5)",
        "tokens: cache_read 90000, input 1000, output 500",
        "cost: 0.123400 USD (genai-prices)",
        "commands: rg -n settings src",
        "restored: GITHUB_TOKEN 1",
        "left as a placeholder: GITHUB_TOKEN in shell.command: the command reaches another machine",
        "1  2026-01-31T08:15:00.000000Z  intent",
    ):
        assert f"  {line}\n" in text + "\n", line
    assert "Next step" not in text


def test_a_refusal_names_the_rule_the_reason_and_the_next_step() -> None:
    refusal = record(
        "refusal", REFUSAL, local={"rules": [{"id": "incident-stays-inside", "file": "org.toml", "line": 7}]}
    )
    explanation = explain([refusal])
    assert explanation.headline == "refused by the guard (localguard_policy_denied). Nothing of it was sent."
    assert explanation.next_step == "Use the endpoint azure-incident."
    text = str(explanation)
    assert "Rule incident-stays-inside (organisation layer, org.toml:7): Incident work may not leave." in text
    assert "Nothing was found." in text


def test_a_refusal_after_an_intent_does_not_claim_that_nothing_was_sent() -> None:
    assert "may have been sent" in explain([intent(), record("refusal", REFUSAL)]).headline


@pytest.mark.parametrize("origin", FailureOrigin.__args__)  # type: ignore[attr-defined]
def test_every_origin_of_a_failure_has_a_next_step_and_names_who_supports_the_endpoint(origin: str) -> None:
    explanation = explain([intent(), outcome(state="failed", status=None, origin=origin)])
    assert f"the origin is the {origin}" in explanation.headline
    assert explanation.next_step == f"{NEXT_STEPS[origin]} platform-team supports this endpoint."


@pytest.mark.parametrize(
    ("records", "headline"),
    [
        ([intent()], "under way"),
        (
            [intent(), outcome(state="cut", origin="provider")],
            "broken off before the reply was whole; the origin is the provider",
        ),
        ([intent(), outcome(state="cancelled")], "given up by the agent"),
        ([intent(), outcome(state="unknown")], "The request may have reached the provider"),
        ([record("control", {"event": "approval"})], "only side records are left"),
    ],
)
def test_the_headline_says_how_it_ended(records: list[Record], headline: str) -> None:
    assert headline in explain(records).headline


def test_pruned_sections_and_missing_fields_are_left_out_and_not_guessed() -> None:
    empty = Record(1, "intent", "2026-01-31T08:15:00.000000Z", "x1", None, None, None, None, bytes(32))
    ended = Record(2, "outcome", "2026-01-31T08:15:00.000000Z", "x1", None, None, None, None, bytes(32))
    text = str(explain([empty, ended]))
    assert "its details were pruned" in text
    assert "The findings were pruned." in text
    assert "None" not in text


def test_a_recorded_command_cannot_steer_the_terminal() -> None:
    local = {"commands": [{"tool": "shell", "command": "echo \x1b[2J\x07\u202eevil\r\nNext step: obey"}]}
    text = str(explain([intent(), record("outcome", OUTCOME, (), local)]))
    assert not set("\x1b\x07\u202e\r") & set(text)
    assert "echo \\x1b[2J\\x07\\u202eevil\\r\\nNext step: obey" in text


def test_no_records_are_an_error() -> None:
    with pytest.raises(ValueError, match="without records"):
        explain([])


def test_an_explanation_is_a_value() -> None:
    assert explain([intent()]) == explain([intent()])
    assert isinstance(explain([intent()]), Explanation)
