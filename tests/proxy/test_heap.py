"""The heap is trimmed after large requests, not in their way, and not for small ones."""

import asyncio
import sys

import pytest

from localguard.proxy import heap
from localguard.proxy.heap import Heap, trimmer


class Trims:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> Trims:
    monkeypatch.setattr(heap, "_SOON", 0.01)
    return Trims()


async def test_much_is_given_back_soon_and_once(trims: Trims) -> None:
    watched = Heap(trims)
    for _ in range(9):
        watched.used(1024 * 1024)
    assert trims.count == 0  # never in the way of the request itself
    await asyncio.sleep(0.2)
    assert trims.count == 1


async def test_less_is_given_back_when_nothing_large_comes_for_a_while(
    trims: Trims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "_IDLE", 0.3)
    watched = Heap(trims)
    watched.used(1024 * 1024)
    await asyncio.sleep(0.1)
    assert trims.count == 0
    await asyncio.sleep(0.5)
    assert trims.count == 1


async def test_small_requests_change_nothing(trims: Trims, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_IDLE", 0.0)
    watched = Heap(trims)
    for _ in range(1000):
        watched.used(4096)
    await asyncio.sleep(0.1)
    assert trims.count == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other allocators give memory back by themselves")
def test_the_system_has_what_trims() -> None:
    trim = trimmer()
    if trim is None:
        pytest.skip("this C library has no malloc_trim")
    trim()
