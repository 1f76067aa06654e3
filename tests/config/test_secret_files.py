"""Secret files of a workspace: which are read, and which of their values count."""

from pathlib import Path

import pytest

from localguard.config import git_authors, secret_files
from localguard.config.rule_files import read_rules
from localguard.detect.scanner import Scanner
from tests.e2e.planted import made

DETECT = Scanner(read_rules([])).by_rules


def values(path: Path) -> set[str]:
    return {one.value for one in secret_files.read_values(path, DETECT)}


def test_files_are_found_by_convention_and_templates_and_dependencies_are_not(tmp_path: Path) -> None:
    names = [".env", "deploy/.env.production", "certs/server.key", ".npmrc", "infra/prod.tfvars"]
    others = [".env.example", "node_modules/x/.env", "id_rsa.pub", "main.py", "a/b/c/d/e/f/g/.env"]
    for name in [*names, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert {str(path.relative_to(tmp_path)) for path in secret_files.find([tmp_path])} == set(names)


def test_globs_of_the_policy_take_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    for name in (".env", "conf/keys.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert secret_files.find([tmp_path], ["conf/*.txt"]) == [tmp_path / "conf/keys.txt"]
    assert secret_files.find([tmp_path], []) == []


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    import os

    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".env").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    (root / ".env").symlink_to(outside / ".env")
    (root / "dir").symlink_to(outside)
    os.mkfifo(root / "x.key")
    assert secret_files.find([root]) == []


def test_what_is_secret_counts_and_what_is_only_a_setting_does_not(tmp_path: Path) -> None:
    text, password = made("DB_PASSWORD=⟦{password}⟧", 3)
    bare, opaque = made("INTERNAL_CODE=⟦{alnum:24}⟧", 4)
    settings = (
        "AWS_REGION=eu-central-1\nNODE_ENV=production\nDEBUG=true\nAPP_URL=https://app.acme-corp.io/login\n"
        "IMAGE=images.acme-corp.io/app:1.24.3\nGIT_SHA=0a1b2c3d4e5f60718293a4b5c6d7e8f901234567\nPORT=8080\n"
        "RUN_ID=3f2504e0-4f89-41d3-9a0c-0305e82c3301\nQUEUE=celery-default-2\nLOCALE=de_DE.UTF-8\n"
    )
    file = tmp_path / ".env"
    file.write_text(f"{text}\n{bare}\n{settings}")
    assert values(file) == {password, opaque}


@pytest.mark.parametrize("data", [b"\x00\x01binary", b"K=" + b"x" * (1 << 20)])
def test_binary_and_large_files_hold_nothing(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(data)
    assert values(file) == set()


def test_authors_are_people_and_not_bots(tmp_path: Path) -> None:
    import subprocess

    def commit(name: str, address: str) -> None:
        who = {
            f"GIT_{role}_{what}": text
            for role in ("AUTHOR", "COMMITTER")
            for what, text in (("NAME", name), ("EMAIL", address))
        }
        command = ["git", "-C", str(tmp_path), "commit", "-q", "--allow-empty", "-m", "x"]
        subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path), **who})

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    commit("Jo Doe", "jo@acme-corp.io")
    commit("dependabot[bot]", "1+dependabot[bot]@users.noreply.github.com")
    commit("root", "root@localhost")
    assert set(git_authors.authors(tmp_path)) == {"Jo Doe", "jo@acme-corp.io", "root@localhost"}
    assert git_authors.authors(tmp_path / "none") == ()
