"""What a workspace's files say is confidential: learnt before the first request, as far as there is time."""

import asyncio
import time
from pathlib import Path

import pytest

from localguard.detect.finding import DataClass, Finding
from localguard.exchange.memory import WorkspaceMemory
from localguard.proxy import knowledge
from localguard.proxy.knowledge import Knowledge
from localguard.redact.vault import Vault

VALUES = [f"Zq8vorUnk9{number:03}x" for number in range(6)]


def detect(text: bytes) -> list[Finding]:
    """The first word of a file, slowly where the file is long."""
    time.sleep(len(text) / 100_000)
    end = text.index(b" ")
    return [Finding(0, end, "PASSWORD", DataClass.SECRET, "test/rule", True)]


@pytest.fixture
def memory() -> WorkspaceMemory:
    return WorkspaceMemory(Vault(b"k" * 32), lambda value: f"fp{len(value)}")


def known(memory: WorkspaceMemory) -> list[str]:
    return [value for value in VALUES if memory.vault.sweep(f"say {value}!".encode())]


async def test_a_request_waits_for_small_files_and_not_for_many_large_ones(
    memory: WorkspaceMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "_READ_SECONDS", 0.2)
    monkeypatch.setattr(knowledge, "_SLICE_SECONDS", 0.01)
    for number, value in enumerate(VALUES):
        (tmp_path / f"{number}.pem").write_text(value + " " * (20_000 if number < 4 else 10))
    learning = Knowledge(detect)
    begun = time.monotonic()
    await learning.refresh(memory, (tmp_path,), ())
    assert time.monotonic() - begun < 1.0
    assert set(VALUES[4:]) <= set(known(memory))
    assert len(known(memory)) < len(VALUES)
    (tmp_path / "4.pem").write_text("Other8vorUnk9 x")
    for _ in range(100):
        if len(known(memory)) == len(VALUES):
            break
        await asyncio.sleep(0.1)
        await learning.refresh(memory, (tmp_path,), ())
    assert known(memory) == VALUES


async def test_a_file_that_went_before_it_was_read_is_let_go(
    memory: WorkspaceMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "_READ_SECONDS", 0.0)
    monkeypatch.setattr(knowledge, "_SLICE_SECONDS", 0.01)
    for number in range(2):
        (tmp_path / f"{number}.pem").write_text(VALUES[number] + " ")
    learning = Knowledge(detect)
    await learning.refresh(memory, (tmp_path,), ())
    (tmp_path / "0.pem").unlink()
    await asyncio.sleep(0.5)
    assert known(memory) in ([VALUES[1]], VALUES[:2])
