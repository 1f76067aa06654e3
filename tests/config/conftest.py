import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from localguard.config.home import Home

GitRun = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.create()
    return found


@pytest.fixture
def git(tmp_path: Path) -> GitRun:
    """Run the real git without any configuration of the machine; returns its output."""

    def run(directory: Path, *arguments: str) -> str:
        identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, "-c", "protocol.file.allow=always", *arguments],
            cwd=directory,
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"},
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def repository(tmp_path: Path, git: GitRun) -> Path:
    """A repository with one commit on `main` and the remote `git@github.com:Acme/Payments.git`."""
    root = tmp_path / "work" / "payments"
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "remote", "add", "origin", "git@github.com:Acme/Payments.git")
    git(root, "commit", "-q", "--allow-empty", "-m", "Start")
    return root
