"""Where a process and those that it started work: with real processes."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localguard.config import process_tree
from localguard.config.peer import Ancestor, Peer
from localguard.config.process_tree import root_of, working_places

TREE = """
import os, subprocess, sys
held = [os.open(place, os.O_RDONLY) for place in sys.argv[2:]]
child = subprocess.Popen([{program!r}, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"], cwd=sys.argv[1])
child.wait()
"""
"""A process that holds directories open and starts another one elsewhere."""

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(cwd: Path, below: Path, *held: Path, program: str = sys.executable, child: str = sys.executable) -> int:
            process = subprocess.Popen(
                [program, "-c", TREE.format(program=child), below, *held],
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.callback(process.wait)
            assert process.stdin is not None
            assert process.stdout is not None
            stack.callback(process.stdin.close)
            assert process.stdout.readline() == b"ready\n"
            stack.callback(process.stdout.close)
            return process.pid

        yield run


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("own", "below", "held")]
    for place in made:
        place.mkdir()
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="open directories are read from /proc")
def test_a_tree_works_where_its_processes_are_and_what_they_hold_open(start: Start, places: list[Path]) -> None:
    own, below, held = places
    assert set(working_places(start(own, below, held))) == {own, below, held}


def test_psutil_sees_the_same_working_directories(start: Start, places: list[Path]) -> None:
    own, below, _ = places
    assert set(process_tree._places_by_psutil(start(own, below), None)) == {own, below}


def test_processes_of_one_program_can_be_passed_over(
    start: Start, places: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, below, _ = places
    editor = tmp_path / "code"
    shutil.copy(Path(sys.executable).resolve(), editor)
    monkeypatch.setenv("PYTHONHOME", sys.base_prefix)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(Path(sys.base_prefix) / "lib"))
    assert working_places(start(own, below, program=str(editor)), "code") == (below,)
    assert working_places(start(own, below, program=str(editor), child=str(editor)), "code") == ()


def test_a_directory_that_is_gone_and_a_process_that_is_gone_are_nowhere(start: Start, places: list[Path]) -> None:
    own, below, _ = places
    pid = start(own, below)
    below.rmdir()
    assert working_places(pid) == (own,)
    assert working_places(2**22 + 5) == ()


def test_a_tree_is_looked_at_up_to_a_bound(start: Start, places: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    own, below, _ = places
    monkeypatch.setattr(process_tree, "_MAX_PROCESSES", 1)
    assert working_places(start(own, below)) == (own,)


def test_a_program_s_first_process_is_its_root() -> None:
    def peer(*names: str) -> Peer:
        ancestors = tuple(Ancestor(pid, name, None) for pid, name in zip((90, 80, 70), names, strict=False))
        return Peer(100, 0, True, None, None, "code", ancestors=ancestors)

    assert root_of(peer("code", "code", "bash")) == 80
    assert root_of(peer("bash", "code")) == 100
    assert root_of(peer()) == 100
