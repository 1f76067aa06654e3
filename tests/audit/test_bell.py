"""The writer wakes for whoever waits, and for what is due, and else sleeps."""

import asyncio
import threading
import time
from collections.abc import Callable

from localguard.audit.bell import NEVER, Bell


def waited(bell: Bell, meanwhile: Callable[[], None], due: Callable[[], float] = lambda: NEVER) -> float:
    """Seconds that `wait` took while another thread did something; a failure where it never returned."""
    began = time.monotonic()
    other = threading.Timer(0.05, meanwhile)
    other.start()
    waiter = threading.Thread(target=bell.wait, args=(due,), daemon=True)
    waiter.start()
    waiter.join(5)
    assert not waiter.is_alive()
    other.join()
    return time.monotonic() - began


def test_a_ring_is_heard_whether_it_comes_before_or_while_the_writer_waits() -> None:
    for look in (0.01, 60.0):  # at rest, and while it looks by itself
        bell = Bell(company=0.0, look=look)
        assert waited(bell, bell.ring) >= 0.05
        assert bell.urgent
        assert waited(bell, lambda: None) < 5  # still rung


def test_what_comes_due_later_is_waited_for_though_nobody_rings() -> None:
    bell, due = Bell(company=0.0, look=0.02), [NEVER]

    def note() -> None:
        due[0] = time.monotonic() + 0.05
        bell.nudge_if_resting()

    assert waited(bell, note, lambda: due[0]) >= 0.1
    assert not bell.urgent


def test_a_turn_of_a_loop_rings_once_and_a_crowd_is_waited_for_as_long_as_it_may() -> None:
    rings: list[float] = []

    class Counting(Bell):
        def ring(self) -> None:
            rings.append(time.monotonic())

    async def turns() -> None:
        bell = Counting(company=0.05, look=1.0)
        for _ in range(5):
            bell.ring_after_turn(crowded=False)
        await asyncio.sleep(0.01)
        assert len(rings) == 1
        began = time.monotonic()
        for _ in range(5):
            bell.ring_after_turn(crowded=True)
        await asyncio.sleep(0.2)
        assert len(rings) == 2
        assert rings[1] - began >= 0.045
        bell.ring_after_turn(crowded=True)
        bell.ring_after_turn(crowded=False)
        await asyncio.sleep(0.2)
        assert len(rings) == 3

    asyncio.run(turns())
