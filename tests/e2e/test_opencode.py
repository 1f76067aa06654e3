"""A real agent, headless, under `localguard run`: exact files, nothing upstream, a stable history, and a record of it."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.opencode import Opencode
from tests.e2e.planted import Search, made
from tests.provider.script import Asked, Turn, call
from tests.provider.server import Provider

KEY_ID = made("⟦AKIA{base32:16}⟧", 1)[1]
SECRET_KEY = made("aws_secret_access_key = ⟦{b64std:40}⟧", 2)[1]
TOKEN = made("⟦gh" + "p_{alnum:36}⟧", 3)[1]
PASSWORD = made('x = "⟦{alnum:9}\\"q\\\\{alnum:6}$w⟧"', 4)[1]
PEM = made("⟦{pem:RSA PRIVATE KEY}⟧", 5)[1]
CUSTOMER = made("⟦jane.{word:6}@{word:7}.io⟧", 6)[1]
SETTINGS = f"""# settings of the shop
debug = false
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET_KEY}
github_token = "{TOKEN}"
db_password = "{PASSWORD}"
"""
PEM_LINES = [line for line in PEM.split("\n") if not line.startswith("---")]
VALUES = [KEY_ID, SECRET_KEY, TOKEN, PASSWORD, CUSTOMER, *PEM_LINES]
_NUMBER = re.compile(r"^\s*\d+(?:[|:→]|\t) ?", re.MULTILINE)


def _seen(result: str, first: str, last: str) -> str:
    """The part of a file's text that the model sees between two marks, without opencode's line numbers."""
    text = _NUMBER.sub("", result)
    return text[text.index(first) : text.index(last) + len(last)]


class Model:
    """Reads the settings, edits a line with a secret, writes a file with a key by a here-document, edits another, tells."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def __call__(self, asked: Asked) -> Turn:
        if "edit" not in asked.tools:
            return Turn(text="Rotating the settings")  # a title for the session
        path = str(self._work / "settings.conf")
        results = asked.results
        steps = (self._read, self._edit, self._edit_password, self._here_document, self._write, self._test)
        if len(results) < len(steps):
            return steps[len(results)](path, results)
        return Turn(text=f"Done for {asked.user}:\n{_seen(results[0], '# settings', 'github_token')}", piece=4)

    def _read(self, path: str, results: tuple[str, ...]) -> Turn:
        return Turn(text="I look at it.", calls=(call("read", filePath=path),))

    def _edit(self, path: str, results: tuple[str, ...]) -> Turn:
        line = _seen(results[0], "aws_secret_access_key", "\ngithub").removesuffix("\ngithub")
        changed = f"# due for rotation\n{line}"
        return Turn(calls=(call("edit", filePath=path, oldString=line, newString=changed),), piece=3)

    def _edit_password(self, path: str, results: tuple[str, ...]) -> Turn:
        line = re.search(r'^db_password = .*"$', _NUMBER.sub("", results[0]), re.MULTILINE)
        assert line is not None
        changed = line[0].replace("db_password", "database_password")
        return Turn(calls=(call("edit", filePath=path, oldString=line[0], newString=changed),), piece=3)

    def _here_document(self, path: str, results: tuple[str, ...]) -> Turn:
        line = _seen(results[0], "github_token", "\ndb_").removesuffix("\ndb_")
        script = f"cat > deploy.env <<'EOF'\n{line}\nEOF\ncat key.pem"
        return Turn(calls=(call("bash", command=script, description="Write what the deploy job wants"),), piece=3)

    def _write(self, path: str, results: tuple[str, ...]) -> Turn:
        key = results[3].strip()
        content = f"tls:\n  name: copy\n---\n{key}\n"
        return Turn(calls=(call("write", filePath=str(self._work / "copy.yaml"), content=content),), piece=3)

    def _test(self, path: str, results: tuple[str, ...]) -> Turn:
        command = "python3 -m unittest -q check_settings 2>&1 | grep -E '^(OK|FAILED)'"
        return Turn(calls=(call("bash", command=command, description="Run the tests"),), piece=3)


INSTRUCTIONS = "Rotate keys of the shop only with a mark above them, and never touch the customers' table."
CHECK = """import unittest


class Settings(unittest.TestCase):
    def test_they_are_marked(self):
        self.assertIn("# due for rotation", open("settings.conf").read())
"""


def _prepared(folder: Path) -> Opencode:
    agent = Opencode.at(folder)
    (agent.work / "AGENTS.md").write_text(INSTRUCTIONS + "\n")
    (agent.work / "check_settings.py").write_text(CHECK)
    (agent.work / "settings.conf").write_bytes(SETTINGS.encode())
    (agent.work / "key.pem").write_bytes(PEM.encode() + b"\n")
    return agent


def _files(work: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(work.iterdir()) if path.is_file()}


EDITED = (
    SETTINGS.replace("aws_secret", "# due for rotation\naws_secret")
    .replace("db_password", "database_password")
    .encode()
)


@pytest.mark.timeout(240)
def test_opencode_edits_a_file_full_of_secrets_as_if_nothing_stood_between(provider: Provider, tmp_path: Path) -> None:
    prompt = (
        f"Mark the AWS secret in settings.conf as due for rotation, then write the deploy files. Customer: {CUSTOMER}"
    )
    direct = _prepared(tmp_path / "direct")
    provider.brain = Model(direct.work)
    plain = direct.run_direct(prompt, provider.url)
    assert plain.returncode == 0, plain.stderr[-2000:]
    assert Search(VALUES).in_(b"".join(one.everything for one in provider.requests)) != []
    provider.requests.clear()

    guarded = _prepared(tmp_path / "guarded")
    provider.brain = Model(guarded.work)
    provider.slice = 3
    with Guard(tmp_path / "lg", _policy(provider.port)) as guard:
        done = guarded.run(prompt, guard)
        assert done.returncode == 0, done.stderr[-2000:]
        _assert_files(guarded, direct)
        assert SECRET_KEY in done.stdout
        assert done.stdout.replace(str(guarded.work), "") == plain.stdout.replace(str(direct.work), "")
        assert Search(VALUES).in_(b"".join(one.everything for one in provider.requests)) == []
        _assert_prefix_stable(provider)
        _assert_recorded(guard, provider)
        _assert_questions_are_answered(guard, tmp_path / "bundle.txt")


def _policy(port: int) -> str:
    """The shop is a workspace with a cost bucket, and it is said whose the provider's key is and who supports it."""
    said = 'name = "anthropic"\nidentity = "team"\nsupport = "platform-team"\n'
    workspace = (
        '[[workspaces]]\nname = "shop"\nmatch = { remotes = ["github.com/acme/shop*"] }\nsensitivity = "internal"\n'
        'cost_bucket = "shop-eng"\ntasks = { "topic*" = "upkeep" }\n'
    )
    return policy(port, workspace).replace('name = "anthropic"\n', said, 1)


def _assert_questions_are_answered(guard: Guard, bundle: Path) -> None:
    """Which model, endpoint, identity, repository and branch, tools and instructions, commands, and who approved: from the log alone."""
    session = next(one.session for one in guard.records("intent") if one.session)
    approved = guard.run("session", "approve", session, "--note", "read and tested", "--port", str(guard.port))
    assert approved.startswith("Approved: session ")
    shown = guard.run("session", "show", session)
    version = re.search(r"agent: opencode (\d+\.\d+)", shown)
    assert version is not None, shown
    head = next(one.local["commit"] for one in guard.records("intent") if one.local)
    expected = (
        "model asked for: claude-sonnet-4-5",
        "endpoint: anthropic (hosted)",
        "credential: client (team)",
        "cost bucket: shop-eng",
        "rules: ",
        "policy: ",
        "workspace: shop",
        "repository: github.com/acme/shop",
        "branch: topic",
        f"commits: {head}",
        "task: upkeep",
        "tools: ",
        "bash (2)",
        "edit (2)",
        "tests run: 1 passed",
        "instructions: AGENTS.md (",
        ", as on disk)",
        "replaced: ",
        "bash: cat > deploy.env <<'EOF'",
        "bash: python3 -m unittest -q check_settings",
        "settings.conf (2)",
        "copy.yaml (1)",
        "read and tested",
    )
    missing = [line for line in expected if line not in shown]
    assert not missing, shown
    guard.run("support-bundle", "--session", session, "--output", str(bundle), "--yes")
    page = bundle.read_text().split("Summary\n")[0]
    answers = dict(
        line.strip().split(": ", 1) for line in page.splitlines() if re.match(r"\s*(?:Which|Whose|Who) ", line)
    )
    assert len(answers) == 9
    assert not [question for question, answer in answers.items() if answer.startswith(("-", "nobody"))], page
    assert "session-approval" in answers["Who approved"]
    assert answers["Which commands"].startswith(("cat, python3", "python3, cat"))
    said = guard.run("explain", next(one.exchange or "" for one in guard.records("outcome") if one.session == session))
    assert "platform-team" in said


def _assert_files(guarded: Opencode, direct: Opencode) -> None:
    files = _files(guarded.work)
    assert files["settings.conf"] == EDITED
    assert files["deploy.env"] == f'github_token = "{TOKEN}"\n'.encode()
    assert files["copy.yaml"] == f"tls:\n  name: copy\n---\n{PEM}\n".encode()
    assert files == _files(direct.work)


def _assert_prefix_stable(provider: Provider) -> None:
    """Each turn's history begins with the one before, byte for byte, marks for the prompt cache aside."""
    histories = [
        [json.dumps(_without_marks(message)) for message in request.json["messages"]]
        for request in provider.content
        if request.json.get("tools")
    ]
    assert len(histories) == 7
    for before, after in pairwise(histories):
        assert after[: len(before)] == before
    heads = {
        json.dumps([_without_marks(request.json.get(name)) for name in ("system", "tools")])
        for request in provider.content
        if request.json.get("tools")
    }
    assert len(heads) == 1


def _without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_marks(one) for name, one in value.items() if name != "cache_control"}
    return [_without_marks(one) for one in value] if isinstance(value, list) else value


def _assert_recorded(guard: Guard, provider: Provider) -> None:
    intents = guard.records("intent")
    outcomes = guard.outcomes(len(intents))
    assert len(intents) == len(provider.content)
    assert {outcome.metadata and outcome.metadata["state"] for outcome in outcomes} == {"completed"}
    for intent in intents:
        assert intent.metadata is not None
        assert intent.local is not None
        assert intent.metadata["agent"] == "opencode"
        assert intent.metadata["attribution"] == "token"
        assert intent.local["repository"] == "github.com/acme/shop"
        assert intent.local["branch"] == "topic"
    kinds = {finding["type"] for intent in intents for finding in intent.findings or []}
    assert kinds >= {"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "GITHUB_TOKEN", "EMAIL", "PRIVATE_KEY"}
    commands = json.dumps([outcome.local for outcome in outcomes])
    assert "cat key.pem" in commands
    for path, text in guard.files().items():
        assert Search(VALUES).in_(text) == [], path
