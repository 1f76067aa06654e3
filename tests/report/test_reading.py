"""A report reads the log as it lies on disk: the same figures as from the records, and an honest word about the log."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.outcomes import compare, works_of
from localguard.audit.queries import Log
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.report.figures import Figures, Scope
from localguard.report.reading import read
from tests.report.made_log import told, write
from tests.report.test_fold import EVER, FIGURES


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "audit.db"
    write(path, told(400))
    return path


def figures(path: Path, scope: Scope = EVER, whole: bool | None = None) -> Figures:
    return read(path, scope, version="1", made="2026-11-01T00:00:00Z", whole=whole)


def test_the_log_on_disk_gives_the_figures_of_its_records(log: Path) -> None:
    made = figures(log)
    for name in ("totals", "redactions", "refusals", "flows", "values", "keys", "by_bucket", "by_model", "failures"):
        assert getattr(made, name) == getattr(FIGURES, name), name


def test_only_the_time_that_was_asked_for_counts(log: Path) -> None:
    part = figures(log, Scope("2026-03-05T00:00:00", "2026-03-08T00:00:00"))
    assert part.redactions.step == "hour"
    assert {slot[:10] for slot in part.redactions.slots} <= {"2026-03-05", "2026-03-06", "2026-03-07"}
    assert 0 < part.totals.exchanges < FIGURES.totals.exchanges
    before, after = (figures(log, Scope(*ends)) for ends in (("", "2026-03-05"), ("2026-03-05", "2027")))
    assert before.totals.exchanges + after.totals.exchanges == FIGURES.totals.exchanges
    assert figures(log, Scope("2031", "2032")).totals.records == 0


def test_a_session_is_reported_on_alone(log: Path) -> None:
    with Log(log) as opened:
        session = opened.sessions(1)[0][0]
        records = opened.session(session)
    made = figures(log, Scope("", "2027", session=session))
    assert made.totals.sessions == 1
    assert made.totals.exchanges == len({one.exchange for one in records if one.exchange})


def test_outcomes_are_those_that_compare_tells(log: Path) -> None:
    made = figures(log)
    assert set(made.outcomes) == {"workflow", "model", "endpoint"}
    with Log(log) as opened:
        rated = {one.session for one in opened.tail(100_000, kind="control")}
        works = [work for work in works_of(opened.in_sessions()) if work.session in rated]
    assert list(made.outcomes["model"]) == compare(works, "model")


def test_the_log_is_verified_whole_if_asked_for(log: Path) -> None:
    made = figures(log, whole=True).verification
    assert (made.looked_at, made.good) == ("records", True)
    assert "Internally consistent" in made.said
    assert all(passed for passed, _ in made.steps)
    assert figures(log).verification.looked_at == "records"  # it is not long


def test_without_a_checkpoint_nothing_is_claimed(log: Path) -> None:
    made = figures(log, whole=False).verification
    assert (made.looked_at, made.good) == ("nothing", True)
    assert "not hashed anew" in made.said


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    path = tmp_path / "audit.db"
    write(path, told(20))
    with Store.open(path, clock=lambda: datetime(2026, 3, 9, tzinfo=UTC)) as store:
        store.sign_with(DeviceKey(bytes(32)))
        store.checkpoint()
    return path


def test_the_newest_checkpoint_is_checked_against_the_tree(signed: Path) -> None:
    made = figures(signed, whole=False).verification
    assert (made.looked_at, made.good) == ("checkpoint", True)
    assert "records themselves were not hashed anew" in made.said
    with sqlite3.connect(signed) as connection:
        connection.execute("UPDATE records SET leaf_hash = zeroblob(32) WHERE seq = 3")
    assert not figures(signed, whole=False).verification.good


def test_a_changed_record_shows_in_the_report(signed: Path) -> None:
    with sqlite3.connect(signed) as connection:
        connection.execute("UPDATE records SET metadata = replace(metadata, '\"gpt-5\"', '\"gpt-6\"')")
    made = figures(signed, whole=True).verification
    assert (made.looked_at, made.good) == ("records", False)
    assert "NOT consistent" in made.said


def test_progress_reaches_the_end(log: Path) -> None:
    seen: list[tuple[int, int]] = []
    read(log, EVER, version="1", made="", whole=False, progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0


def test_a_log_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="no audit log yet"):
        figures(tmp_path / "audit.db")
