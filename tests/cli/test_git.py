"""`git install`, `status` and `uninstall` say in words what they did."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import RunLocally


@pytest.fixture
def repository(work: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    return work


def test_the_hook_comes_and_goes(repository: Path, localguard: RunLocally) -> None:
    assert "Not installed.\nNo session is active here." in localguard("git", "status")[1]
    code, said, _ = localguard("git", "install")
    assert code == 0
    assert said == f"Installed: {repository}/.git/hooks/commit-msg\n"
    assert json.loads(localguard("git", "status", "--json")[1])["installed"]["working"] is True
    assert localguard("git", "uninstall")[1] == "Taken out.\n"
    assert localguard("git", "uninstall", "-C", str(repository))[1].startswith("There is no hook")


def test_a_place_that_is_no_work_tree_is_wrong_use(work: Path, localguard: RunLocally) -> None:
    code, _, error = localguard("git", "install")
    assert code == 2
    assert "no git work tree" in error
