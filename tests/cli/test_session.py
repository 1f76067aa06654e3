"""`session list` and `show` tell from the log alone what agents did."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from localguard.audit.store import Store
from localguard.config.home import Home
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, SetClock
from tests.cli.conftest import RunLocally


def write(home: Home, sessions: Mapping[str, Mapping[str, Any]]) -> None:
    """A log with one exchange for each session; `sessions` says what is different in its intent's `local`."""
    home.create()
    clock = SetClock()
    with Store.open(home.audit_db, clock=clock) as store:
        for number, (session, local) in enumerate(sessions.items()):
            clock.move(days=1)
            store.append(
                "intent",
                exchange=f"x{number}",
                session=session,
                metadata={**INTENT, "agent": local.get("agent", "codex")},
                findings=FINDINGS,
                local={**INTENT_LOCAL, **{name: value for name, value in local.items() if name != "agent"}},
            )
            store.append("outcome", exchange=f"x{number}", session=session, metadata=OUTCOME, local=OUTCOME_LOCAL)


@pytest.fixture
def three(home: Home) -> None:
    write(home, {"s-old": {}, "s-docs": {"branch": "docs/x", "commit": "f" * 40}, "s-new": {"agent": "opencode"}})


def ids(answer: tuple[int, str, str]) -> list[str]:
    return [one["id"] for one in json.loads(answer[1])]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["s-new", "s-docs", "s-old"]),
        (("-n", "1"), ["s-new"]),
        (("--branch", "docs/x"), ["s-docs"]),
        (("--commit", "FFFF"), ["s-docs"]),
        (("--agent", "opencode"), ["s-new"]),
        (("--since", "2026-02-02T00:00:00Z"), ["s-new", "s-docs"]),
        (("--branch", "nowhere"), []),
    ],
)
def test_sessions_are_listed_latest_first_by_what_is_asked(
    arguments: tuple[str, ...], expected: list[str], localguard: RunLocally
) -> None:
    assert ids(localguard("session", "list", *arguments, "--json")) == expected


@pytest.mark.usefixtures("three")
def test_a_session_is_shown_by_the_beginning_of_its_id(localguard: RunLocally) -> None:
    code, text, _ = localguard("session", "show", "s-d")
    assert code == 0
    for words in ("Session s-docs", "branch: docs/x", "credential: client (personal)", "shell: rg -n settings src"):
        assert words in text
    assert localguard("session", "show", "s-")[0] == 2
    assert localguard("session", "show", "nobody")[0] == 2


def test_what_models_and_repositories_say_cannot_steer_the_terminal(
    home: Home, localguard: RunLocally, work: Path
) -> None:
    write(home, {"s-1": {"branch": "evil\x1b[2J\u202e"}})
    for arguments in (("session", "list"), ("session", "show", "s-1")):
        text = localguard(*arguments)[1]
        assert "evil" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
