"""The compiled form of the gates: kept private, and used only if nothing about it is doubtful."""

import sys
from pathlib import Path

import pytest

from localguard.config import compiled_gates
from localguard.detect.scanner import Scanner

pytest.importorskip("hyperscan")


@pytest.fixture
def scanner() -> Scanner:
    return Scanner([])


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Scanner, "patterns", (b"abc", b"[0-9]{3}"))
    compiled_gates.make(Scanner([]), tmp_path)
    (form,) = tmp_path.iterdir()
    return form


def test_a_form_is_private_and_used(scanner: Scanner, kept: Path) -> None:
    assert sys.platform == "win32" or kept.stat().st_mode & 0o777 == 0o600
    assert compiled_gates.use(scanner, kept.parent)
    assert scanner.accelerated


def test_without_a_form_the_scanner_stays_as_it_is(scanner: Scanner, tmp_path: Path) -> None:
    assert not compiled_gates.use(scanner, tmp_path)
    assert not compiled_gates.use(scanner, tmp_path / "absent")
    assert not scanner.accelerated


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_damaged_form_is_not_used(scanner: Scanner, kept: Path, place: int) -> None:
    data = bytearray(kept.read_bytes())
    data[place] ^= 0x10
    kept.write_bytes(data)
    assert not compiled_gates.use(scanner, kept.parent)
    assert not scanner.accelerated


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o644])
def test_a_form_that_others_can_reach_is_not_used(scanner: Scanner, kept: Path, mode: int) -> None:
    kept.chmod(mode)
    assert not compiled_gates.use(scanner, kept.parent)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_or_a_directory_in_its_place_holds_nobody_up(scanner: Scanner, kept: Path) -> None:
    import os

    kept.unlink()
    os.mkfifo(kept, 0o600)
    assert not compiled_gates.use(scanner, kept.parent)
    kept.unlink()
    kept.mkdir()
    assert not compiled_gates.use(scanner, kept.parent)


def test_a_form_of_other_gates_is_not_used_and_makes_room(
    scanner: Scanner, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scanner, "patterns", (b"abd",))
    assert not compiled_gates.use(scanner, kept.parent)
    compiled_gates.make(scanner, kept.parent)
    assert not kept.exists()
    assert compiled_gates.use(scanner, kept.parent)
