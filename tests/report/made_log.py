"""A made-up log of a team's weeks: repositories, agents, models, findings, refusals, verdicts, in any number, the same for the same seed."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from localguard.audit import record
from localguard.audit.log_end import LogEnd
from localguard.audit.outcomes import verdict_event
from localguard.audit.pending import Pending
from localguard.audit.schema import connect_writer, keep_derived, migrate

BEGAN = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)

REPOSITORIES = (
    ("payments", "github.com/acme/payments-service", "restricted", "payments-eng", 9),
    ("shop", "github.com/acme/web-shop", "internal", "web", 14),
    ("infra", "gitlab.example.com/acme/platform/terraform-live", "restricted", "platform", 6),
    ("docs", "github.com/acme/handbook", "public", "web", 5),
    ("mobile", "github.com/acme/mobile-app", "internal", "mobile", 7),
    ("data", "github.com/acme/warehouse-models", "sensitive", "data", 4),
    ("", "github.com/acme/scratch", "sensitive", "", 2),
)
ENDPOINTS = (
    ("openai", "openai", "hosted", "gpt-5", "client", "personal", "responses", 0.042),
    ("anthropic", "anthropic", "hosted", "claude-sonnet-4-5", "client", "team", "messages", 0.061),
    ("company", "azure-openai", "enterprise", "prod-gpt5", "keyring:company", "team", "responses", 0.038),
    ("ollama", "ollama", "local", "qwen3-coder:30b", "client", None, "ollama", 0.0),
    ("trial", "openai-compatible", "experimental", "house-13b", "keyring:trial", "service", "chat", 0.004),
)
AGENTS = (("codex", "0.169.0"), ("claude-code", "2.1.9"), ("opencode", "1.18.33"), ("copilot", "1.0.4"))
TASKS = ("feature", "incident", "docs", "dependency-bump", None)
TYPES = (
    ("EMAIL", "pii", "person/email", 9),
    ("AWS_SECRET_KEY", "secret", "aws/secret-key", 3),
    ("GITHUB_TOKEN", "secret", "github/token", 4),
    ("DSN_PASSWORD", "secret", "url/password", 6),
    ("SECRET", "secret", "assignment/double-quoted", 7),
    ("PHONE", "pii", "person/phone-international", 2),
    ("IP_ADDRESS", "pii", "presidio/ip", 5),
    ("CUSTOMER", "custom", "acme/customers", 4),
    ("IBAN", "pii", "person/iban", 1),
)
REFUSALS = (
    ("localguard_policy_denied", "policy", "incident-stays-inside", 403, "Production incident work may not leave the approved boundary.", "Use an endpoint of class enterprise or local."),
    ("localguard_budget_exceeded", "budget", "payments-eng", 402, "The budget of payments-eng for this month is spent.", "Wait until the next period, or ask its owner."),
    ("localguard_attachment_unread", "redaction", "attachments", 403, "An attached document cannot be read.", "Send it as text."),
)  # fmt: skip


class Told(NamedTuple):
    """One record before it is written."""

    kind: str
    time: str
    exchange: str | None
    session: str | None
    metadata: dict[str, Any]
    findings: list[dict[str, Any]]
    local: dict[str, Any]


def told(exchanges: int, *, seed: int = 7, days: int = 28, findings: int = 3) -> Iterator[Told]:
    """The records of so many exchanges over so many days, in order; at most `2 * findings` found values in one."""
    chance = random.Random(seed)
    values = [
        (*chance.choices(TYPES, [one[3] for one in TYPES])[0][:3], f"{chance.getrandbits(128):032x}")
        for _ in range(220)
    ]
    popular = [1 / (number + 1) for number in range(len(values))]
    number = 0
    while number < exchanges:
        session = f"s{chance.getrandbits(48):012x}"
        name, repository, sensitivity, bucket, _ = chance.choices(REPOSITORIES, [one[4] for one in REPOSITORIES])[0]
        agent, version = chance.choice(AGENTS)
        endpoint, kind, group, model, credential, identity, wire, price = chance.choices(ENDPOINTS, (9, 7, 6, 4, 1))[0]
        task = chance.choices(TASKS, (9, 2, 3, 3, 4))[0]
        moment = BEGAN + timedelta(days=days) * (number / exchanges)
        root = f"/src/{repository.rsplit('/', 1)[-1]}"
        context = {
            "agent": agent, "agent_version": version, "workspace": name or "w-3f9a0c12", "attribution": "peer",
            "sensitivity": sensitivity, "task": task, "cost_bucket": bucket or None, "endpoint": endpoint,
            "endpoint_class": group, "provider": kind, "wire": wire, "method": "POST", "route": "/v1/responses",
            "transport": "http", "stream": True, "model": model, "credential": credential, "identity": identity,
            "policy": "5f" * 16, "effect": "allow", "rules": [{"id": "other-work", "layer": "user", "reason": "", "fields": []}],
            "obligations": {"secret": "redact", "pii": "redact", "custom": "redact", "attachments": "allow"},
            "tools": ["shell", "apply_patch"], "instructions": ["5f" * 16], "attachments": {},
        }  # fmt: skip
        local = {
            "workspace": name or None,
            "repository": repository,
            "branch": "topic",
            "root": root,
            "path": "/v1/responses",
        }
        held: list[tuple[str, str, str, str]] = []
        for turn in range(chance.randint(3, 24)):
            number += 1
            moment += timedelta(seconds=chance.randint(8, 90))
            time, exchange = record.timestamp(moment), f"x{number:015d}"
            held = [*held, *chance.choices(values, popular, k=chance.randint(0, 2))][-2 * findings :]
            found: list[dict[str, Any]] = [
                {"type": type, "class": data_class, "rule": rule, "place": f"input[{i}].output", "fingerprint": mark, "action": "redacted"}
                for i, (type, data_class, rule, mark) in enumerate(dict.fromkeys(held))
            ]  # fmt: skip
            if found and chance.random() < 0.004:
                found[0]["exposed"] = True
            size = 30_000 + 4_000 * turn
            coverage = {"leaves": 60 + 8 * turn, "opaque": turn // 3, "bytes": size, "cached": 50 + 8 * turn}
            asked = {**context, "coverage": coverage, "request_bytes": size, "exchange": exchange, "session": session}
            if (task == "incident" and group == "hosted") or chance.random() < 0.008:
                code, origin, rule, status, reason, step = REFUSALS[0 if task == "incident" else chance.randint(1, 2)]
                refusal = {
                    "status": status,
                    "code": code,
                    "origin": origin,
                    "reason": reason,
                    "next_step": step,
                    "rule": rule,
                }
                yield Told("refusal", time, exchange, session, {**asked, **refusal, "effect": "deny"}, found, local)
                continue
            intent = {**asked, "upstream_bytes": size + 400, "reserved_usd": "0.25", "price_source": "genai-prices"}
            yield Told("intent", time, exchange, session, intent, found, local)
            state = "failed" if chance.random() < 0.02 else "completed"
            cost = f"{price * (1 + turn / 8) * chance.uniform(0.7, 1.3):.6f}"
            outcome = {
                "exchange": exchange, "session": session, "state": state, "status": 200 if state == "completed" else 529,
                "origin": None if state == "completed" else "provider", "model": model, "first_byte_ms": 400, "total_ms": 9_000,
                "usage": {"input": 1_000, "output": 500, "cache_read": size // 4}, "cost_usd": cost,
                "price_source": "genai-prices", "price_known": endpoint != "trial", "cost_basis": "usage",
                "tool_calls": {"shell": 1}, "restored": {one["type"]: 1 for one in found[:2]},
                "withheld": int(bool(found) and chance.random() < 0.03),
            }  # fmt: skip
            yield Told("outcome", record.timestamp(moment + timedelta(seconds=6)), exchange, session, outcome, [], {})
        if chance.random() < 0.3:
            good = {"local": 0.5, "experimental": 0.4}.get(group, 0.86)
            result = "accepted" if chance.random() < good else chance.choice(["reworked", "rejected"])
            verdict = {
                **verdict_event(task or "other", result, chance.randint(2, 20), {}),
                "exchange": None,
                "session": session,
            }
            yield Told("control", record.timestamp(moment), None, session, dict(verdict), [], {"by": "dev"})


def write(path: Path, records: Iterator[Told], batch: int = 1_000) -> int:
    """A log of these records, straight through the writer's own batches; returns how many there are."""
    connection = connect_writer(path, create=True, busy_seconds=2.0)
    migrate(connection)
    keep_derived(connection)
    end, count, salt = LogEnd(), 0, bytes(16)
    while some := list(itertools.islice(records, batch)):
        pendings = []
        for one in some:
            sections = (
                record.seal("metadata", record.plain(one.metadata, "metadata"), salt),
                record.seal("findings", record.plain(one.findings, "findings"), salt),
                record.seal("local", record.plain(one.local, "local"), salt),
            )
            pendings.append(Pending(one.kind, one.time, one.exchange, one.session, sections, 0))
        end.write(connection, pendings)
        count += len(some)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return count
