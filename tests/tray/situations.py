"""What a guard says of itself, made up."""

from typing import Any

from localguard.tray.situation import Situation, Told

HOSTILE = "\x1b[31m</b>\u202eevil\n_&" + "A" * 10_000


def told(**changed: Any) -> Told:
    """A guard's answers, some of them changed."""
    answers: dict[str, Any] = {
        "status": {"counters": {"exchanges": 12, "refused": 1}, "policy": {"error": None}},
        "routes": {
            "mode": "policy",
            "endpoints": [
                {"name": "openai", "class": "hosted", "on": True, "switched": True},
                {"name": "ollama", "class": "local", "on": False, "switched": False},
            ],
        },
        "pause": {"paused": False, "seconds_left": 0, "most_minutes": 30},
        "tasks": {
            "tasks": [{"workspace": "payments", "task": "docs"}],
            "known": ["docs", "incident"],
            "workspaces": ["payments"],
        },
        "approvals": [question("q1")],
        "exchanges": [refused("x1"), {"exchange": "x2", "state": "complete", "workspace": "payments"}],
    }
    return Told(**(answers | changed))


def question(id: str, **changed: Any) -> dict[str, Any]:
    """A question as the guard lists it."""
    asked: dict[str, Any] = {
        "id": id,
        "reason": "Dear models are asked for.",
        "scopes": ["once", "session", "hour"],
        "agent": "codex",
        "workspace": "payments",
        "endpoint": "openai",
        "model": "gpt-5",
        "waiting": True,
    }
    return asked | changed


def refused(id: str, **changed: Any) -> dict[str, Any]:
    """A note about an exchange that was refused."""
    note: dict[str, Any] = {
        "exchange": id,
        "state": "refused",
        "error": "localguard_policy_denied",
        "agent": "codex",
        "endpoint": "openai",
        "model": "gpt-5",
        "workspace": "payments",
    }
    return note | changed


def situation(**changed: Any) -> Situation:
    """What the tray makes of it at its start."""
    return told(**changed).situation(Situation(why_down="it is being looked for"), now=100.0)
