"""`localguard allow`: wrong use is told before anything is let through."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localguard.config.allow_list import AllowEntry, AllowList
from localguard.config.home import Home
from tests.cli.conftest import RunLocally


def entry(fingerprint: str = "ab" * 12, expires: str | None = None) -> AllowEntry:
    return AllowEntry(fingerprint, "SECRET", "w", "why", "me", "2026-01-01T00:00:00Z", expires)


@pytest.mark.parametrize(
    ("expires", "moment", "current"),
    [
        (None, "2030-01-01T00:00:00+00:00", True),
        ("2026-02-01T00:00:00Z", "2026-01-31T23:59:59+00:00", True),
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00+00:00", False),
        ("2026-02-01T00:00:00", "2026-01-01T00:00:00+00:00", False),
        ("soon", "2026-01-01T00:00:00+00:00", False),
    ],
)
def test_an_entry_holds_until_its_expiry_and_never_on_a_broken_one(
    expires: str | None, moment: str, current: bool
) -> None:
    assert entry(expires=expires).is_current(datetime.fromisoformat(moment).astimezone(UTC)) is current


def test_an_entry_is_removed_by_the_beginning_of_its_fingerprint_if_that_names_one(
    localguard: RunLocally, home: Home
) -> None:
    home.create()
    AllowList(home).add([entry("aa11" + "0" * 20), entry("aa22" + "0" * 20)])
    assert localguard("allow", "remove", "aa")[0] == 2
    assert localguard("allow", "remove", "ff")[0] == 2
    assert localguard("allow", "remove", "aa1")[0] == 0
    assert [one["fingerprint"][:4] for one in json.loads(localguard("allow", "list", "--json")[1])] == ["aa22"]


def test_an_unknown_exchange_is_wrong_use(localguard: RunLocally, home: Home) -> None:
    code, _, err = localguard("allow", "add", "--from-exchange", "xnone", "--reason", "r")
    assert code in (1, 2)
    assert "log" in err


@pytest.mark.parametrize("period", ["3 days", "0d", "d", "-1d", "1y"])
def test_a_period_that_is_none_is_wrong_use(localguard: RunLocally, work: Path, period: str) -> None:
    (work / "b.json").write_text('{"results": {}}')
    assert localguard("allow", "import", "b.json", "--expires", period)[0] == 2


def test_a_file_that_is_no_baseline_is_wrong_use(localguard: RunLocally, work: Path) -> None:
    (work / "b.json").write_text("[]")
    code, _, err = localguard("allow", "import", "b.json")
    assert code == 2
    assert "no baseline" in err
