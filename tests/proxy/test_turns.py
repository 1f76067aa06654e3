"""Requests that come at once take turns, so that replies go on in between."""

import asyncio

from localguard.proxy.turns import Turns


async def test_the_first_goes_on_without_waiting() -> None:
    taking = Turns().take()
    try:
        taking.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def test_the_loop_turns_between_two_that_came_together() -> None:
    turns, loop = Turns(), asyncio.get_running_loop()
    seen: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(count)

    async def work() -> None:
        await turns.take()
        seen.append(turn)

    loop.call_soon(count)
    await asyncio.gather(*(work() for _ in range(20)))
    assert len(set(seen)) == 20


async def test_so_many_go_on_at_once_as_may() -> None:
    turns, loop = Turns(at_once=4), asyncio.get_running_loop()
    seen: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(count)

    async def work() -> None:
        await turns.take()
        seen.append(turn)

    loop.call_soon(count)
    await asyncio.gather(*(work() for _ in range(20)))
    assert [seen.count(one) for one in dict.fromkeys(seen)] == [4] * 5
    assert not turns.crowded


async def test_they_go_on_in_the_order_in_which_they_came() -> None:
    turns = Turns()
    order: list[int] = []

    async def work(number: int) -> None:
        await turns.take()
        order.append(number)

    await asyncio.gather(*(work(number) for number in range(9)))
    assert order == [*range(9)]


async def test_one_that_gives_up_keeps_nobody_waiting() -> None:
    turns = Turns()
    await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    async with asyncio.timeout(2):
        await waiting[2]
        await waiting[3]
        await asyncio.sleep(0.01)
        await turns.take()
