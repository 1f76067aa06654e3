"""`localguard report` writes what was asked for, where it was asked for, and says what it cannot."""

import csv
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localguard.audit.store import Store
from localguard.config.home import Home
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, WITHHELD
from tests.cli.conftest import RunLocally


@pytest.fixture(autouse=True)
def log(home: Home) -> None:
    """An exchange of this moment, and one of January."""
    home.create()
    for number, moment in enumerate((datetime(2026, 1, 31, 8, tzinfo=UTC), datetime.now(UTC))):
        with Store.open(home.audit_db, clock=lambda moment=moment: moment) as store:  # type: ignore[misc]
            ids = {"exchange": f"x{number}", "session": f"session-{number}"}
            store.append("intent", **ids, metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL)
            store.append("outcome", **ids, metadata=OUTCOME, findings=WITHHELD, local=OUTCOME_LOCAL)


def test_a_page_of_the_last_week_is_the_default(localguard: RunLocally) -> None:
    code, out, _ = localguard("report")
    assert code == 0
    assert out.startswith("<!doctype html>")
    assert "github.com/acme/payments" in out
    assert "x1" in out
    assert "explain x0" not in out


def test_a_document_covers_the_time_that_is_named(localguard: RunLocally) -> None:
    found = json.loads(localguard("report", "--json", "--from", "2026-01-01", "--to", "2026-02-01")[1])
    assert found["totals"]["exchanges"] == 1
    assert found["scope"]["end"].startswith("2026-02-01T00:00:00")
    both = json.loads(localguard("report", "--format", "json", "--since", "2026-01-01")[1])
    assert both["totals"]["exchanges"] == 2
    assert both["verification"]["looked_at"] == "records"


def test_a_session_is_found_by_its_beginning_and_told_whole(localguard: RunLocally) -> None:
    found = json.loads(localguard("report", "--json", "--session", "session-0")[1])
    assert (found["totals"]["exchanges"], found["first"][:10]) == (1, "2026-01-31")
    assert localguard("report", "--json", "--session", "session-")[0] == 2


def test_a_table_goes_to_a_file_for_its_owner_only(localguard: RunLocally, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    code, out, err = localguard("report", "--workspace", "payments", "--format", "csv", "--output", str(file))
    assert (code, out) == (0, "")
    assert "1 exchanges" in err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert ("replaced by type", "GITHUB_TOKEN", "2") in {(row["section"], row["name"], row["value"]) for row in rows}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "soon"), "--since is"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "would end before it begins"),
        (("--session", "nobody"), "no session whose id begins so"),
        (("--output", "/nowhere/report.html"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_wrong_use_in_words(arguments: tuple[str, ...], said: str, localguard: RunLocally) -> None:
    code, _, err = localguard("report", *arguments)
    assert code == 2
    assert said in err


def test_showing_it_needs_a_guard(localguard: RunLocally) -> None:
    code, _, err = localguard("report", "--open", "--port", "1")
    assert code == 3
    assert "guard" in err
