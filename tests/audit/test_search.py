"""Search finds records by words of their metadata, follows the log, and forgets what was pruned."""

import stat
import sys
from pathlib import Path

from localguard.audit.record import timestamp
from localguard.audit.retention import Retention
from localguard.audit.search import Search
from localguard.audit.store import Store
from tests.audit.samples import INTENT, INTENT_LOCAL, OUTCOME, SetClock


def append(path: Path, *models: str) -> None:
    with Store.open(path, clock=SetClock()) as store:
        for model in models:
            exchange = f"x-{model}"
            store.append(
                "intent",
                exchange=exchange,
                metadata={**INTENT, "model": model, "price_source": "none"},
                local=INTENT_LOCAL,
            )
            store.append("outcome", exchange=exchange, metadata={**OUTCOME, "model": model})


def found(path: Path, text: str) -> list[str | None]:
    with Search(path) as index:
        index.update()
        return [one.exchange for one in index.find(text) if one.kind == "intent"]


def test_all_words_must_stand_in_the_metadata(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    append(path, "gpt-5", "claude-9")
    assert found(path, "gpt-5") == ["x-gpt-5"]
    assert found(path, "gpt-5 payments-eng") == ["x-gpt-5"]
    assert found(path, "claude* incident") == ["x-claude-9"]
    assert found(path, "gpt-5 claude-9") == []
    assert found(path, "") == []
    assert found(path, 'model" OR "x') == []
    append(path, "gpt-6")
    assert found(path, "gpt*") == ["x-gpt-5", "x-gpt-6"]


def test_what_is_local_is_not_in_the_index(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    append(path, "gpt-5")
    assert found(path, "incident/42") == []
    index = path.with_name("search.db")
    assert b"github.com" not in index.read_bytes()
    if sys.platform != "win32":
        assert stat.S_IMODE(index.stat().st_mode) == 0o600


def test_pruned_words_are_forgotten_and_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    path, clock = tmp_path / "audit.db", SetClock()
    append(path, "gpt-5")
    assert found(path, "gpt-5") == ["x-gpt-5"]
    clock.move(days=1)
    with Store.open(path, clock=clock) as store:
        store.prune(Retention(("metadata",), ("intent",)), timestamp(clock()))
    append(path, "gpt-6")
    assert found(path, "gpt-5") == []
    path.with_name("search.db").write_bytes(b"no database at all" * 100)
    assert found(path, "gpt-6") == ["x-gpt-6"]
