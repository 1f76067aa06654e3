"""Experiments on a real guard: closed before, open while they run, marked in the log, and over when they are stopped."""

from pathlib import Path

from localguard.config.home import Home
from localguard.config.workspace_tokens import Tokens
from tests.e2e.guard import Guard, free_port, policy
from tests.e2e.test_asking import AGENT, localguard
from tests.e2e.test_limits import backup
from tests.provider.server import Provider

TRIAL = """
[[endpoints]]
name = "trial"
kind = "openai-compatible"
base_url = "http://127.0.0.1:{port}"
class = "experimental"
"""


BUCKET = '[[workspaces]]\nname = "w"\nmatch = { paths = ["/nowhere/w"] }\ncost_bucket = "w-eng"\n'


def send(guard: Guard, prefix: str = "") -> str:
    import json
    import subprocess
    import sys

    body = {"model": "stub-1", "messages": [{"role": "user", "content": "hello"}]}
    url = f"{guard.url}{prefix}/trial/v1/chat/completions"
    command = [sys.executable, "-c", AGENT, json.dumps(body), url, "{}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=guard.environment())
    return done.stdout.strip()


def test_an_experiment_opens_its_endpoint_while_it_runs(provider: Provider, tmp_path: Path) -> None:
    with Guard(tmp_path / "home", policy(provider.port, TRIAL.format(port=provider.port))) as guard:
        assert send(guard).startswith("403")
        for arguments, words in (
            (("--endpoint", "openai", "--hours", "1", "--reason", "x"), "experiments are for experimental ones"),
            (("--endpoint", "nobody", "--hours", "1", "--reason", "x"), "No endpoint has this name"),
            (("--endpoint", "trial", "--hours", "9", "--reason", "x"), "from 1 to 8"),
            (("--endpoint", "trial", "--hours", "1", "--reason", "x", "--limit-usd", "6"), "allows 5 USD"),
            (("--endpoint", "trial", "--hours", "1", "--reason", "x", "--limit-usd", "NaN"), "an amount above 0"),
        ):
            refused = localguard(guard, "experiment", "start", *arguments)
            assert refused.returncode == 1
            assert words in refused.stderr
        begun = localguard(guard, "experiment", "start", "--endpoint", "trial", "--hours", "1", "--reason", "compare")
        assert "trial" in begun.stdout, begun.stderr
        assert send(guard) == "200"
        intent = guard.records("intent")[-1].metadata
        assert intent is not None
        assert intent["cost_bucket"] == "experiment:trial"
        assert intent["rules"][0]["id"] == "experiment:trial"
        assert "experiment:trial" in localguard(guard, "budget", "show").stdout
        guard.write_policy(policy(provider.port, TRIAL.format(port=provider.port), "# changed\n"))
        assert send(guard) == "200"
        localguard(guard, "experiment", "stop", "--endpoint", "trial")
        assert send(guard).startswith("403")
        assert "No experiment runs." in localguard(guard, "experiment", "list").stdout
        events = [record.metadata["event"] for record in guard.records("control") if record.metadata]
        assert [one for one in events if one.startswith("experiment")] == ["experiment-start", "experiment-stop"]


def test_a_fallback_is_paid_by_whom_the_work_belongs_to(provider: Provider, tmp_path: Path) -> None:
    trial = TRIAL.replace("{port}", str(free_port())) + 'fallback = "backup"\n'
    with Guard(tmp_path / "home", policy(provider.port, trial, backup(provider.port), BUCKET)) as guard:
        localguard(guard, "experiment", "start", "--endpoint", "trial", "--hours", "1", "--reason", "compare")
        token = Tokens(Home(guard.home)).create(workspace="w", now="2026-11-28T00:00:00Z")
        assert send(guard, prefix=f"/w/{token}") == "200"
        paid = [(one.metadata or {})["cost_bucket"] for one in guard.records("intent")]
        assert paid == ["experiment:trial", "w-eng"]
