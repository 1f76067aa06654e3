"""Records as the proxy writes them, and a clock that tests can set."""

from datetime import UTC, datetime, timedelta

from localguard.audit.fields import (
    ExchangeContext,
    FindingEntry,
    IntentLocal,
    IntentMetadata,
    OutcomeLocal,
    OutcomeMetadata,
    RefusalMetadata,
    WithheldEntry,
)

CONTEXT: ExchangeContext = {
    "agent": "codex",
    "agent_version": "0.60.1",
    "workspace": "payments",
    "attribution": "peer",
    "sensitivity": "restricted",
    "task": "incident",
    "cost_bucket": "payments-eng",
    "endpoint": "openai",
    "endpoint_class": "hosted",
    "provider": "openai",
    "support": "platform-team",
    "wire": "responses",
    "method": "POST",
    "route": "/v1/responses",
    "transport": "http",
    "stream": True,
    "model": "gpt-5",
    "credential": "client",
    "identity": "personal",
    "effect": "allow",
    "rules": [{"id": "builtin-hosted", "layer": "user", "reason": "Hosted endpoints with redaction on."}],
    "obligations": {"secret": "redact", "pii": "redact", "custom": "redact", "attachments": "allow"},
    "coverage": {"leaves": 240, "opaque": 3, "bytes": 160_000, "cached": 230},
    "tools": ["shell", "apply_patch"],
    "instructions": ["5f" * 16],
    "attachments": {"image": 1},
    "request_bytes": 170_000,
}
INTENT: IntentMetadata = {
    **CONTEXT,
    "upstream_bytes": 170_400,
    "exposed": 1,
    "reserved_usd": "0.25",
    "price_source": "genai-prices 0.2.3: openai/gpt-5",
    "billed_at": "2026-11-28T08:15:00.000000Z",
}
FINDINGS: list[FindingEntry] = [
    {
        "type": "GITHUB_TOKEN",
        "class": "secret",
        "rule": "github/pat",
        "place": "input[3].output",
        "fingerprint": "a1" * 16,
        "action": "redacted",
        "count": 2,
        "exposed": True,
    }
]
INTENT_LOCAL: IntentLocal = {
    "repository": "github.com/acme/payments",
    "branch": "incident/42",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "root": "/src/payments",
    "path": "/openai/v1/responses",
    "peer": {"pid": 4242, "exe": "/usr/bin/node", "name": "codex", "cwd": "/src/payments"},
    "rules": [{"id": "builtin-hosted", "file": "policy.toml", "line": 12}],
    "instructions": [{"name": "AGENTS.md", "digest": "5f" * 16, "matches_disk": False}],
}
OUTCOME: OutcomeMetadata = {
    "state": "completed",
    "status": 200,
    "origin": None,
    "model": "gpt-5-2026-01-01",
    "first_byte_ms": 412,
    "total_ms": 12_345,
    "usage": {"input": 1_000, "output": 500, "cache_read": 90_000},
    "cost_usd": "0.123400",
    "price_source": "genai-prices",
    "tool_calls": {"shell": 1},
    "restored": {"GITHUB_TOKEN": 1},
    "withheld": 1,
}
WITHHELD: list[WithheldEntry] = [
    {
        "type": "GITHUB_TOKEN",
        "class": "secret",
        "place": "shell.command",
        "reason": "the command reaches another machine",
    }
]
OUTCOME_LOCAL: OutcomeLocal = {
    "commands": [{"tool": "shell", "command": "rg -n settings src"}],
    "files": [{"tool": "apply_patch", "path": "src/settings.py"}],
}
REFUSAL: RefusalMetadata = {
    **CONTEXT,
    "effect": "deny",
    "rules": [{"id": "incident-stays-inside", "layer": "organisation", "reason": "Incident work may not leave."}],
    "status": 403,
    "code": "localguard_policy_denied",
    "origin": "policy",
    "reason": "Incident work may not leave.",
    "next_step": "Use the endpoint azure-incident.",
    "rule": "incident-stays-inside",
}


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 8, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)
