"""A guard that is made up: it answers the control calls of the terminal UI from generated data, the same at every run."""

import queue
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from localguard.proxy.control_client import Event, GuardAnswered, GuardNotReachable

BEGAN = datetime(2026, 3, 4, 9, 12, 0, tzinfo=UTC)
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"

AGENTS = ("claude-code", "codex", "opencode", "aider", "copilot")
PLACES = (
    ("payments", "incident/42", "incident", "restricted"),
    ("webshop", "feature/cart", "feature", "internal"),
    ("handbook", "docs/setup", "docs", "public"),
    ("infra", "main", None, "sensitive"),
)
WAYS = (
    ("anthropic", "hosted", "anthropic", "claude-sonnet-4-5"),
    ("openai", "hosted", "openai", "gpt-5-mini"),
    ("work", "enterprise", "azure-openai", "gpt-5"),
    ("ollama", "local", "ollama", "qwen3-coder:30b"),
    ("trial", "experimental", "openai-compatible", "new-model-preview"),
)
TYPES = ("EMAIL", "GITHUB_TOKEN", "AWS_ACCESS_KEY", "IBAN", "PHONE_NUMBER")


def exchange_id(milliseconds: int, noise: int) -> str:
    """An id as the guard makes them."""
    number = milliseconds << 32 | noise
    return "x" + "".join(_DIGITS[number >> shift & 31] for shift in range(75, -1, -5))


def exchanges(count: int, seed: int = 7, *, step_ms: int = 2_300) -> Iterator[dict[str, Any]]:
    """Exchanges one after the other, the last of them still under way."""
    chance = random.Random(seed)
    moment = BEGAN
    for number in range(count):
        moment += timedelta(milliseconds=chance.randint(step_ms // 4, step_ms * 2))
        yield exchange(chance, moment, running=number >= count - 2)


def exchange(chance: random.Random, moment: datetime, *, running: bool = False) -> dict[str, Any]:
    """One exchange that began then."""
    workspace, branch, task, sensitivity = chance.choice(PLACES)
    endpoint, group, kind, model = chance.choices(WAYS, weights=(9, 5, 5, 4, 2))[0]
    refused = not running and (task == "incident" and group in ("hosted", "experimental"))
    state = (
        "running"
        if running
        else "refused"
        if refused
        else chance.choices(("completed", "failed", "cut", "cancelled"), (40, 2, 1, 1))[0]
    )
    types = {name: chance.randint(1, 3) for name in chance.sample(TYPES, chance.choice((0, 0, 1, 1, 2)))}
    row: dict[str, Any] = {
        "exchange": exchange_id(int(moment.timestamp() * 1000), chance.getrandbits(32)),
        "time": moment.isoformat(),
        "session": f"session-{PLACES.index((workspace, branch, task, sensitivity)) + 1}",
        "agent": chance.choice(AGENTS),
        "agent_version": "1.4.2",
        "workspace": workspace,
        "repository": f"git.example.com/acme/{workspace}",
        "branch": branch,
        "sensitivity": sensitivity,
        "task": task,
        "endpoint": endpoint,
        "endpoint_class": group,
        "provider": kind,
        "model": model,
        "identity": "team" if group == "enterprise" else "personal",
        "credential": "keyring:work" if group == "enterprise" else "client",
        "effect": "deny" if refused else "allow",
        "rule": "incident-stays-inside" if refused else f"{task or 'anything'}-may",
        "paused": False,
        "state": state,
        "replaced": 0 if refused else sum(types.values()),
        "types": {} if refused else types,
        "exposed": 0,
    }
    if running:
        return row
    if refused:
        return {**row, "status": 403, "error": "localguard_policy_denied", "origin": "policy"}
    into, out, sent = chance.randint(900, 90_000), chance.randint(40, 3_000), chance.randint(4, 60)
    first = sent + chance.randint(180, 2_400)
    cost = Decimal(0) if group == "local" else (Decimal(into) * 3 + Decimal(out) * 15) / 1_000_000
    return {
        **row,
        "status": 200 if state == "completed" else 529,
        "error": "overloaded_error" if state == "failed" else None,
        "origin": "provider" if state in ("failed", "cut") else None,
        "served": model,
        "restored": chance.randint(0, 3) if types else 0,
        "withheld": int(bool(types) and chance.random() < 0.08),
        "usage": {"input": into // 5, "cache_read": into - into // 5, "output": out},
        "cost_usd": f"{cost:.6f}",
        "sent_ms": sent,
        "first_byte_ms": first,
        "total_ms": first + chance.randint(100, 14_000),
    }


def detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """All that is known of an exchange, made up to fit its row."""
    refused, ended = row["state"] == "refused", "total_ms" in row
    marks = [
        ("guard", "sent_ms"),
        ("provider", "first_byte_ms"),
        ("reply", "total_ms"),
    ]
    timing, begins = [], 0
    for name, mark in marks if ended else ():
        timing.append({"name": name, "begins_ms": begins, "ends_ms": row[mark]})
        begins = row[mark]
    reason = (
        "Production incident work may not leave the approved boundary."
        if refused
        else "The team uses this for its work."
    )
    return {
        "exchange": dict(row),
        "headline": "refused by the guard. Nothing of it was sent." if refused else "answered with status 200.",
        "next_step": "Use the endpoint work or ollama, or ask the platform team." if refused else None,
        "decision": {
            "effect": row["effect"],
            "rules": [
                {
                    "id": row["rule"],
                    "layer": "user",
                    "reason": reason,
                    "fields": ["tasks", "classes"],
                    "file": "~/.localguard/policy.toml",
                    "line": 41,
                }
            ],
            "obligations": {"secret": "redact", "pii": "redact", "custom": "redact", "attachments": "allow"},
            "approval": None,
            "routed_from": None,
            "fell_back_from": None,
        },
        "findings": [
            {
                "type": name,
                "class": "pii" if name in ("EMAIL", "IBAN", "PHONE_NUMBER") else "secret",
                "rule": f"rule/{name.lower()}",
                "place": f"messages[{at}].content",
                "action": "redacted",
                "count": count,
                "exposed": False,
                "shape": f"LG_{name}_{name.lower()[:2]}4f09c1…",
            }
            for at, (name, count) in enumerate(row["types"].items(), 3)
        ],
        "findings_kept": True,
        "coverage": {"leaves": 184, "opaque": 2, "bytes": 61_220},
        "attachments": {},
        "restored": dict.fromkeys(row["types"], 1) if row.get("restored") else {},
        "withheld": [
            {
                "type": "GITHUB_TOKEN",
                "class": "secret",
                "place": "shell command",
                "reason": "the command reaches beyond this machine",
            }
        ]
        if row.get("withheld")
        else [],
        "unknown_placeholders": 0,
        "near_misses": 0,
        "timing": timing,
        "refusal": {
            "status": 403,
            "code": "localguard_policy_denied",
            "origin": "policy",
            "reason": reason,
            "next_step": "",
            "rule": row["rule"],
        }
        if refused
        else None,
        "price_source": "genai-prices, claude-sonnet-4-5" if ended else None,
        "cost_basis": "usage",
        "tools": ["bash", "edit"],
        "tool_calls": {"bash": 2, "edit": 1} if ended else {},
        "commands": ["pytest -x tests/cart"] if ended else [],
        "files": ["shop/cart.py"] if ended else [],
        "paragraphs": [],
        "records": [
            {"seq": 1, "time": row["time"], "kind": "intent"},
            {"seq": 2, "time": row["time"], "kind": "outcome"},
        ],
    }


QUESTION = {
    "id": exchange_id(1_772_000_000_000, 1),
    "age_seconds": 4,
    "reason": "Dear models are asked for.",
    "scopes": ["once", "session", "hour"],
    "agent": "codex",
    "workspace": "webshop",
    "sensitivity": "internal",
    "branch": "feature/cart",
    "task": "feature",
    "endpoint": "openai",
    "class": "hosted",
    "model": "gpt-5-pro",
    "identity": "personal",
    "waiting": True,
}

POLICY = {
    "digest": "9f2c5d0e8a7b4c31",
    "error": None,
    "layers": [
        {
            "name": "user",
            "file": "~/.localguard/policy.toml",
            "digest": "9f2c5d0e8a7b4c31",
            "default": "deny",
            "organisation": None,
            "revision": 0,
            "rules": [
                {
                    "id": "incident-stays-inside",
                    "effect": "deny",
                    "reason": "Production incident work may not leave the approved boundary.",
                    "line": 41,
                    "when": {"tasks": ["incident"], "classes": ["hosted", "experimental"]},
                },
                {
                    "id": "dear-models-are-asked-for",
                    "effect": "ask",
                    "reason": "Dear models are asked for.",
                    "line": 52,
                    "when": {"models": ["*-pro"]},
                },
                {"id": "anything-may", "effect": "allow", "reason": "", "line": 58, "when": {}},
            ],
            "text": 'version = 1\n\n[[rules]]\nid = "incident-stays-inside"\neffect = "deny"\nwhen = { tasks = ["incident"], classes = ["hosted", "experimental"] }\n',
        }
    ],
}

BUDGETS = {
    "now": BEGAN.isoformat(),
    "clock_held": False,
    "budgets": [
        {
            "name": name,
            "period": period,
            "zone": "UTC",
            "starts": "2026-03-01T00:00+00:00",
            "ends": "2026-04-01T00:00+00:00",
            "limit_usd": limit,
            "spent_usd": spent,
            "reserved_usd": held,
            "forecast_usd": forecast,
            "runs_out": None,
            "on_exceed": "deny",
            "used_up": used,
            "file": "~/.localguard/policy.toml",
            "line": line,
        }
        for name, period, limit, spent, held, forecast, used, line in (
            ("payments-eng", "month", "200", "64.20", "0.40", "118.10", False, 88),
            ("webshop", "week", "40", "35.10", "0.12", "41.70", False, 94),
            ("trials", "day", "5", "5.02", "0", None, True, 100),
        )
    ],
}


class MadeUpGuard:
    """Answers like a guard; `publish` sends an event, `drop` breaks the line, `there` says whether anybody answers."""

    def __init__(self, rows: int = 60) -> None:
        self.rows = list(exchanges(rows))
        self.approvals: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, dict[str, object]]] = []
        self.error: Exception | None = None
        self.there = True
        self.streams: list[MadeUpStream] = []
        self.on = {way[0]: True for way in WAYS}
        self.mode = "policy"
        self.early: list[tuple[str, Mapping[str, Any]]] = []
        """Events that come right behind the first; `gone` ends the guard."""
        self.policy: dict[str, Any] = POLICY

    def call(self, method: str, path: str, **given: object) -> dict[str, Any]:
        """One call."""
        self.calls.append((method, path, given))
        if not self.there:
            raise GuardNotReachable("nothing listens on port 4141")
        if self.error is not None and method == "POST":
            raise self.error
        head, _, rest = path.partition("?")[0].strip("/").partition("/")
        match head:
            case "status":
                return {"version": "0", "policy": {"digest": "9f2c", "error": None}}
            case "exchanges":
                return detail(self._row(rest)) if rest else {"exchanges": self._window(path), "more": False}
            case "approvals":
                return self._answer(rest, given) if rest else {"approvals": self.approvals}
            case "sessions":
                return self._session(rest) if rest else {"sessions": self._sessions()}
            case "endpoints":
                return {"mode": self.mode, "endpoints": [self._endpoint(*way) for way in WAYS]}
            case "routes":
                if rest:
                    self.on[rest] = given["on"] is True
                else:
                    self.mode = str(given["mode"])
                return {}
            case "budgets":
                return BUDGETS
            case "policy":
                return _explained(given) if rest else self.policy
        raise GuardAnswered(404, "The control API has no such address.")

    def events(self, last_event: str | None = None) -> "MadeUpStream":
        """Follow."""
        if not self.there:
            raise GuardNotReachable("nothing listens on port 4141")
        stream = MadeUpStream()
        self.streams.append(stream)
        stream.put("ready", {"resumed": False})
        for name, data in self.early:
            if name == "gone":
                self.there = False
                stream.close()
            else:
                stream.put(name, data)
        self.early = []
        return stream

    def publish(self, name: str, data: Mapping[str, Any]) -> None:
        """Send an event to who follows."""
        for stream in self.streams:
            stream.put(name, data)

    def drop(self) -> None:
        """End all streams."""
        for stream in self.streams:
            stream.close()
        self.streams = []

    def _window(self, path: str) -> list[dict[str, Any]]:
        query = dict(part.partition("=")[::2] for part in path.partition("?")[2].split("&"))
        after, before = query.get("after", ""), query.get("before", "y")
        return [row for row in self.rows if after < row["exchange"] < before][-int(query["limit"]) :]

    def _row(self, id: str) -> dict[str, Any]:
        for row in self.rows:
            if row["exchange"] == id:
                return row
        raise GuardAnswered(404, "The log has no exchange with this id.")

    def _answer(self, id: str, given: Mapping[str, object]) -> dict[str, Any]:
        self.approvals = [one for one in self.approvals if one["id"] != id]
        self.publish("answer", {"id": id, "allow": given["allow"], "scope": given["scope"]})
        return {"id": id, "allow": given["allow"], "scope": given["scope"], "waiting": True}

    def _endpoint(self, name: str, group: str, kind: str, _: str) -> dict[str, Any]:
        state = {"trial": "failing", "openai": "unsteady", "ollama": "ok", "anthropic": "ok"}.get(name, "unused")
        failed = {"failing": 4, "unsteady": 1}.get(state, 0)
        return {
            "name": name,
            "kind": kind,
            "class": group,
            "base_url": f"https://{name}.example.com" if group != "local" else "http://127.0.0.1:11434",
            "credential": "client",
            "identity": "team" if group == "enterprise" else "personal",
            "support": None,
            "region": None,
            "retention": None,
            "fallback": None,
            "file": "policy.toml",
            "line": 3,
            "on": self.on[name] and (self.mode == "policy" or group == "local"),
            "health": {
                "state": state,
                "exchanges": 0 if state == "unused" else 20,
                "failed": failed,
                "last": BEGAN.isoformat() if state != "unused" else None,
                "last_status": 200,
                "last_error": "overloaded_error" if state == "failing" else None,
                "first_byte_ms": 640 if state != "unused" else None,
            },
        }

    def _sessions(self) -> list[dict[str, Any]]:
        return [
            {
                "session": f"session-{at}",
                "seq": 100 - at,
                "began": BEGAN.isoformat(),
                "ended": (BEGAN + timedelta(minutes=50 - at)).isoformat(),
                "exchanges": 40 - 7 * at,
                "refused": 4 if at == 1 else 0,
                "cost_usd": f"{at * 0.731:.3f}",
                "agent": AGENTS[at],
                "workspace": workspace,
                "branch": branch,
                "task": task,
                "endpoint": "anthropic",
                "endpoint_class": "hosted",
                "model": "claude-sonnet-4-5",
            }
            for at, (workspace, branch, task, _) in enumerate(PLACES, 1)
            if at < len(AGENTS)
        ]

    def _session(self, id: str) -> dict[str, Any]:
        return {
            "id": id,
            "began": BEGAN.isoformat(),
            "ended": BEGAN.isoformat(),
            "exchanges": 33,
            "refused": 4,
            "failed": 1,
            "agents": {"codex 1.4.2": 33},
            "models": {"claude-sonnet-4-5": 33},
            "endpoints": {"anthropic (hosted)": 33},
            "workspaces": {"payments": 33},
            "branches": {"incident/42": 33},
            "redactions": {"EMAIL": 12, "GITHUB_TOKEN": 2},
            "cost_usd": "0.731",
            "tokens": {"input": 41_220, "output": 8_201},
            "restored": 9,
            "withheld": 1,
            "exposed": 0,
            "commands": [{"tool": "bash", "command": "pytest -x tests/cart"}],
            "approvals": [],
            "first_byte_ms": [210, 420, 900],
        }


def _explained(given: Mapping[str, object]) -> dict[str, Any]:
    return {
        "effect": "deny",
        "deciding": [],
        "reason": "Production incident work may not leave the approved boundary.",
        "next_step": "Use the endpoint work or ollama.",
        "obligations": {"secret": "redact"},
        "rules": [
            {
                "id": "incident-stays-inside",
                "layer": "user",
                "file": "policy.toml",
                "line": 41,
                "effect": "deny",
                "matched": True,
                "fields": [
                    {
                        "field": "tasks",
                        "wanted": ["incident"],
                        "has": [str(given.get("task", "incident"))],
                        "matched": True,
                    }
                ],
            },
            {
                "id": "anything-may",
                "layer": "user",
                "file": "policy.toml",
                "line": 58,
                "effect": "allow",
                "matched": True,
                "fields": [],
            },
        ],
    }


class MadeUpStream:
    """Events that were put in, one batch after the other."""

    def __init__(self) -> None:
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._number = 0

    def put(self, name: str, data: Mapping[str, Any]) -> None:
        """Send one."""
        self._number += 1
        self._events.put(Event(f"made-up-{self._number}", name, dict(data)))

    def batch(self) -> list[Event]:
        """Wait for events."""
        found: list[Event | None] = [self._events.get(timeout=60)]
        while not self._events.empty():
            found.append(self._events.get())
        events = [one for one in found if one is not None]
        if None in found:
            if not events:
                raise GuardNotReachable("the guard no longer sends events")
            self._events.put(None)
        return events

    def close(self) -> None:
        """End it."""
        self._events.put(None)
