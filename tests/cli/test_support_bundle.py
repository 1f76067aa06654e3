"""A support bundle answers the nine questions and holds nothing else of the work: no prompt, no command line, no secret."""

from pathlib import Path

import pytest

from localguard.audit.store import Store
from localguard.config.home import Home
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, REFUSAL, SetClock
from tests.cli.conftest import RunLocally, made_up_token

CANARY = "canary-in-free-text"


@pytest.fixture
def secret(home: Home) -> str:
    """A log in whose free texts, paths and command lines a canary stands, and in odd places a token, which is returned."""
    token = made_up_token()
    home.create()
    (home.log_dir / "localguard.log").write_text(f"2026-01-31 a line of the log with {token}\n")
    local = {**INTENT_LOCAL, "path": f"/{CANARY}", "root": f"/src/{CANARY}", "branch": f"fix/{token}"}
    commands = {
        "commands": [
            {"tool": "shell", "command": f"/usr/bin/grep -r {CANARY} ."},
            {"tool": "shell", "command": f"'{CANARY}'"},
        ],
        "files": [{"tool": "edit", "path": CANARY}],
    }
    with Store.open(home.audit_db, clock=SetClock()) as store:
        store.append("intent", exchange="x1", session="s-1", metadata=INTENT, findings=FINDINGS, local=local)
        failed = {**OUTCOME, "state": "failed", "status": 502, "origin": "gateway"}
        store.append("outcome", exchange="x1", session="s-1", metadata=failed, local=commands)
        store.append("refusal", exchange="x2", session="s-1", metadata=REFUSAL, local=INTENT_LOCAL)
        said = {"event": "approve", "reason": CANARY, "detail": {"scope": "once"}}
        store.append("control", exchange="x2", session="s-1", metadata=said, local={"by": "dev", "note": CANARY})
        no = {
            **REFUSAL,
            "code": "localguard_policy_ask_denied",
            "reason": f"dev said no ({CANARY})",
            "route": f"/{CANARY}",
        }
        store.append("refusal", exchange="x4", session="s-1", metadata=no, local=INTENT_LOCAL)
        store.append("intent", exchange="x3", session="s-2", metadata=INTENT, local=local)
        store.append("outcome", exchange="x3", session="s-2", metadata=OUTCOME, local=commands)
    return token


def test_the_first_page_answers_the_nine_questions(secret: str, localguard: RunLocally, tmp_path: Path) -> None:
    file = tmp_path / "bundle.txt"
    code, shown, _ = localguard("support-bundle", "--session", "s-1", "--output", str(file), "--yes")
    assert code == 0
    text = file.read_text()
    assert text.strip() in shown
    page = text.split("Summary\n")[0]
    for line in (
        "Which model: gpt-5 (3); served gpt-5-2026-01-01",
        "Which endpoint: openai (hosted) (3)",
        "Whose identity paid: client (personal) (3); cost bucket payments-eng (3); 0.123400 USD",
        "Which repository: github.com/acme/payments (3)",
        "Which branch: ",
        "Which tools: shell (3), apply_patch (3); MCP servers -",
        "Which instructions: AGENTS.md (5f5f5f5f5f5f, not as on disk)",
        "Which commands: grep, other (programs only; 2 commands in all)",
        "Who approved: dev (approve, ",
    ):
        assert line in page, line
    for words in (
        "Exchange x1: failed with status 502; the origin is the gateway.",
        "Exchange x2: refused",
        "Checks\n",
        "endpoint openai",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    "about",
    [("--session", "s-1"), ("--exchange", "x1"), ("--exchange", "x3"), ("--exchange", "x4"), ("--since", "2020-01-01")],
)
def test_no_free_text_path_command_line_or_secret_is_in_it(
    about: tuple[str, str], secret: str, localguard: RunLocally, home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "bundle.txt"
    assert localguard("support-bundle", *about, "--output", str(file), "--yes")[0] == 0
    text = file.read_text()
    for unwanted in (CANARY, secret, str(home.root), "input[3]"):
        assert unwanted not in text
    assert "<GITHUB_TOKEN>" in text.split("End of the guard's own log")[1]


def test_nothing_is_written_without_a_yes(secret: str, localguard: RunLocally, tmp_path: Path) -> None:
    file = tmp_path / "bundle.txt"
    assert localguard("support-bundle", "--exchange", "x1", "--output", str(file))[0] == 1
    assert not file.exists()


def test_what_it_is_about_has_to_be_there(secret: str, localguard: RunLocally) -> None:
    for wrong in (("--exchange", "nobody"), ("--session", "nobody"), ("--exchange", "x1", "--session", "s-1")):
        assert localguard("support-bundle", *wrong, "--yes")[0] == 2
