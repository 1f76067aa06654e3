"""`endpoint`, `key`, `policy`, `workspace` and `audit`: what they print and what they never print."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localguard.audit.queries import Log
from localguard.audit.store import Store
from localguard.config.home import Home
from localguard.config.workspace_tokens import Tokens
from tests.cli.conftest import RunLocally, made_up_token, process


def test_an_endpoint_is_added_listed_and_removed(localguard: RunLocally, home: Home) -> None:
    url = "https://acme.openai.azure.com"
    assert localguard("endpoint", "add", "work", "--kind", "azure-openai", "--base-url", url)[0] == 0
    listed = json.loads(localguard("endpoint", "list", "--json")[1])
    assert {entry["name"]: entry["base_url"] for entry in listed}["work"] == url
    assert "work" in localguard("endpoint", "list")[1]
    assert localguard("endpoint", "add", "work", "--kind", "azure-openai", "--base-url", url)[0] == 2
    assert localguard("endpoint", "remove", "work")[0] == 0
    assert all(entry["name"] != "work" for entry in json.loads(localguard("endpoint", "list", "--json")[1]))


def test_endpoints_with_a_fixed_address_are_there_from_the_start(localguard: RunLocally) -> None:
    listed = {entry["name"] for entry in json.loads(localguard("endpoint", "list", "--json")[1])}
    assert listed == {"openai", "anthropic", "gemini", "lmstudio", "ollama", "codex"}


def test_an_endpoint_that_is_no_policy_is_not_written(localguard: RunLocally, home: Home) -> None:
    code, _, err = localguard("endpoint", "add", "x", "--kind", "opena", "--base-url", "https://example.com")
    assert code == 2
    assert 'Did you mean "openai"' in err
    assert not home.policy_file.exists()


def test_a_key_is_stored_from_standard_input_and_never_printed(home: Home) -> None:
    value = made_up_token()
    stored = process("key", "set", "work", data=value.encode() + b"\n")
    assert stored.returncode == 0
    listed = process("key", "list")
    assert b"work" in listed.stdout
    assert b"state/master.key, protected by file permissions only" in listed.stdout
    shown = json.loads(process("key", "list", "--json").stdout)
    assert [set(entry) for entry in shown] == [{"name", "created", "days", "rotate", "origin"}]
    everything = stored.stdout + stored.stderr + listed.stdout + listed.stderr
    everything += b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    assert value.encode() not in everything
    assert process("key", "remove", "work").returncode == 0
    assert json.loads(process("key", "list", "--json").stdout) == []


def test_what_is_done_with_a_key_stands_in_the_log(home: Home) -> None:
    for action in ("set", "rotate", "remove"):
        assert process("key", action, "work", data=made_up_token().encode() + b"\n").returncode == 0
    with Log(home.audit_db) as log:
        details = [one.metadata["detail"] for one in log.tail(10, kind="control") if one.metadata]
    assert details == [{"key": "work", "action": action} for action in ("set", "rotate", "remove")]


def test_an_empty_key_is_refused() -> None:
    assert process("key", "set", "work", data=b"\n").returncode == 2


def test_a_key_is_no_argument() -> None:
    assert process("key", "set", "work", "value").returncode == 2


BROKEN = 'version = 1\n[[rules]]\nid = "a"\neffect = "dney"\n\n[[rules]]\nid = "a"\neffect = "deny"\nwen = {}\n'


def test_policy_check_shows_every_problem_with_file_and_line(localguard: RunLocally, work: Path) -> None:
    (work / "policy.toml").write_text(BROKEN, "utf-8")
    code, out, _ = localguard("policy", "check", "policy.toml")
    assert code == 1
    assert [line.split(":")[:2] for line in out.splitlines()] == [
        ["policy.toml", "4"],
        ["policy.toml", "7"],
        ["policy.toml", "9"],
    ]
    assert '"deny"' in out
    code, out, _ = localguard("policy", "check", "policy.toml", "--json")
    assert code == 1
    shown = json.loads(out)
    assert shown["valid"] is False
    assert [problem["line"] for problem in shown["problems"]] == [4, 7, 9]


def test_policy_check_of_a_file_that_is_not_there_is_wrong_use(localguard: RunLocally) -> None:
    assert localguard("policy", "check", "missing.toml")[0] == 2


def test_policy_check_says_what_a_repository_file_cannot_loosen(localguard: RunLocally, work: Path) -> None:
    (work / ".localguard.toml").write_text(
        'version = 1\n[[endpoints]]\nname = "x"\nkind = "openai"\nbase_url = "https://example.com"\n', "utf-8"
    )
    code, out, _ = localguard("policy", "check", ".localguard.toml")
    assert code == 0
    assert "not applied: " in out


def test_policy_show_names_rules_and_their_places(localguard: RunLocally, home: Home) -> None:
    assert "solo-endpoints" in localguard("policy", "show")[1]
    home.create()
    home.policy_file.write_text(
        'version = 1\n[[rules]]\nid = "only-mine"\neffect = "allow"\nwhen = { classes = ["local"] }\n', "utf-8"
    )
    out = localguard("policy", "show")[1]
    assert f"allow only-mine  ({home.policy_file}:2)" in out
    assert "classes = local" in out
    shown = json.loads(localguard("policy", "show", "--json")[1])
    assert [rule["id"] for rule in shown["rules"]] == ["only-mine"]


PAYMENTS = 'version = 1\n[[workspaces]]\nname = "payments"\nmatch = { paths = ["%s"] }\nsensitivity = "restricted"\n'


def test_a_token_stands_for_its_workspace_and_is_stored_as_a_hash(
    localguard: RunLocally, home: Home, work: Path
) -> None:
    home.create()
    home.policy_file.write_text(PAYMENTS % work.as_posix(), "utf-8")
    code, out, _ = localguard("workspace", "token", "--workspace", "payments")
    token = out.strip()
    assert code == 0
    binding = Tokens(home).lookup(token)
    assert binding is not None
    assert binding.workspace == "payments"
    assert all(token.encode() not in path.read_bytes() for path in home.root.rglob("*") if path.is_file())


def test_a_token_without_a_name_stands_for_the_current_directory(
    localguard: RunLocally, home: Home, work: Path
) -> None:
    shown = json.loads(localguard("workspace", "token", "--json")[1])
    binding = Tokens(home).lookup(shown["token"])
    assert binding is not None
    assert binding.directory == str(work.resolve())
    assert shown["address"].endswith(f"/w/{shown['token']}")


def test_an_unknown_workspace_gets_the_nearest_name(localguard: RunLocally, home: Home, work: Path) -> None:
    home.create()
    home.policy_file.write_text(PAYMENTS % work.as_posix(), "utf-8")
    for command in (("workspace", "token"), ("run",)):
        arguments = (*command, "--workspace", "paymnets", *(("--", "git") if command == ("run",) else ()))
        code, _, err = localguard(*arguments)
        assert code == 2
        assert 'Did you mean "payments"' in err


def test_workspaces_are_listed_with_the_current_one(localguard: RunLocally, home: Home, work: Path) -> None:
    assert "unattributed" in localguard("workspace", "list")[1]
    home.create()
    home.policy_file.write_text(PAYMENTS % work.as_posix(), "utf-8")
    assert "The current directory is payments (sensitivity restricted)." in localguard("workspace", "list")[1]
    assert json.loads(localguard("workspace", "list", "--json")[1])["here"] == "payments"


@pytest.mark.parametrize("task", ["", "-x", "a/b", "a b", "ü"])
def test_a_task_that_cannot_stand_in_an_address_is_refused(localguard: RunLocally, task: str) -> None:
    assert localguard("run", f"--task={task}", "--", "git")[0] == 2


@pytest.fixture
def log(home: Home) -> str:
    """A log with one exchange; its id."""
    home.create()
    with Store.open(home.audit_db, clock=lambda: datetime(2026, 11, 3, tzinfo=UTC)) as store:
        store.append("control", metadata={"event": "start"}).result()
        store.append(
            "intent", exchange="x1", metadata={"endpoint": "openai", "model": "m\x1b[2J"}, findings=[], local={}
        ).result()
        store.append("outcome", exchange="x1", metadata={"state": "completed", "status": 200}).result()
    return "x1"


def test_tail_shows_the_newest_records_oldest_first(localguard: RunLocally, log: str) -> None:
    lines = localguard("audit", "tail", "-n", "2")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["2", "3"]
    assert [line.split()[2] for line in lines] == ["intent", "outcome"]
    assert localguard("audit", "tail", "--kind", "control")[1].split()[2] == "control"


def test_what_an_agent_sent_cannot_steer_the_terminal(localguard: RunLocally, log: str) -> None:
    for command in (("audit", "tail"), ("explain", log), ("audit", "show", log)):
        code, out, _ = localguard(*command)
        assert code == 0
        assert "\x1b" not in out


def test_tail_and_show_print_records_as_json(localguard: RunLocally, log: str) -> None:
    lines = [json.loads(line) for line in localguard("audit", "tail", "--json")[1].splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert len(lines[0]["leaf_hash"]) == 64
    assert [record["kind"] for record in json.loads(localguard("audit", "show", log)[1])] == ["intent", "outcome"]


def test_explain_says_how_an_exchange_ended(localguard: RunLocally, log: str) -> None:
    assert "answered with status 200" in localguard("explain", log)[1]
    assert json.loads(localguard("explain", log, "--json")[1])["exchange"] == log


def test_an_unknown_exchange_is_wrong_use(localguard: RunLocally, log: str) -> None:
    for command in (("explain", "x2"), ("audit", "show", "x2")):
        assert localguard(*command)[0] == 2


def test_verify_numbers_its_steps_and_says_no_more_than_it_showed(localguard: RunLocally, log: str) -> None:
    code, out, _ = localguard("audit", "verify")
    assert code == 0
    assert out.splitlines()[0].startswith("1. ok ")
    assert "Internally consistent: 3 records." in out
    assert "rewritten" in out
    shown = json.loads(localguard("audit", "verify", "--json")[1])
    assert shown["consistent"] is True
    assert all(step["passed"] for step in shown["steps"])


def test_a_log_that_is_not_there_is_said_plainly(localguard: RunLocally) -> None:
    for command in (("audit", "tail"), ("audit", "verify"), ("explain", "x1")):
        code, _, err = localguard(*command)
        assert code == 1
        assert "no audit log yet" in err


def test_a_closed_pipe_ends_a_command_quietly(log: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", '"$0" -m localguard.cli.main audit tail --json | head -c 1', _python()],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"Traceback" not in ran.stderr


def _python() -> str:
    import sys

    return sys.executable
