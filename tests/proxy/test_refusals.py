"""Which status an agent is told a refusal with: one on which it sends once and shows the text."""

import re
from pathlib import Path

import pytest

import localguard
from localguard.proxy import refusals
from localguard.proxy.refusals import for_agent, status_for
from localguard.wire.refusal import Refusal

USED = {
    int(found)
    for file in Path(localguard.__file__).parent.joinpath("proxy").glob("*.py")
    for found in re.findall(r"(?:[Rr]efusal|Refused)\(\s*(4\d\d|5\d\d)\b", file.read_text("utf-8"))
}
"""The statuses that the guard's own refusals are written with."""


def test_the_guard_s_own_statuses_are_seen() -> None:
    assert {400, 403, 404, 426, 500, 503} <= USED


@pytest.mark.parametrize("status", sorted(USED | {500, 502, 504}))
def test_codex_gets_the_one_status_that_it_takes_as_final_and_shows(status: int) -> None:
    assert status_for("codex", status) == (426 if status == 426 else 400)


@pytest.mark.parametrize("status", sorted(USED))
def test_agents_that_are_not_known_get_the_status_as_it_is(status: int) -> None:
    assert status_for(None, status) == status_for("claude-code", status) == status


def test_a_failed_network_keeps_its_status_for_everybody() -> None:
    failed = Refusal(502, "upstream_failed", "upstream", "x", "y", "network")
    assert for_agent(failed, "codex") is failed
    assert for_agent(refusals.INTERNAL, "codex").status == 400
