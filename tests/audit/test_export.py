"""An exported record proves itself, whatever is not disclosed; nothing that was changed does."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.export import COLUMNS, ExportInvalid, check_lines, export_lines, export_table
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, SetClock

KEY = DeviceKey(bytes(range(32)))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.sign_with(KEY)
        for number in range(300):
            store.append("intent", exchange=f"x{number}", metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL)
            store.append("outcome", exchange=f"x{number}", metadata={**OUTCOME, "error": "=cmd()"})
    return path


@pytest.mark.parametrize("disclosed", [("metadata", "findings", "local"), ("metadata",), ()])
def test_every_record_is_proven_at_each_level_of_disclosure(path: Path, disclosed: tuple[str, ...]) -> None:
    lines = list(export_lines(path, disclosed=disclosed))
    assert check_lines(lines, KEY.public) == 600
    first = json.loads(lines[0])
    for name in ("metadata", "findings", "local"):
        assert ("content" in first[name]) is (name in disclosed)
    if "local" not in disclosed:
        assert "github.com/acme" not in "".join(lines)


def test_a_part_of_the_log_is_proven_by_itself(path: Path) -> None:
    lines = list(export_lines(path, after=590))
    assert check_lines(lines) == 10
    assert check_lines([lines[3], lines[-1]]) == 1


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda line: line["metadata"]["content"].update(model="gpt-4"),
    lambda line: line.update(seq=line["seq"] + 2),
    lambda line: line.update(time="2020-01-01T00:00:00.000000Z"),
    lambda line: line.update(kind="control"),
    lambda line: line["proof"].pop(),
    lambda line: line["local"].update(salt="00" * 16),
    lambda line: line.pop("findings"),
    lambda line: line.update(leaf="00" * 32),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_changed_line_is_found(path: Path, number: int) -> None:
    *records, checkpoint = export_lines(path, after=590)
    line = json.loads(records[2])
    CHANGES[number](line)
    with pytest.raises(ExportInvalid, match="line 3"):
        check_lines([*records[:2], json.dumps(line), *records[3:], checkpoint])


def test_another_devices_checkpoint_proves_nothing(path: Path) -> None:
    with pytest.raises(ExportInvalid, match="another device"):
        check_lines(list(export_lines(path)), DeviceKey(bytes(32)).public)
    for last in ("{}", "[]", "nothing"):
        with pytest.raises(ExportInvalid, match="no checkpoint"):
            check_lines([last])


def test_without_a_checkpoint_there_is_no_proof(tmp_path: Path) -> None:
    with Store.open(tmp_path / "audit.db", clock=SetClock()) as store:
        store.append("control", metadata={"event": "start"}).result(10)
    with pytest.raises(LogUnavailable, match="no checkpoint"):
        list(export_lines(tmp_path / "audit.db"))


def test_the_table_reads_as_csv_and_holds_no_formula(path: Path) -> None:
    rows = list(csv.DictReader(export_table(path)))
    assert len(rows) == 601
    assert set(rows[0]) == set(COLUMNS)
    assert (rows[0]["model"], rows[0]["seq"], rows[1]["cost_usd"]) == ("gpt-5", "1", "0.123400")
    assert rows[1]["error"] == "'=cmd()"
