"""Starting at login: what is written starts exactly the command, and is undone exactly."""

import plistlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localguard.config.autostart import (
    Autostart,
    AutostartRefused,
    Entry,
    Kind,
    State,
    desktop_entry,
    entries,
    launchd,
    systemd,
)
from localguard.config.home import Home

ROOT = Path(__file__).parents[2]
AWKWARD = ["a b", "100%", "$HOME", "`id`", 'say "hi"', "back\\slash", "ü", "%u", "'", "${x}", ";", "-", ""]
"""Words that some of the formats would take for something else."""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    made = tmp_path / "user"
    made.mkdir()
    return made


@pytest.fixture
def autostart(tmp_path: Path) -> Autostart:
    return Autostart(Home(tmp_path / "home"))


def wanted(user: Path, platform: str = "linux", *, has_systemd: bool = True, word: str = "serve") -> tuple[Entry, ...]:
    return entries(
        ("/opt/localguard", word),
        ("/opt/localguard", "tray"),
        platform=platform,
        user_home=user,
        environment={},
        has_systemd=has_systemd,
    )


def tree(place: Path) -> dict[str, str]:
    """Everything below a directory: files with their text, links with their target."""
    return {
        str(path.relative_to(place)): str(path.readlink())
        if path.is_symlink()
        else "directory"
        if path.is_dir()
        else path.read_text("utf-8")
        for path in sorted(place.rglob("*"))
    }


@pytest.mark.parametrize(
    ("platform", "has_systemd", "places"),
    [
        ("linux", True, [".config/systemd/user/localguard.service", ".config/autostart/localguard-tray.desktop"]),
        ("linux", False, [".config/autostart/localguard.desktop", ".config/autostart/localguard-tray.desktop"]),
        ("darwin", False, ["Library/LaunchAgents/localguard.plist", "Library/LaunchAgents/localguard-tray.plist"]),
    ],
)
def test_install_and_remove_leave_the_users_home_exactly_as_it_was(
    platform: str, has_systemd: bool, places: list[str], user: Path, autostart: Autostart
) -> None:
    (user / ".config").mkdir()
    (user / ".config" / "other").write_text("mine", "utf-8")
    before = tree(user)
    autostart.install(wanted(user, platform, has_systemd=has_systemd))
    assert [place for place in places if (user / place).is_file()] == places
    assert {state for _, state in autostart.written()} == {State.THERE}
    assert autostart.remove() == ()
    assert tree(user) == before
    assert autostart.written() == ()


def test_a_systemd_unit_is_enabled_as_systemctl_enables_it(user: Path, autostart: Autostart) -> None:
    autostart.install(wanted(user))
    link = user / ".config/systemd/user/default.target.wants/localguard.service"
    assert link.is_symlink()
    assert link.resolve() == user / ".config/systemd/user/localguard.service"


def test_installing_again_writes_the_new_command_and_is_still_undone_exactly(user: Path, autostart: Autostart) -> None:
    before = tree(user)
    autostart.install(wanted(user))
    autostart.install(wanted(user, word="serve-otherwise"))
    assert "serve-otherwise" in (user / ".config/systemd/user/localguard.service").read_text("utf-8")
    autostart.remove()
    assert tree(user) == before


@pytest.mark.parametrize("other", ["text", "link", "directory"])
def test_a_place_that_is_taken_is_nobody_elses_to_give(other: str, user: Path, autostart: Autostart) -> None:
    taken = user / ".config/systemd/user/localguard.service"
    taken.parent.mkdir(parents=True)
    if other == "text":
        taken.write_text("mine", "utf-8")
    elif other == "link":
        taken.symlink_to("/dev/null")  # as `systemctl mask` does
    else:
        taken.mkdir()
    before = tree(user)
    with pytest.raises(AutostartRefused, match="was not written by this"):
        autostart.install(wanted(user))
    assert tree(user) == before
    assert autostart.written() == ()


def test_what_somebody_has_changed_since_stays_and_is_named(user: Path, autostart: Autostart) -> None:
    autostart.install(wanted(user))
    unit = user / ".config/systemd/user/localguard.service"
    unit.write_text(unit.read_text("utf-8") + "Nice=5\n", "utf-8")
    (user / ".config/autostart/localguard-tray.desktop").unlink()
    assert {state for _, state in autostart.written()} == {State.CHANGED, State.THERE, State.GONE}
    (left,) = autostart.remove()
    assert left.place == str(unit)
    assert "Nice=5" in unit.read_text("utf-8")
    assert not (user / ".config/autostart").exists()
    with pytest.raises(AutostartRefused):
        autostart.install(wanted(user))


def test_a_record_that_cannot_be_read_undoes_nothing(user: Path, autostart: Autostart, tmp_path: Path) -> None:
    autostart.install(wanted(user))
    before = tree(user)
    (tmp_path / "home" / "state" / "autostart.json").write_text('{"half": ', "utf-8")
    with pytest.raises(AutostartRefused, match="cannot be read"):
        autostart.remove()
    assert tree(user) == before


def test_a_path_with_a_line_break_would_add_lines_and_is_refused(user: Path) -> None:
    with pytest.raises(AutostartRefused):
        wanted(user, word="serve\nExecStartPre=evil")


def test_windows_gets_values_of_the_run_key(user: Path) -> None:
    found = wanted(user, "win32", word="C:\\Program Files\\x")
    assert [(one.kind, one.place) for one in found] == [(Kind.RUN_KEY, "localguard"), (Kind.RUN_KEY, "localguard-tray")]
    assert found[0].text == '/opt/localguard "C:\\Program Files\\x"'


# the formats


def test_the_unit_and_the_agent_are_those_of_packaging_but_for_the_command() -> None:
    def settings(text: str) -> list[str]:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return [line for line in lines if not line.startswith("ExecStart=")]

    packaged = (ROOT / "packaging" / "localguard.service").read_text("utf-8")
    assert settings(systemd(["x"])) == settings(packaged)
    agent = plistlib.loads((ROOT / "packaging" / "localguard.plist").read_bytes())
    own = plistlib.loads(launchd("guard", ["x"]).encode())
    assert own | {"ProgramArguments": []} == agent | {"ProgramArguments": []}


def test_a_launchd_agent_holds_the_command_word_for_word() -> None:
    assert plistlib.loads(launchd("tray", ["/opt/x", *AWKWARD]).encode())["ProgramArguments"] == ["/opt/x", *AWKWARD]


@pytest.fixture
def told(tmp_path: Path) -> tuple[list[str], Path]:
    """A command that writes down what it was given, and the file that it writes to."""
    script, file = tmp_path / "write down.py", tmp_path / "told"
    script.write_text(
        f"import json, os, sys\nopen({str(file)!r} + '.new', 'w').write(json.dumps(sys.argv[1:]))\n"
        f"os.replace({str(file)!r} + '.new', {str(file)!r})\n",
        "utf-8",
    )
    return [sys.executable, str(script)], file


@pytest.mark.skipif(shutil.which("gio") is None, reason="no gio here, which starts desktop entries as desktops do")
def test_a_desktop_starts_the_command_word_for_word(told: tuple[list[str], Path], tmp_path: Path) -> None:
    import json

    command, file = told
    entry = tmp_path / "localguard-tray.desktop"
    entry.write_text(desktop_entry("tray", [*command, *AWKWARD]), "utf-8")
    subprocess.run(["gio", "launch", str(entry)], check=True, timeout=30)
    end = time.monotonic() + 15
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert json.loads(file.read_text("utf-8")) == AWKWARD


def test_a_systemd_unit_escapes_what_systemd_would_expand() -> None:
    line = next(line for line in systemd(["/opt/x", *AWKWARD]).splitlines() if line.startswith("ExecStart="))
    assert '"100%%"' in line
    assert '"$$HOME"' in line
    assert '"say \\"hi\\""' in line
    assert '"back\\\\slash"' in line


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "localguard.service"
    unit.write_text(systemd([sys.executable, "-m", "x", *AWKWARD]), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "localguard.service" not in done.stderr, done.stderr
