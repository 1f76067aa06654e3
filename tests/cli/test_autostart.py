"""`localguard autostart`: shown first, written only after a yes, undone by one command."""

import json
from pathlib import Path

import pytest

from localguard.config.home import Home
from tests.cli.conftest import RunLocally


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "user"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    return made


def test_nothing_is_written_without_a_yes(localguard: RunLocally, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda _: False)
    code, out, _ = localguard("autostart", "install")
    assert code == 1
    assert "serve" in out
    assert "--wait" in out
    assert list(user.iterdir()) == []


def test_what_was_shown_is_what_is_written_and_remove_takes_it_away(
    localguard: RunLocally, user: Path, home: Home
) -> None:
    code, out, _ = localguard("autostart", "install", "--yes", "--port", "4555")
    assert code == 0
    written = [path for path in user.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(written) == 2
    for path in written:
        assert str(path) in out
        text = path.read_text("utf-8")
        assert all(line in out for line in text.splitlines())
        assert '"--port" "4555"' in text
        assert str(home.root) in text
    code, out, _ = localguard("autostart", "status", "--json")
    assert {one["state"] for one in json.loads(out)} == {"installed"}
    assert localguard("autostart", "remove")[0] == 0
    assert list(user.iterdir()) == []
    assert "Nothing of this home" in localguard("autostart", "status")[1]


def test_one_of_the_two_can_be_left_out(localguard: RunLocally, user: Path) -> None:
    assert localguard("autostart", "install", "--no-guard", "--yes")[0] == 0
    assert [path.name for path in user.rglob("*") if path.is_file()] == ["localguard-tray.desktop"]
    assert localguard("autostart", "install", "--no-guard", "--no-tray", "--yes")[0] == 2


def test_what_was_changed_is_named_and_the_exit_code_says_so(localguard: RunLocally, user: Path) -> None:
    localguard("autostart", "install", "--no-guard", "--yes")
    (entry,) = [path for path in user.rglob("*") if path.is_file()]
    entry.write_text("mine", "utf-8")
    code, _, err = localguard("autostart", "remove")
    assert code == 1
    assert str(entry) in err
    assert entry.read_text("utf-8") == "mine"
