"""A turn at an endpoint is given back by everybody who got one, however they go."""

import asyncio
from dataclasses import replace

import pytest

from localguard.policy.model import Endpoint, EndpointClass, EndpointLimits
from localguard.proxy.refusals import Refused
from localguard.proxy.traffic import Traffic

ENDPOINT = Endpoint(
    name="one",
    kind="openai",
    base_url="http://127.0.0.1:9",
    endpoint_class=EndpointClass.HOSTED,
    limits=EndpointLimits(at_once=1, wait=0.2),
)


@pytest.mark.parametrize("ends", ["cancelled", "timed out"])
async def test_who_goes_in_the_moment_in_which_the_turn_comes_gives_it_back(ends: str) -> None:
    traffic, endpoint = Traffic(), replace(ENDPOINT, limits=replace(ENDPOINT.limits, wait=0.05))
    leave = await traffic.turn(endpoint, "w", "first")
    second = asyncio.create_task(traffic.turn(endpoint, "w", "second"))
    await asyncio.sleep(0)
    if ends == "timed out":
        loop = asyncio.get_running_loop()
        loop.call_later(0.03, leave)
        until = loop.time() + 0.1
        while loop.time() < until:  # a busy loop: when it looks again, both the turn and the end of the wait are there
            pass
    else:
        leave()
        second.cancel()
    with pytest.raises(Refused if ends == "timed out" else asyncio.CancelledError):
        await second
    (await traffic.turn(endpoint, "w", "third"))()
