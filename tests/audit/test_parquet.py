"""The Parquet export proves itself as the lines do, and DuckDB reads it."""

from pathlib import Path

import duckdb
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.export import ExportInvalid, check_lines, export_lines
from localguard.audit.parquet import ParquetMissing, check_parquet, export_parquet
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, SetClock

KEY = DeviceKey(bytes(range(32)))
EXCHANGES = 1_200


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parquet") / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.sign_with(KEY)
        for number in range(EXCHANGES):
            store.append(
                "intent", exchange=f"x{number}", session="s", metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL
            )
            store.append("outcome", exchange=f"x{number}", session="s", metadata=OUTCOME)
    return path


@pytest.fixture(scope="module")
def exported(path: Path) -> Path:
    return written(path, path.with_name("log.parquet"))


def rows(query: str) -> list[tuple[object, ...]]:
    relation = duckdb.sql(query)
    assert relation is not None
    return relation.fetchall()


def written(path: Path, target: Path, disclosed: tuple[str, ...] = ("metadata", "findings", "local")) -> Path:
    with target.open("wb") as file:
        export_parquet(path, file, disclosed=disclosed)
    return target


def test_every_row_is_proven_and_they_are_the_lines(path: Path, exported: Path) -> None:
    assert (
        check_parquet(exported, KEY.public).records == check_lines(list(export_lines(path)), KEY.public) > 2 * EXCHANGES
    )


def test_duckdb_reads_rows_numbers_sections_and_the_checkpoint(exported: Path) -> None:
    assert rows(
        "SELECT count(*), count(DISTINCT exchange), sum(total_ms), sum(cost_usd::DECIMAL(18, 6))::VARCHAR"
        f" FROM '{exported}' WHERE kind = 'outcome'"
    ) == [(EXCHANGES, EXCHANGES, 12_345 * EXCHANGES, f"{EXCHANGES * 0.1234:.6f}")]
    assert rows(f"SELECT DISTINCT local->>'repository' FROM '{exported}' WHERE kind = 'intent'") == [
        ("github.com/acme/payments",)
    ]
    assert rows(f"SELECT min(octet_length(leaf)), max(len(proof)) > 8 FROM '{exported}'") == [(32, True)]
    keys = rows(f"SELECT decode(key) FROM parquet_kv_metadata('{exported}')")
    assert {("localguard.checkpoint",), ("localguard.key",)} <= set(keys)


def test_what_is_not_disclosed_stands_by_hash_and_is_proven_all_the_same(path: Path, tmp_path: Path) -> None:
    target = written(path, tmp_path / "m.parquet", ("metadata",))
    assert check_parquet(target, KEY.public).records > 2 * EXCHANGES
    table = parquet.read_table(target)
    assert table["local"].null_count == table["local_salt"].null_count == table.num_rows
    assert b"github.com/acme" not in target.read_bytes()
    bare = written(path, tmp_path / "bare.parquet", ())
    assert check_parquet(bare).records > 2 * EXCHANGES
    assert parquet.read_table(bare)["exchange"].null_count == table.num_rows


def test_memory_does_not_grow_with_the_log(exported: Path) -> None:
    with parquet.ParquetFile(exported) as file:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert max(sizes) == 1_000


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("model", "gpt-4"),
        ("exchange", "x7"),
        ("total_ms", 1),
        ("kind", "control"),
        ("seq", 11),
        ("local", '{"files":[]}'),
        ("leaf", bytes(32)),
        ("proof", [bytes(32)]),
    ],
)
def test_a_changed_cell_is_found(exported: Path, tmp_path: Path, column: str, value: object) -> None:
    table = parquet.read_table(exported).slice(0, 12)
    cells = table.to_pylist()
    cells[3][column] = value
    parquet.write_table(arrow.Table.from_pylist(cells, table.schema), tmp_path / "changed.parquet")
    with pytest.raises(ExportInvalid, match=r"row 4|damaged"):
        check_parquet(tmp_path / "changed.parquet")


def test_a_foreign_file_or_checkpoint_proves_nothing(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportInvalid, match="another device"):
        check_parquet(exported, DeviceKey(bytes(32)).public)
    parquet.write_table(arrow.table({"seq": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    for name in ("other.parquet", "text.parquet", "none.parquet"):
        with pytest.raises(ExportInvalid, match="no export"):
            check_parquet(tmp_path / name)


def test_without_a_checkpoint_or_without_pyarrow_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path / "audit.db", clock=SetClock()) as store:
        store.append("control", metadata={"event": "start"}).result(10)
    with pytest.raises(LogUnavailable, match="no checkpoint"):
        written(tmp_path / "audit.db", tmp_path / "x.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ParquetMissing, match="extra `parquet`"):
        written(tmp_path / "audit.db", tmp_path / "x.parquet")
