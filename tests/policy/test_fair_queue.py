"""Endpoints with limits: never more than they allow, and no workspace waits for all of another's."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.fair_queue import FairQueue

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["join", "leave", "give up"]), st.floats(0, 20)))


@given(STEPS, st.integers(1, 4), st.integers(1, 6))
def test_limits_hold_and_nobody_who_may_go_waits(
    steps: list[tuple[str, str, float]], at_once: int, per_minute: int
) -> None:
    queue, now = FairQueue(at_once, per_minute), 0.0
    running, begun, waiting = 0, list[float](), list[tuple[str, str]]()
    for number, (workspace, what, passed) in enumerate(steps):
        now += passed
        if what == "join":
            queue.join(str(number), workspace)
            waiting.append((str(number), workspace))
        elif what == "leave" and running:
            queue.leave()
            running -= 1
        elif what == "give up" and waiting:
            queue.withdraw(*waiting.pop(0))
        for ticket in queue.next_turns(now):
            waiting = [one for one in waiting if one[0] != ticket]
            running += 1
            begun.append(now)
        lately = sum(one > now - 60 for one in begun)
        assert running <= at_once
        assert lately <= per_minute
        assert not waiting or running == at_once or lately == per_minute


def test_workspaces_take_turns() -> None:
    queue = FairQueue(1, None)
    for number in range(100):
        queue.join(f"many-{number}", "busy")
    queue.join("one-0", "quiet")
    queue.join("one-1", "quiet")
    order = []
    for _ in range(6):
        order += queue.next_turns(0.0)
        queue.leave()
    assert order == ["many-0", "one-0", "many-1", "one-1", "many-2", "many-3"]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
def test_every_ticket_has_its_turn_once_in_the_order_of_its_workspace(joined: list[str]) -> None:
    queue = FairQueue(1, None)
    for number, workspace in enumerate(joined):
        queue.join(f"{workspace}{number:03}", workspace)
    order: list[str] = []
    while turns := queue.next_turns(0.0):
        order += turns
        queue.leave()
    assert Counter(order) == Counter(f"{workspace}{number:03}" for number, workspace in enumerate(joined))
    for workspace in "abcd":
        mine = [ticket for ticket in order if ticket.startswith(workspace)]
        assert mine == sorted(mine)


def test_it_says_when_time_makes_room() -> None:
    queue = FairQueue(None, 2)
    for number in range(3):
        queue.join(str(number), "w")
    assert queue.next_turns(10.0) == ["0", "1"]
    assert queue.due(15.0) == 55.0
    assert queue.next_turns(69.9) == []
    assert queue.next_turns(70.0) == ["2"]
    assert queue.due(70.0) is None
