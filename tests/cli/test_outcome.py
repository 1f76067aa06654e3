"""`session outcome` keeps what became of a session, and `compare` tells models apart by it."""

import json
import subprocess
from pathlib import Path

import pytest

from localguard.audit.queries import Log
from localguard.audit.store import Store
from localguard.audit.verify import verify
from localguard.config.home import Home
from tests.audit.samples import INTENT, INTENT_LOCAL, OUTCOME, SetClock
from tests.cli.conftest import RunLocally, made_up_token
from tests.cli.test_session import write


@pytest.fixture
def three(home: Home, tmp_path: Path) -> None:
    write(home, {one: {"root": str(tmp_path)} for one in ("s-old", "s-docs", "s-new")})


@pytest.mark.usefixtures("three")
def test_a_result_is_recorded_with_who_said_it_and_a_later_one_corrects_it(home: Home, localguard: RunLocally) -> None:
    say = ("session", "outcome", "s-o", "--workflow", "bump", "--result")
    assert localguard(*say, "accepted", "--review-minutes", "12")[0] == 0
    code, text, _ = localguard(*say, "reworked", "--note", "wrong file")
    assert code == 0
    for line in (
        "workflow: bump",
        "result: reworked",
        "note: wrong file",
        "exchanges: 1",
        "tool calls: 1",
        "commands: 1",
    ):
        assert f"  {line}\n" in text
    told = json.loads(localguard("session", "outcome", "s-old", "--json")[1])
    assert (told["result"], told["review_minutes"], bool(told["said_by"])) == ("reworked", None, True)
    assert verify(home.audit_db).consistent


@pytest.mark.usefixtures("three")
def test_a_secret_in_a_note_does_not_reach_the_log(home: Home, localguard: RunLocally) -> None:
    token = made_up_token()
    assert (
        localguard(
            "session",
            "outcome",
            "s-old",
            "--workflow",
            "bump",
            "--result",
            "rejected",
            "--note",
            f"it wrote {token} down",
        )[0]
        == 0
    )
    with Log(home.audit_db) as log:
        (record,) = [one for one in log.session("s-old") if one.kind == "control"]
    assert (record.local or {})["note"].startswith("it wrote <")
    for file in home.state_dir.rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes()


@pytest.mark.usefixtures("three")
def test_models_are_compared_by_what_became_of_their_sessions(localguard: RunLocally) -> None:
    assert "No session is rated yet" in localguard("compare")[1]
    for session, result in (("s-old", "accepted"), ("s-new", "rejected")):
        localguard("session", "outcome", session, "--workflow", "bump", "--result", result)
    (line,) = json.loads(localguard("compare", "--by", "model", "--json")[1])
    assert (line["name"], line["sessions"], line["rated"], line["accepted_share"]) == ("gpt-5", 3, 2, 0.5)
    assert line["cost_per_accepted"] == "0.246800"
    code, text, _ = localguard("compare", "--by", "workflow")
    assert code == 0
    table, _, bars = text.partition("\naccepted, with its 95 % interval\n")
    assert [row.split()[0] for row in table.splitlines()] == ["workflow", "bump", "incident"]
    assert bars.startswith("bump  ████▓▓")
    assert bars.rstrip().endswith("50%  9%..91%  of 2")
    assert localguard("compare", "--since", "2027-01-01", "--json")[1].strip() == "[]"


def test_what_became_of_commits_is_asked_of_git_without_a_verdict(
    home: Home, localguard: RunLocally, work: Path
) -> None:
    def git(*arguments: str) -> str:
        named = ("-c", "user.name=dev", "-c", "user.email=dev@localhost")
        ran = subprocess.run(["git", *named, *arguments], cwd=work, check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    git("init", "-q", "-b", "main")
    heads = []
    for subject in ("one", "two", "three"):
        git("commit", "-q", "--allow-empty", "-m", subject)
        heads.append(git("rev-parse", "HEAD"))
    git("commit", "-q", "--allow-empty", "-m", f"Undo\n\nThis reverts commit {heads[1]}.")
    home.create()
    with Store.open(home.audit_db, clock=SetClock()) as store:
        for number, head in enumerate(heads):
            local = {**INTENT_LOCAL, "root": str(work), "commit": head}
            store.append("intent", exchange=f"x{number}", session="s", metadata=INTENT, local=local)
            store.append("outcome", exchange=f"x{number}", session="s", metadata=OUTCOME)
    (line,) = json.loads(localguard("compare", "--json")[1])
    assert line["commits"] == {"commits_gone": 0, "commits_kept": 2, "commits_reverted": 1}
    assert " 2/3 " in localguard("compare")[1]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "arguments",
    [
        ("session", "outcome", "s-"),
        ("session", "outcome", "nobody"),
        ("session", "outcome", "s-old", "--workflow", "bump"),
        ("session", "outcome", "s-old", "--workflow", "a b", "--result", "accepted"),
        ("session", "outcome", "s-old", "--workflow", "bump", "--result", "fine"),
        ("compare", "--since", "yesterday"),
        ("compare", "--by", "taste"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], localguard: RunLocally) -> None:
    assert localguard(*arguments)[0] == 2
