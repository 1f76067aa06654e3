"""P1 and P2 through the real process: `kill -9` under load, 30 times. `python -m tests.soak` does it 200 times, and longer."""

import os
from pathlib import Path

import pytest

from tests.soak.kills import campaign

KILLS = 30


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_and_nothing_left_unrecorded_by_kill_9_under_load(tmp_path: Path) -> None:
    result = await campaign(tmp_path, KILLS, seed=20260131, shortest=0.02, longest=0.4, a_home=KILLS)
    print(result)
    assert result.problems == [], str(result)
    assert result.kills == KILLS
    assert result.acknowledged >= 5 * KILLS
    assert result.unknown > 0
    if os.getloadavg()[0] <= 2 * (os.cpu_count() or 1):  # else other programs have the processors
        assert sorted(result.back)[len(result.back) // 2] < 2.0
