"""Instruction files are read where agents look for them, and nothing else is."""

import os
from pathlib import Path

from localguard.config.instruction_files import instruction_files


def test_files_of_the_work_tree_on_the_way_to_the_directory_are_read(tmp_path: Path) -> None:
    places = ("AGENTS.md", ".github/AGENTS.md", "a/AGENTS.md", "a/b/AGENTS.md", "c/AGENTS.md")
    for name in places:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sorted(instruction_files(tmp_path, tmp_path / "a/b", "AGENTS.md").values()) == sorted(places[:4])
    assert sorted(instruction_files(tmp_path, tmp_path.parent, "AGENTS.md").values()) == sorted(places[:2])


def test_what_is_no_plain_text_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "AGENTS.md")
    (tmp_path / "CLAUDE.md").write_bytes(b"\xff\xfe")
    (tmp_path / "GEMINI.md").write_bytes(b"x" * 300_000)
    (tmp_path / ".cursorrules").mkdir()
    for name in ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".cursorrules", "none.md"):
        assert "".join(instruction_files(tmp_path, None, name).values()) == ""
