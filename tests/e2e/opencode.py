"""opencode, headless, under `localguard run` or straight to the provider, with a home of its own."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.guard import CLIENTS, ROOT, Guard

MODEL = "anthropic/claude-sonnet-4-5"


def program() -> str:
    """The installed opencode. Skips the test where there is none; where CI is set, that is a failure."""
    found = shutil.which("opencode", path=str(CLIENTS / "node_modules" / ".bin"))
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("opencode is not installed: sh packaging/clients.sh")
    return found


@dataclass(frozen=True, slots=True)
class Opencode:
    """A user with opencode: `home` holds its configuration, `work` is the repository it works in."""

    home: Path
    work: Path

    @classmethod
    def at(cls, folder: Path) -> "Opencode":
        """A new user with an empty repository."""
        made = cls(folder / "home", folder / "shop")
        made.home.mkdir(parents=True)
        made.work.mkdir()
        for arguments in (
            ["init", "-q", "-b", "topic"],
            ["remote", "add", "origin", "https://github.com/acme/shop.git"],
            ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "--allow-empty", "-m", "begin"],
        ):
            subprocess.run(["git", *arguments], cwd=made.work, check=True, env=made._environment())
        return made

    def run(
        self, prompt: str, guard: Guard, *, timeout: float = 90, **headers: str
    ) -> "subprocess.CompletedProcess[str]":
        """One prompt under `localguard run`."""
        self._configure({"headers": {name.replace("_", "-"): value for name, value in headers.items()}})
        localguard = [sys.executable, "-m", "localguard.cli.main", "run", "--home", str(guard.home)]
        return self._run([*localguard, "--port", str(guard.port), "--"], prompt, timeout, guard)

    def run_direct(self, prompt: str, url: str, *, timeout: float = 90) -> "subprocess.CompletedProcess[str]":
        """One prompt straight to the provider at `url`."""
        self._configure({"baseURL": f"{url}/v1"})
        return self._run([], prompt, timeout, None)

    def _run(
        self, before: list[str], prompt: str, timeout: float, guard: Guard | None
    ) -> "subprocess.CompletedProcess[str]":
        environment = self._environment()
        if guard is not None:
            environment = guard.environment(environment) | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*before, program(), "run", "-m", MODEL, prompt],
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _configure(self, options: dict[str, object]) -> None:
        folder = self.home / ".config" / "opencode"
        folder.mkdir(parents=True, exist_ok=True)
        configuration = {
            "autoupdate": False,
            "share": "disabled",
            "small_model": MODEL,
            "permission": "allow",
            "provider": {"anthropic": {"options": {"apiKey": "client-key-" + "0123456789" * 3, **options}}},
        }
        (folder / "opencode.json").write_text(json.dumps(configuration), "utf-8")

    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        return {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }
