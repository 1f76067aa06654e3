"""The campaigns of `tests.soak` against the log, in short; `python -m tests.soak CAMPAIGN` runs them long."""

from pathlib import Path

from tests.soak.damage import CHANGES, damage
from tests.soak.faults import faults, locks
from tests.soak.power_cuts import power_cuts


def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path) -> None:
    result = power_cuts(tmp_path, 40, seed=20260131)
    print(result)
    assert not result.problems
    assert result.cuts == 40
    assert result.acknowledged > 100


def test_a_log_that_is_not_synced_is_seen_to_lose_records(tmp_path: Path) -> None:
    result = power_cuts(tmp_path, 20, seed=20260131, synchronous=False)
    assert any("are lost" in problem for problem in result.problems)


def test_a_disk_that_is_full_or_fails_refuses_and_the_log_goes_on(tmp_path: Path) -> None:
    result = faults(tmp_path, 40, seed=20260131)
    print(result)
    assert not result.problems
    assert set(result.faults) == {"full", "write error", "sync error"}
    assert result.acknowledged > 160
    assert result.refused.total() > 10


def test_another_process_s_lock_refuses_and_the_log_goes_on(tmp_path: Path) -> None:
    result = locks(tmp_path, 15, seed=20260131)
    print(result)
    assert not result.problems
    assert result.refused.total() > 0


def test_every_change_of_a_record_below_an_anchor_is_found(tmp_path: Path) -> None:
    result = damage(tmp_path, 10 * len(CHANGES), seed=20260131)
    print(result)
    assert not result.problems
    for kind in ("forged and re-signed", "rolled back"):  # a whole forgery looks like a log: only the anchor shows it
        assert result.found[kind] == 10
        assert result.alone[kind] == 0
