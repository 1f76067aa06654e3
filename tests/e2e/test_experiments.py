"""Experiments on a real guard: closed before, open while they run, marked in the log, and over when they are stopped."""

from pathlib import Path

from tests.e2e.guard import Guard, policy
from tests.e2e.test_asking import AGENT, localguard
from tests.provider.server import Provider

TRIAL = """
[[endpoints]]
name = "trial"
kind = "openai-compatible"
base_url = "http://127.0.0.1:{port}"
class = "experimental"
"""


def send(guard: Guard) -> str:
    import json
    import subprocess
    import sys

    body = {"model": "stub-1", "messages": [{"role": "user", "content": "hello"}]}
    url = f"{guard.url}/trial/v1/chat/completions"
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
