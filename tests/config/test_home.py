import stat
from pathlib import Path

import pytest

from localguard.config.home import Home, HomeUnsafe, exclusively, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_option_beats_the_variable_beats_the_users_data_directory(tmp_path: Path) -> None:
    env = {"LOCALGUARD_HOME": str(tmp_path / "by-variable")}
    assert Home.locate(env, tmp_path / "by-option").root == tmp_path / "by-option"
    assert Home.locate(env).root == tmp_path / "by-variable"
    assert Home.locate({}).root.name == "localguard"
    assert Home.locate(env, policy="/x/p.toml").policy_file == Path("/x/p.toml")


def test_directories_are_made_for_their_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    home.create()
    home.create()
    for directory in (home.root, home.rules_dir, home.state_dir, home.log_dir):
        assert mode(directory) == 0o700
    assert home.audit_db.parent == home.control_token.parent == home.state_dir


def test_a_home_that_others_can_write_or_that_is_a_file_is_refused(tmp_path: Path) -> None:
    open_home = tmp_path / "open"
    open_home.mkdir()
    open_home.chmod(0o777)
    with pytest.raises(HomeUnsafe, match="everybody"):
        Home(open_home).create()
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnsafe, match="not a directory"):
        Home(tmp_path / "file").create()


def test_a_private_file_is_replaced_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, b"new")
    assert (file.read_bytes(), mode(file)) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [file]
    with exclusively(tmp_path / "lock"):
        assert mode(tmp_path / "lock") == 0o600
