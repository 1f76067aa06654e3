"""The tamper matrix: which change of a log is found without an anchor, and which only with one. The README's table is this one.

Whoever controls the machine has the device's key too. A forger here rewrites leaves, tree, checkpoints and signatures, and so
leaves a log that is consistent with itself: only a checkpoint that was kept elsewhere shows it.
"""

import itertools
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from localguard.audit import record
from localguard.audit.checkpoint import Checkpoint, DeviceKey, verify_checkpoint
from localguard.audit.merkle import Frontier
from localguard.audit.queries import Log
from localguard.audit.store import Limits, Store
from localguard.audit.verify import Report, verify
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, SetClock

KEY = DeviceKey(bytes(range(32)))
EVERY = 100
NUMBERS = itertools.count()


def append(path: Path, count: int, *, model: str = "gpt-5", key: DeviceKey = KEY) -> None:
    """Add `count` exchanges, and a checkpoint at the end."""
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60, checkpoint_every=EVERY)) as store:
        store.sign_with(key)
        for number in range(count):
            exchange = f"x{next(NUMBERS)}"
            store.append(
                "intent",
                exchange=exchange,
                session="s1",
                metadata={**INTENT, "model": model},
                findings=FINDINGS,
                local=INTENT_LOCAL,
            )
            store.append("outcome", exchange=exchange, session="s1", metadata=OUTCOME)
            if number % 50 == 49:
                store.flush()


def anchor_of(path: Path) -> bytes:
    """The newest checkpoint."""
    with Log(path) as log:
        metadata = log.tail(1, kind="checkpoint")[0].metadata
    assert metadata is not None
    return str(metadata["note"]).encode()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A log of 300 exchanges, and the checkpoint that was kept elsewhere after 150 of them and 5 more after it."""
    path = tmp_path_factory.mktemp("original") / "audit.db"
    append(path, 150)
    anchor = anchor_of(path)
    append(path, 150)
    return path, anchor


@pytest.fixture
def path(original: tuple[Path, bytes], tmp_path: Path) -> Path:
    return Path(shutil.copy(original[0], tmp_path / "audit.db"))


def statement(text: str) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute(text)
        connection.commit()
        connection.close()

    return tamper


def forge(path: Path, first: int, change: Callable[[sqlite3.Connection], None]) -> None:
    """Apply `change`, then make leaves, tree and checkpoints from record `first` on anew, so that everything fits."""
    connection = sqlite3.connect(path)
    change(connection)
    connection.execute("DELETE FROM tree_tiles")
    tree = Frontier()
    for seq, kind, time, *sections in connection.execute(
        "SELECT seq, kind, time, metadata_hash, findings_hash, local_hash FROM records ORDER BY seq"
    ).fetchall():
        if kind == "checkpoint" and seq > first:
            note = KEY.sign(Checkpoint(KEY.public.name, tree.size, tree.root(), time)).decode()
            content: record.Plain = {
                "size": tree.size,
                "note": note,
                "key": KEY.public.encoded(),
                "exchange": None,
                "session": None,
            }
            made = record.seal("metadata", content, bytes(16))
            connection.execute(
                "UPDATE records SET metadata = ?, metadata_salt = ?, metadata_hash = ? WHERE seq = ?",
                (made.text.decode(), made.salt, made.hash, seq),
            )
            sections[0] = made.hash
        leaf = record.leaf_hash(record.leaf(kind, seq, time, *sections))
        connection.execute("UPDATE records SET leaf_hash = ? WHERE seq = ?", (leaf, seq))
        connection.executemany("INSERT INTO tree_tiles VALUES (?, ?, ?)", tree.append(leaf))
    connection.commit()
    connection.close()


def rewrite(seq: int) -> Callable[[Path], None]:
    """Another model stands in one record, and all hashes and signatures fit."""

    def change(connection: sqlite3.Connection) -> None:
        (text, salt) = connection.execute(
            "SELECT metadata, metadata_salt FROM records WHERE seq = ?", (seq,)
        ).fetchone()
        forged = text.replace("gpt-5", "gpt-4")
        assert forged != text
        made = record.section_hash(salt, forged.encode())
        connection.execute("UPDATE records SET metadata = ?, metadata_hash = ? WHERE seq = ?", (forged, made, seq))

    return lambda path: forge(path, seq, change)


def cut(path: Path, keep: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM records WHERE seq > ?", (keep,))
    connection.execute("DELETE FROM tree_tiles WHERE (position + 1) << (8 * level) > ?", (keep,))
    connection.execute(
        "INSERT INTO open_exchanges SELECT exchange, session FROM records AS i WHERE kind = 'intent' AND NOT EXISTS"
        " (SELECT 1 FROM records AS o WHERE o.exchange = i.exchange AND o.kind = 'outcome')"
    )
    connection.commit()
    connection.close()


def older(path: Path) -> None:
    """An older copy is put back, and the guard goes on with it."""
    path.unlink()
    append(path, 100)
    append(path, 300, model="gpt-4")


def another_key(path: Path) -> None:
    """The whole log is written anew by another device."""
    path.unlink()
    append(path, 300, key=DeviceKey(bytes(32)))


def swap(path: Path) -> None:
    """Two records change places, and all hashes and signatures fit."""

    def change(connection: sqlite3.Connection) -> None:
        for one, other in ((8, -9), (9, -8)):
            connection.execute("UPDATE records SET seq = ? WHERE seq = ?", (other, one))
        connection.execute("UPDATE records SET seq = -seq WHERE seq < 0")

    forge(path, 8, change)


def insert(path: Path) -> None:
    """A record that never was stands among the others, and all hashes and signatures fit."""

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE records SET seq = -(seq + 1) WHERE seq > 9")
        connection.execute("UPDATE records SET seq = -seq WHERE seq < 0")
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(records)")][1:]
        copied = ", ".join(columns)
        connection.execute(f"INSERT INTO records (seq, {copied}) SELECT 10, {copied} FROM records WHERE seq = 9")
        connection.execute("UPDATE records SET kind = 'control', exchange = NULL, session = NULL WHERE seq = 10")
        made = record.seal("metadata", {"event": "start", "exchange": None, "session": None}, bytes(16))
        connection.execute(
            "UPDATE records SET metadata = ?, metadata_salt = ?, metadata_hash = ? WHERE seq = 10",
            (made.text.decode(), made.salt, made.hash),
        )

    forge(path, 8, change)


def put_back(path: Path) -> None:
    """An older copy of the same log is put back: of the time before the anchor."""
    cut(path, 200)


def flip(path: Path) -> None:
    """One bit of the file, in the text of a record."""
    content = bytearray(path.read_bytes())
    place = content.rindex(b'"agent":"codex"')
    content[place + 10] ^= 1
    path.write_bytes(content)


CHANGES: dict[str, tuple[Callable[[Path], None], bool, bool]] = {
    # what is done: found without an anchor, found with one
    "nothing": (lambda path: None, False, False),
    "one bit of the file": (flip, True, True),
    "a section": (statement("UPDATE records SET local = local || ' ' WHERE seq = 9"), True, True),
    "a record's time": (statement("UPDATE records SET time = '2025' || substr(time, 5) WHERE seq = 9"), True, True),
    "a record's exchange or session": (statement("UPDATE records SET session = 's2' WHERE seq = 9"), True, True),
    "a leaf hash": (statement("UPDATE records SET leaf_hash = randomblob(32) WHERE seq = 9"), True, True),
    "a record in the middle deleted": (statement("DELETE FROM records WHERE seq = 9"), True, True),
    "two records swapped": (
        statement("UPDATE records SET seq = CASE seq WHEN 9 THEN -11 WHEN 11 THEN -9 END WHERE seq IN (9, 11)"),
        True,
        True,
    ),
    "a stored node of the tree": (
        statement("UPDATE tree_tiles SET hash = randomblob(32) WHERE position = 0"),
        True,
        True,
    ),
    "a stored node deleted": (statement("DELETE FROM tree_tiles WHERE position = 0"), True, True),
    "a checkpoint's time or signature": (
        statement(
            "UPDATE records SET metadata = replace(metadata, 'time 2026', 'time 2025') WHERE kind = 'checkpoint'"
        ),
        True,
        True,
    ),
    "a record below the anchor, everything re-signed": (rewrite(9), False, True),
    "two records below the anchor swapped, everything re-signed": (swap, False, True),
    "a record put in below the anchor, everything re-signed": (insert, False, True),
    "the end cut off, below the anchor": (lambda path: cut(path, 200), False, True),
    "an older copy put back, from before the anchor": (put_back, False, True),
    "an older copy put back and gone on with": (older, False, True),
    "everything written anew with another key": (another_key, False, True),
    "a record above the anchor, everything re-signed": (rewrite(401), False, False),
    "the end cut off, above the anchor": (lambda path: cut(path, 400), False, False),
    "a section dropped, as pruning does": (
        statement("UPDATE records SET local = NULL, local_salt = NULL WHERE seq = 9"),
        False,
        False,
    ),
    "what budgets count (`charges`)": (statement("UPDATE charges SET reserved = '0', cost = '0'"), False, False),
}


def table() -> str:
    """The matrix as the README prints it."""
    rows = [
        f"| {name} | {'found' if alone else 'not found'} | {'found' if anchored else 'not found'} |"
        for name, (_, alone, anchored) in CHANGES.items()
        if name != "nothing"
    ]
    return "\n".join(["| what is changed | without an anchor | with one |", "|---|---|---|", *rows])


def test_the_matrix_in_the_readme_is_this_one() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    _, _, behind = readme.partition("<!-- tamper matrix: ")
    assert behind.partition("-->\n")[2].partition("\n\n")[0] == table()


def found(report: Report) -> bool:
    return not report.consistent


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_or_honestly_not(name: str, path: Path, original: tuple[Path, bytes]) -> None:
    change, without, with_anchor = CHANGES[name]
    change(path)
    alone, anchored = verify(path), verify(path, anchors=[original[1]])
    assert (found(alone), found(anchored)) == (without, with_anchor), f"{alone}\n{anchored}"
    if not without:
        assert "does not show that nothing was rewritten" in alone.verdict
    if not with_anchor:
        assert anchored.verdict.startswith("Unchanged since the checkpoint of ")
        assert "only that they are internally consistent" in anchored.verdict


def test_an_anchor_that_somebody_else_signed_is_none(path: Path, original: tuple[Path, bytes]) -> None:
    checkpoint = verify_checkpoint(original[1], KEY.public)
    forged = DeviceKey(bytes(32)).sign(checkpoint)
    report = verify(path, anchors=[forged])
    assert found(report)
    assert "not signed by this device's key" in str(report)


def test_a_checkpoint_is_signed_after_so_many_records_and_at_the_end(path: Path) -> None:
    with Log(path) as log:
        seqs = [one.seq for one in log.tail(100, kind="checkpoint")]
        last = log.tail(1)[0]
    assert seqs[-1] == last.seq
    assert all(later - earlier <= 2 * EVERY for earlier, later in zip([0, *seqs], seqs, strict=False))


def test_without_a_key_nothing_is_signed_and_with_nothing_new_no_second_time(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    for signing in (False, True, True):
        with Store.open(path, clock=SetClock()) as store:
            if signing:
                store.sign_with(KEY)
            elif not path.exists() or not store.signs:
                store.append("control", metadata={"event": "start"}).result(10)
    with Log(path) as log:
        assert log.count_by_kind() == {"checkpoint": 1, "control": 1}


def test_a_checkpoint_on_request_covers_everything_before_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.sign_with(KEY)
        store.append("control", metadata={"event": "start"})
        store.checkpoint()
        assert verify_checkpoint(anchor_of(path), KEY.public).size == 1
        store.checkpoint()
        with Log(path) as log:
            assert log.count_by_kind()["checkpoint"] == 1
