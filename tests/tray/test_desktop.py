"""What the tray opens: a terminal of the user's, whichever there is."""

import shlex
import stat
from pathlib import Path

import pytest

from localguard.tray.desktop import NothingOpens, terminal_command

COMMAND = ("localguard", "explain", "x1", "--home", "/home/me/a 'b'\"; touch x")


def programs(place: Path, *names: str) -> str:
    """A directory with programs of these names, as `$PATH` has it."""
    for name in names:
        (place / name).write_text("#!/bin/sh\n", "utf-8")
        (place / name).chmod(stat.S_IRWXU)
    return str(place)


def test_the_terminal_of_the_users_choice_goes_first(tmp_path: Path) -> None:
    search = programs(tmp_path, "xterm", "kitty", "x-terminal-emulator")
    found = terminal_command(COMMAND, {"TERMINAL": "kitty"}, platform="linux", search=search)
    assert found == [str(tmp_path / "kitty"), *COMMAND]


def test_else_the_first_that_is_there_gets_the_command_word_for_word(tmp_path: Path) -> None:
    search = programs(tmp_path, "xterm", "gnome-terminal")
    assert terminal_command(COMMAND, {}, platform="linux", search=search)[1:] == ["--", *COMMAND]
    assert terminal_command(COMMAND, {"TERMINAL": "gone"}, platform="linux", search=search)[1] == "--"


def test_without_any_it_says_what_to_run_by_hand(tmp_path: Path) -> None:
    with pytest.raises(NothingOpens, match="localguard explain x1"):
        terminal_command(COMMAND, {}, platform="linux", search=str(tmp_path))


def test_on_macos_no_word_of_the_command_ends_the_script() -> None:
    _, _, script, *_ = terminal_command(COMMAND, {}, platform="darwin")
    inner = script.removeprefix('tell application "Terminal" to do script "').removesuffix('"')
    unescaped = inner.replace('\\"', "\0").replace("\\\\", "\\")
    assert '"' not in unescaped
    assert shlex.split(unescaped.replace("\0", '"')) == list(COMMAND)
