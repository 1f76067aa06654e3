"""Real agents after `agents connect`: their traffic comes through the guard; after `agents disconnect` it does not, and their files are as before.

Codex and opencode are installed for the tests (packaging/clients.sh); the others are tried where they are there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.e2e.guard import CLIENTS, ROOT, Guard, policy
from tests.provider.script import Asked, Turn
from tests.provider.server import Provider

KEY = "client-key-" + "0123456789" * 3
PROMPT = "Say what you see."


@dataclass(frozen=True, slots=True)
class Trial:
    """How an agent is run headless: its settings before, by file below the home, for a provider's address, and its command."""

    name: str
    program: str
    before: Callable[[str], dict[str, str]]
    command: tuple[str, ...]
    needed: bool = False
    is_answered: bool = True
    """Whether the scripted provider speaks its wire format, so that the agent ends well."""
    variables: dict[str, str] = field(default_factory=dict)


def cline(provider: str, model: str, url: str) -> dict[str, object]:
    settings = {"provider": provider, "apiKey": KEY, "model": model, "baseUrl": url}
    entry = {"settings": settings, "updatedAt": "2026-11-28T06:14:13.411Z", "tokenSource": "manual"}
    return {"version": 1, "lastUsedProvider": provider, "modes": {}, "providers": {provider: entry}}


TRIALS = (
    Trial(
        "codex",
        "codex",
        lambda url: {
            ".codex/config.toml": f'# mine\nmodel = "gpt-5.1"   # the best\nopenai_base_url = "{url}/v1"\n\n[history]\npersistence = "none"\n',
            ".codex/auth.json": json.dumps({"OPENAI_API_KEY": KEY}),
        },
        ("exec", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check", PROMPT),
        needed=True,
    ),
    Trial(
        "opencode",
        "opencode",
        lambda url: {
            ".config/opencode/opencode.json": "{\n\t// mine\n\t\"$schema\": \"https://opencode.ai/config.json\",\n"
            '\t"autoupdate": false, "share": "disabled", "small_model": "anthropic/claude-sonnet-4-5",\n'
            f'\t"provider": {{"anthropic": {{"options": {{"apiKey": "{KEY}", "baseURL": "{url}/v1"}}}}}},\n}}\n'
        },
        ("run", "-m", "anthropic/claude-sonnet-4-5", PROMPT),
        needed=True,
        variables={
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        },
    ),
    Trial(
        "claude-code",
        "claude",
        lambda url: {
            ".claude/settings.json": json.dumps({"env": {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}}, indent=4)
        },
        ("-p", PROMPT),
        variables={"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "ANTHROPIC_API_KEY": KEY},
    ),
    Trial(
        "gemini-cli",
        "gemini",
        lambda url: {
            ".gemini/.env": f"# mine\nGEMINI_API_KEY={KEY}\nGOOGLE_GEMINI_BASE_URL={url}\n",
            ".gemini/settings.json": json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}),
        },
        ("-m", "gemini-2.5-flash", "-p", PROMPT),
        is_answered=False,
        variables={"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_TELEMETRY_ENABLED": "false"},
    ),
    Trial(
        "qwen-code",
        "qwen",
        lambda url: {
            ".qwen/.env": f"OPENAI_API_KEY={KEY}\nOPENAI_MODEL=stub-1\nOPENAI_BASE_URL={url}/v1\n",
            ".qwen/settings.json": json.dumps({"security": {"auth": {"selectedType": "openai"}}, "$version": 4}, indent=2),
        },
        ("-p", PROMPT),
    ),
    Trial(
        "continue",
        "cn",
        lambda url: {
            ".continue/config.yaml": "name: mine # n\nversion: 0.0.1\nschema: v1\nmodels:\n"
            f"  - name: stub # s\n    provider: openai\n    model: stub-1\n    apiKey: {KEY}\n    apiBase: {url}/v1\n    roles: [chat]\n"
        },
        ("--config", "{home}/.continue/config.yaml", "-p", PROMPT),
    ),
    *(
        Trial(
            "cline",
            "cline",
            lambda url, provider=provider, model=model: {  # type: ignore[misc]
                ".cline/data/settings/providers.json": json.dumps(cline(provider, model, f"{url}/v1"), indent=2) + "\n"
            },
            ("-P", provider, "-m", model, "--auto-approve", "true", PROMPT),
        )
        for provider, model in (("openai-native", "gpt-5.1"), ("anthropic", "claude-sonnet-4-5"))
    ),
    Trial(
        "aider",
        "aider",
        lambda url: {".aider.conf.yml": f"# mine\nopenai-api-base: {url}/v1\nopenai-api-key: {KEY}\nset-env:\n  - A=b\n"},
        (
            "--model", "openai/stub-1", "--message", PROMPT, "--yes-always", "--no-git", "--no-stream",
            "--no-show-model-warnings", "--no-check-update", "--analytics-disable",
        ),
    ),
    Trial(
        "copilot",
        "copilot",
        lambda url: {".profile": f"# mine\nexport COPILOT_PROVIDER_BASE_URL={url}/v1\nexport COPILOT_MODEL=stub-1\n"},
        ("-p", PROMPT, "--allow-all-tools"),
        variables={"COPILOT_PROVIDER_API_KEY": KEY, "COPILOT_PROVIDER_TYPE": "openai"},
    ),
    Trial(
        "llm",
        "llm",
        lambda url: {".profile": f"export OPENAI_BASE_URL={url}/v1\n"},
        ("-m", "gpt-4o-mini", "--no-stream", PROMPT),
        variables={"OPENAI_API_KEY": KEY},
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard with an endpoint of each kind at the provider, also Google's."""
    gemini = f'[[endpoints]]\nname = "gemini"\nkind = "gemini"\nbase_url = "http://127.0.0.1:{running_provider.port}"\nclass = "hosted"\n'
    with Guard(tmp_path_factory.mktemp("connected") / "lg", policy(running_provider.port, gemini)) as started:
        yield started


def found(trial: Trial) -> str:
    program = shutil.which(trial.program, path=str(CLIENTS / "node_modules" / ".bin"))
    if program is None:
        message = f"{trial.program} is not installed: sh packaging/clients.sh"
        (pytest.fail if trial.needed and os.environ.get("CI") else pytest.skip)(message)
    return program


def said(asked: Asked) -> Turn:
    return Turn(text="I see a window.")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_a_connected_agent_comes_through_the_guard_and_a_disconnected_one_does_not(
    trial: Trial, provider: Provider, guard: Guard, tmp_path: Path
) -> None:
    program = found(trial)
    provider.brain = said
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    before = {name: text.encode() for name, text in trial.before(provider.url).items()}
    for name, text in before.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(text)
    environment = user(home, trial)
    so_far = len(guard.records("intent"))
    assert "+ " in localguard(guard, environment, "connect", trial.name)
    run(program, trial, work, environment)
    came = guard.records("intent")[so_far:]
    if trial.needed:  # the others tell their library's name in some versions
        assert {one.metadata and one.metadata["agent"] for one in came} == {trial.name}
    assert len(provider.content) == len(came) > 0  # nothing went around it

    localguard(guard, environment, "disconnect", trial.name)
    assert {name: undated((home / name).read_bytes()) for name in before} == {
        name: undated(text) for name, text in before.items()
    }
    run(program, trial, work, environment)
    assert len(provider.content) > len(came)
    assert len(guard.records("intent")) == so_far + len(came)


@pytest.fixture(autouse=True)
def left_behind(tmp_path: Path) -> Iterator[None]:
    """Ends what an agent leaves running in its own home: Cline keeps a hub."""
    yield
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == str(tmp_path / "home"):
                process.kill()
        except psutil.Error:
            continue


def undated(text: bytes) -> bytes:
    """The text without the time at which Cline itself wrote it last."""
    return re.sub(rb'"updatedAt": "[^"]*"', b"", text)


def user(home: Path, trial: Trial) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "SHELL": "/bin/sh",
        "DO_NOT_TRACK": "1",
        **trial.variables,
    }


def localguard(guard: Guard, environment: dict[str, str], command: str, name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "localguard.cli.main", "agents", command, name, "--yes", "--port", str(guard.port)],
        env=guard.environment(environment) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(program: str, trial: Trial, work: Path, environment: dict[str, str]) -> None:
    """The agent, started from a login shell as a user's is."""
    arguments = [one.replace("{home}", environment["HOME"]) for one in trial.command]
    done = subprocess.run(
        ["/bin/sh", "-c", '[ ! -f "$HOME/.profile" ] || . "$HOME/.profile"; exec "$@"', "sh", program, *arguments],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0 or not trial.is_answered, done.stdout[-1500:] + done.stderr[-1500:]
