"""`session list` and `show` tell from the log alone what agents did."""

import json
import subprocess
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


def git(place: Path, *arguments: str) -> str:
    names = ("-c", "user.name=A Dev", "-c", "user.email=a@dev.example")
    done = subprocess.run(["git", *names, *arguments], cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.usefixtures("three")
def test_the_sessions_of_a_branch_and_of_a_commit_are_shown(localguard: RunLocally) -> None:
    assert "Session s-docs" in localguard("session", "show", "--branch", "docs/x")[1]
    assert "Session s-docs" in localguard("session", "show", "--commit", "F" * 12)[1]
    text = localguard("session", "show", "--branch", "incident/42")[1]
    assert "Session s-new" in text
    assert "There are 1 more:\n  localguard session show s-old" in text
    assert ids(localguard("session", "show", "--branch", "incident/42", "--json")) == ["s-new", "s-old"]
    assert json.loads(localguard("session", "show", "s-docs", "--json")[1])["id"] == "s-docs"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("s-docs", "--branch", "x"),
        ("--branch", "nowhere"),
        ("--commit", "0" * 40),
        ("--commit", "--help-me"),
        ("--commit", "HEAD"),
    ],
)
def test_a_place_without_a_session_is_an_error_in_words(arguments: tuple[str, ...], localguard: RunLocally) -> None:
    assert localguard("session", "show", *arguments)[0] == 2


@pytest.mark.usefixtures("three")
def test_the_session_that_a_commit_names_comes_before_those_that_saw_it(localguard: RunLocally, work: Path) -> None:
    git(work, "init", "-q")
    git(work, "commit", "-q", "--allow-empty", "-m", "x", "-m", "Agent-Session: s-old\nAgent-Session: s-forged")
    name = git(work, "rev-parse", "HEAD")
    assert ids(localguard("session", "show", "--commit", name, "--json")) == ["s-old"]
    assert "Session s-old" in localguard("session", "show", "--commit", name[:8])[1]


@pytest.mark.usefixtures("three")
def test_without_a_guard_nobody_approves(localguard: RunLocally, port: int) -> None:
    code, _, error = localguard("session", "approve", "s-docs", "--port", str(port))
    assert code == 3
    assert "no guard of" in error


@pytest.mark.usefixtures("three")
def test_the_summary_for_a_pull_request_says_nothing_local(localguard: RunLocally, tmp_path: Path) -> None:
    code, text, _ = localguard("session", "export", "s-docs", "--format", "markdown")
    assert code == 0
    assert text.startswith("### Agent session\n\n- session: `s-docs`\n")
    for told in ("`codex 0.60.1`", "`openai (hosted)`", "- `src/settings.py`", "- commands: 1"):
        assert told in text
    for local in ("docs/x", "/src/payments", "acme", "rg -n"):
        assert local not in text
    assert "- `rg -n settings src`" in localguard("session", "export", "s-docs", "--commands")[1]
    assert localguard("session", "export", "s-docs", "-o", str(tmp_path / "s.md"))[0] == 0
    assert (tmp_path / "s.md").read_text("utf-8") == text
    assert localguard("session", "export", "s-docs", "--format", "pdf")[0] == 2


def test_whoever_stands_behind_a_commit_counts_as_approver_where_policy_says_so(
    home: Home, localguard: RunLocally, work: Path
) -> None:
    git(work, "init", "-q", "-b", "main")
    git(work, "commit", "-q", "--allow-empty", "-m", "begin")
    git(work, "checkout", "-q", "-b", "topic")
    git(work, "commit", "-q", "--allow-empty", "-m", "x", "-m", "Agent-Session: s-1")
    git(work, "checkout", "-q", "main")
    git(work, "merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    write(home, {"s-1": {"root": str(work)}})

    def events(policy: str) -> list[str]:
        home.policy_file.write_text(f"version = 1\nextends = 'builtin:solo'\n{policy}", "utf-8")
        approvals = json.loads(localguard("session", "show", "s-1", "--json")[1])["approvals"]
        assert all(one["identity"] == "A Dev <a@dev.example>" for one in approvals)
        return [one["event"] for one in approvals]

    assert events("") == []
    assert events("[approval]\ncommit_author = true\n") == ["commit-author"]
    assert events("[approval]\nmerge = true\nbranches = ['release/*']\n") == []
    assert events("[approval]\ncommit_author = true\nmerge = true\n") == ["commit-author", "merge"]
    assert "merge by somebody, A Dev <a@dev.example> commit" in localguard("session", "show", "s-1")[1]
    assert "merged it: `A Dev <a@dev.example>`" in localguard("session", "export", "s-1")[1]
    (work / ".localguard.toml").write_text("version = 1\n[approval]\nmerge = true\n", "utf-8")  # takes away
    assert events("[approval]\ncommit_author = true\nmerge = true\n") == ["merge"]
