"""The hook is put into real repositories and taken out of them: what was there runs as before, and comes back byte for byte."""

import os
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localguard.audit.store import Store
from localguard.config.git_hooks import HooksUnchanged, install, installed, uninstall
from tests.audit.samples import INTENT, INTENT_LOCAL

POLICY = "ab" * 32
TRAILERS = "Agent-Session: s-1\nAgent-Model: gpt-5\nAgent-Endpoint-Class: hosted\nAgent-Policy: abababababababab"


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's user, and an identity."""
    (tmp_path / "gitconfig").write_text(
        "[user]\n\tname = A Dev\n\temail = a@dev.example\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_EDITOR", "true")


def git(place: Path, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run(["git", *arguments], cwd=place, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) is fails, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "a tree's"
    place.mkdir()
    git(place, "init", "-q")
    return place


@pytest.fixture
def database(tmp_path: Path, repository: Path) -> Path:
    """A log with one session at work in the repository now."""
    path = tmp_path / "audit.db"
    at_work(path, repository)
    return path


def at_work(path: Path, root: Path, session: str = "s-1") -> None:
    with Store.open(path, clock=lambda: datetime.now(UTC)) as store:
        store.append(
            "intent",
            exchange=f"x-{session}",
            session=session,
            metadata={**INTENT, "policy": POLICY},
            local={**INTENT_LOCAL, "root": str(root)},
        ).result()


def commit(place: Path, message: str = "Change it", *more: str) -> str:
    """The message of a commit that was made so."""
    git(place, "commit", "-q", "--allow-empty", "-m", message, *more)
    return git(place, "log", "-1", "--format=%B")


def hook(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def state(place: Path) -> dict[str, tuple[int, bytes]]:
    """Modes and contents below the git directory that say which hooks run, and of the work tree."""
    found: dict[str, tuple[int, bytes]] = {}
    for one in place.rglob("*"):
        name = one.relative_to(place).as_posix()
        if one.is_file() and (not name.startswith(".git/") or "hooks" in name or name.startswith(".git/config")):
            found[name] = (stat.S_IMODE(one.lstat().st_mode), one.read_bytes())
    return found


def _style_none(repository: Path) -> Callable[[Path], None]:
    hook(repository / ".git/hooks/commit-msg", '#!/bin/sh\nbasename "$0" > ran\ndirname "$0" >> ran\ngrep -q ok "$1"\n')
    return lambda place: None


def _style_in_tree(repository: Path) -> Callable[[Path], None]:
    hook(repository / ".husky/_/commit-msg", '#!/bin/sh\n. "$(dirname "$0")/h"\n')
    hook(repository / ".husky/_/h", 'basename "$0" > ran\ngrep -q ok "$1" || exit 3\n')
    git(repository, "config", "core.hooksPath", ".husky/_")
    return lambda place: None


def _style_of_all(repository: Path) -> Callable[[Path], None]:
    shared = repository.parent / "all repositories"
    hook(shared / "commit-msg", '#!/bin/sh\nbasename "$0" > ran\ngrep -q ok "$1"\n')
    git(repository, "config", "--global", "core.hooksPath", str(shared))
    return lambda place: None


@pytest.mark.parametrize("style", [_style_none, _style_in_tree, _style_of_all])
def test_hooks_that_are_there_run_first_under_their_own_name_and_come_back(
    repository: Path, database: Path, style: Callable[[Path], object]
) -> None:
    style(repository)
    before = state(repository)
    assert install(repository, database).way == "path"
    assert {name for name in state(repository) if not name.startswith(".git/")} == {
        name for name in before if not name.startswith(".git/")
    }
    assert commit(repository, "It is ok") == f"It is ok\n\n{TRAILERS}"
    assert (repository / "ran").read_text().startswith("commit-msg\n")
    git(repository, "commit", "--allow-empty", "-m", "refused", fails=True)
    (repository / "ran").unlink()
    install(repository, database)  # again
    assert uninstall(repository)
    assert state(repository) == before
    assert commit(repository, "It is ok") == "It is ok"


def test_other_hooks_of_the_former_place_run_too_even_those_that_come_later(repository: Path, database: Path) -> None:
    hook(repository / ".git/hooks/commit-msg", "#!/bin/sh\n")
    install(repository, database)
    commit(repository)
    hook(repository / ".git/hooks/pre-commit", "#!/bin/sh\nexit 7\n")
    git(repository, "commit", "--allow-empty", "-m", "no", fails=True)


def test_a_setting_that_was_changed_since_is_left_alone(repository: Path, database: Path) -> None:
    git(repository, "config", "core.hooksPath", "first")
    install(repository, database)
    git(repository, "config", "some.other", "1")
    assert uninstall(repository)
    assert git(repository, "config", "core.hooksPath") == "first"
    assert git(repository, "config", "some.other") == "1"
    install(repository, database)
    git(repository, "config", "core.hooksPath", "second")
    found = installed(repository)
    assert found is not None
    assert not found.working
    with pytest.raises(HooksUnchanged, match="set to another place"):
        install(repository, database)
    assert uninstall(repository)
    assert git(repository, "config", "core.hooksPath") == "second"


def test_each_work_tree_has_its_own_sessions(repository: Path, database: Path, tmp_path: Path) -> None:
    commit(repository)
    second = tmp_path / "second"
    git(repository, "worktree", "add", "-q", str(second))
    assert install(second, database).hook == repository / ".git/hooks/commit-msg"
    assert commit(second) == "Change it"
    assert commit(repository) == f"Change it\n\n{TRAILERS}"
    at_work(database, second, "s-2")
    assert "Agent-Session: s-2" in commit(second)
    assert "s-2" not in commit(repository)
    assert uninstall(repository)
    assert installed(second) is None


def test_an_empty_message_still_ends_the_commit(repository: Path, database: Path) -> None:
    install(repository, database)
    git(repository, "commit", "--allow-empty", "-v", fails=True)


def test_a_message_with_a_divider_and_a_diff_below_the_scissors_gets_them_at_its_end(
    repository: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(repository, database)
    assert commit(repository, "Subject\n\nbefore\n---\nafter") == f"Subject\n\nbefore\n---\nafter\n\n{TRAILERS}"
    (repository / "file").write_text("content\n")
    git(repository, "add", "file")
    monkeypatch.setenv("GIT_EDITOR", "sed -i '1s/^/Edited\\n/'")
    git(repository, "commit", "-q", "-v")
    assert git(repository, "log", "-1", "--format=%B") == f"Edited\n\n{TRAILERS}"


@pytest.mark.parametrize("damage", ["missing", "garbage", "directory"])
def test_no_log_and_a_damaged_one_never_hold_a_commit_up(repository: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "audit.db"
    if damage == "garbage":
        path.write_bytes(os.urandom(8192))
    elif damage == "directory":
        path.mkdir()
    install(repository, path)
    assert commit(repository) == "Change it"


def test_a_python_that_is_gone_never_holds_a_commit_up(repository: Path, database: Path) -> None:
    path = install(repository, database).hook
    path.write_text(path.read_text().replace("-m localguard.cli.trailers", "-m nothing.there"))
    assert commit(repository) == "Change it"


def test_nothing_in_the_work_tree_is_run_as_the_guards_code(repository: Path, database: Path) -> None:
    install(repository, database)
    for name in ("localguard/__init__.py", "sqlite3.py", "json.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("open('planted', 'w')")
    assert commit(repository) == f"Change it\n\n{TRAILERS}"
    assert not (repository / "planted").exists()


def test_a_repository_without_a_hooks_directory_is_as_before(repository: Path, database: Path) -> None:
    for one in (repository / ".git/hooks").iterdir():
        one.unlink()
    (repository / ".git/hooks").rmdir()
    install(repository, database)
    assert commit(repository).endswith(TRAILERS)
    install(repository, database)
    uninstall(repository)
    assert not (repository / ".git/hooks").exists()


def test_outside_of_a_work_tree_it_is_an_error_in_words(tmp_path: Path, database: Path) -> None:
    with pytest.raises(HooksUnchanged, match="no git work tree"):
        install(tmp_path, database)
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(HooksUnchanged, match="no git work tree"):
        install(tmp_path / "bare.git", database)


@pytest.mark.parametrize("lines", ["echo more\n", "#!/bin/bash\necho before\n"])
def test_lines_that_somebody_added_to_the_hook_are_not_thrown_away(
    repository: Path, database: Path, lines: str
) -> None:
    path = install(repository, database).hook
    ours = path.read_text()
    changed = lines + ours if lines.startswith("#!") else ours + lines
    path.write_text(changed)
    for change in (lambda: install(repository, database), lambda: uninstall(repository)):
        with pytest.raises(HooksUnchanged, match="changed by hand"):
            change()
    assert path.read_text() == changed
