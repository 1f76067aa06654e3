"""Is the log what was written? Numbered steps, each with what it found, and a plain verdict.

What this cannot show without an anchor: whoever controls the machine can rewrite the whole log, every hash and signature
included, or put an older copy of it back, and each step still passes. An anchor is a signed checkpoint that was kept elsewhere;
with one, every change of a record that it covers is found, and what came after it is not.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from localguard.audit import record
from localguard.audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    PublicKey,
    public_key,
    read_checkpoint,
    verify_checkpoint,
)
from localguard.audit.merkle import Frontier, TileNode
from localguard.audit.schema import MIGRATIONS, connect_reader, error_name, schema_version, unavailable

SECTIONS = ("metadata", "findings", "local")


@dataclass(slots=True)
class Step:
    """One thing that was checked. ``problems`` says what is wrong, the first ten; ``failures`` counts all."""

    number: int
    title: str
    result: str = ""
    failures: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return self.failures == 0

    def fail(self, problem: str) -> None:
        """Note one problem."""
        self.failures += 1
        if self.failures <= SHOWN:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found. ``records`` were looked at; ``pruned`` sections could only be checked by their hash."""

    steps: tuple[Step, ...]
    records: int
    pruned: int
    root: bytes
    """Of the tree over all records."""
    anchor: Checkpoint | None = None
    """The largest of the anchors that were given, where the log agrees with all of them."""

    @property
    def consistent(self) -> bool:
        """Whether every step passed."""
        return all(step.passed for step in self.steps)

    @property
    def verdict(self) -> str:
        """One sentence for a person, which says no more than was shown."""
        if self.consistent and self.anchor is not None:
            after = self.records - self.anchor.size
            rest = (
                f" Of the {after} records after it this shows only that they are internally consistent."
                if after
                else ""
            )
            return (
                f"Unchanged since the checkpoint of {self.anchor.time}, which covers {self.anchor.size} records.{rest}"
            )
        if self.consistent:
            return (
                f"Internally consistent: {self.records} records. Without an anchor this does not show that nothing was "
                "rewritten, cut off at the end or rolled back."
            )
        wrong = ", ".join(str(step.number) for step in self.steps if not step.passed)
        return f"NOT consistent: step {wrong} failed. The log was changed or damaged after it was written."

    def __str__(self) -> str:
        """The steps, one a line, their problems indented, then the verdict."""
        lines = []
        for step in self.steps:
            lines.append(f"{step.number}. {'ok  ' if step.passed else 'FAIL'} {step.title}: {step.result}")
            lines += [f"      {problem}" for problem in step.problems]
            if step.failures > len(step.problems):
                lines.append(f"      and {step.failures - len(step.problems)} more")
        return "\n".join([*lines, self.verdict])


def verify(path: Path, *, anchors: Sequence[bytes] = (), progress: Callable[[int, int], None] | None = None) -> Report:
    """Check the log at ``path`` from one snapshot, in bounded memory; a running guard may go on writing.

    ``anchors`` are checkpoints (signed notes) that were kept elsewhere: the log must extend each of them. ``progress`` is called with (records done, records in all) about every 1,000 records. Raises `LogUnavailable` where there
    is no log or it cannot be opened; damage inside it is a failed step.
    """
    connection = connect_reader(path)
    try:
        connection.execute("BEGIN")
        return _Verification(connection, anchors, progress or (lambda done, total: None)).run()
    except sqlite3.Error as error:
        raise unavailable(error, path) from error
    finally:
        connection.close()


class _Verification:
    """The state of one run: the steps so far, and what the pass over the records counts."""

    def __init__(
        self, connection: sqlite3.Connection, anchors: Sequence[bytes], progress: Callable[[int, int], None]
    ) -> None:
        self._connection = connection
        self._anchors = anchors
        self._tree = Frontier()
        self._keys: dict[str, PublicKey] = {}
        """Keys that checkpoints of this log are signed with, by name."""
        self._wanted: set[int] = set()
        """Sizes at which some anchor states a root."""
        self._roots = {0: self._tree.root()}
        self._checkpoints = 0
        self._anchor: Checkpoint | None = None
        self._progress = progress
        self._steps: list[Step] = []
        self._records = 0
        self._pruned = 0

    def run(self) -> Report:
        if self._schema() and self._pages():
            stated = self._read_anchors()
            self._rows()
            self._exchanges()
            self._extends(stated)
        return Report(tuple(self._steps), self._records, self._pruned, self._tree.root(), self._anchor)

    def _step(self, title: str) -> Step:
        step = Step(len(self._steps) + 1, title)
        self._steps.append(step)
        return step

    def _schema(self) -> bool:
        step = self._step("the schema is one that this version knows")
        version = schema_version(self._connection)
        step.result = f"version {version} of {len(MIGRATIONS)}"
        if not 1 <= version <= len(MIGRATIONS):
            step.fail("this log is empty or was written by a newer localguard")
        return step.passed

    def _pages(self) -> bool:
        """The database's own structure; a damaged index could hide a record from a query."""
        step = self._step("the database pages and indexes are sound")
        try:
            for (message,) in self._connection.execute(f"PRAGMA integrity_check({SHOWN})"):
                if message != "ok":
                    step.fail(message)
        except sqlite3.DatabaseError as error:
            step.fail(f"SQLite reports {error_name(error)}")
        step.result = "as SQLite checks them"
        return True

    def _rows(self) -> None:
        gapless = self._step("sequence numbers run from 1 without a gap")
        sections = self._step("every section has the hash that its record states")
        leaves = self._step("every leaf hash follows from its record")
        columns = self._step("kind and indexed ids are those of a record")
        tiles = self._step("the stored nodes are those of the tree over the leaf hashes")
        checkpoints = self._step("every checkpoint is signed and states the root of the records before it")
        stored = _Tiles(self._connection, tiles)  # a log of an older schema gets its tree at the guard's next start
        expected, total = 1, 0
        try:
            (total,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()
            for row in self._connection.execute(_ROWS):
                seq = row[0]
                self._records += 1
                if seq != expected:
                    gapless.fail(f"record {seq} stands where {expected} should")
                expected = seq + 1
                try:
                    if row[1] == "checkpoint":
                        self._checkpoint(row, checkpoints)
                    self._row(row, sections, leaves, columns)
                    stored.compare(self._tree.append(row[5]))
                    if self._tree.size in self._wanted:
                        self._roots[self._tree.size] = self._tree.root()
                except (TypeError, AttributeError, ValueError, RecursionError) as error:
                    columns.fail(f"record {seq}: a column of the wrong type ({type(error).__name__})")
                if self._records % 1_000 == 0:
                    self._progress(self._records, total)
        except sqlite3.DatabaseError as error:
            gapless.fail(f"reading stopped before record {expected}: {error_name(error)}")
        self._progress(self._records, total)
        stored.end()
        tiles.result = f"{stored.compared} nodes"
        checkpoints.result = f"{self._checkpoints} checkpoints, {len(self._keys)} keys"
        gapless.result = leaves.result = columns.result = f"{self._records} records"
        sections.result = f"{3 * self._records - self._pruned} sections, {self._pruned} pruned"

    def _row(self, row: tuple[Any, ...], sections: Step, leaves: Step, columns: Step) -> None:
        seq, kind, time, exchange, session, leaf_hash, *parts = row
        metadata = parts[0]
        for name, text, salt, stated in zip(SECTIONS, parts[0::3], parts[1::3], parts[2::3], strict=True):
            if text is None:
                self._pruned += 1
            elif salt is None or record.section_hash(salt, text) != stated:
                sections.fail(f"record {seq}: {name}")
        if record.leaf_hash(record.leaf(kind, seq, time, *parts[2::3])) != leaf_hash:
            leaves.fail(f"record {seq}")
        if kind not in record.KINDS:
            columns.fail(f"record {seq}: unknown kind")
        if metadata is not None:
            content = orjson.loads(metadata)
            if (content.get("exchange"), content.get("session")) != (exchange, session):
                columns.fail(f"record {seq}: exchange or session")

    def _checkpoint(self, row: tuple[Any, ...], step: Step) -> None:
        self._checkpoints += 1
        if row[6] is None:  # its metadata was pruned
            return
        content = orjson.loads(row[6])
        try:
            key = public_key(str(content["key"]))
            checkpoint = verify_checkpoint(str(content["note"]).encode(), key)
        except (CheckpointInvalid, KeyError) as error:
            step.fail(f"record {row[0]}: {error if isinstance(error, CheckpointInvalid) else 'no signed note'}")
            return
        self._keys[key.name] = key
        if (checkpoint.size, checkpoint.root) != (self._tree.size, self._tree.root()):
            step.fail(f"record {row[0]}: another size or root")

    def _read_anchors(self) -> list[Checkpoint]:
        """The anchors as they state themselves; their signatures are checked once the log's keys are known."""
        stated = []
        for note in self._anchors:
            checkpoint = read_checkpoint(note)
            stated.append(checkpoint)
            self._wanted.add(checkpoint.size)
        return stated

    def _extends(self, stated: Sequence[Checkpoint]) -> None:
        """The log begins with what each anchor covers, and the anchors are signed by a key of this log."""
        if not stated:
            return
        step = self._step("the log extends every anchor")
        step.result = f"{len(stated)} anchors"
        for note, checkpoint in zip(self._anchors, stated, strict=True):
            key = self._keys.get(checkpoint.origin)
            if key is None:
                step.fail(f"the anchor of {checkpoint.size} records is of {checkpoint.origin}, no key of this log")
                continue
            try:
                verify_checkpoint(note, key)
            except CheckpointInvalid as error:
                step.fail(f"the anchor of {checkpoint.size} records: {error}")
                continue
            if checkpoint.size > self._records:
                step.fail(
                    f"the anchor covers {checkpoint.size} records, the log has {self._records}: "
                    "it was cut off, or an older copy was put back"
                )
            elif self._roots.get(checkpoint.size) != checkpoint.root:
                step.fail(
                    f"the first {checkpoint.size} records are not those that the anchor covers: some were rewritten"
                )
        if step.passed:
            self._anchor = max(stated, key=lambda checkpoint: checkpoint.size)

    def _exchanges(self) -> None:
        step = self._step("every intent has an outcome or is still open")
        try:
            (unmatched,) = self._connection.execute(_UNMATCHED).fetchone()
            (known,) = self._connection.execute("SELECT count(*) FROM open_exchanges").fetchone()
            (strays,) = self._connection.execute(_STRAYS).fetchone()
        except sqlite3.DatabaseError as error:
            step.fail(f"SQLite reports {error_name(error)}")
            return
        step.result = f"{unmatched} open"
        if unmatched:
            step.result += " (in flight; they become unknown when the guard next starts, if it died)"
        if unmatched != known:
            step.fail(f"{unmatched} intents without outcome, but {known} are noted as open")
        if strays:
            step.result += f"; {strays} outcomes have no intent before them"


class _Tiles:
    """The stored nodes of the tree, compared in the order in which the tree completes them."""

    def __init__(self, connection: sqlite3.Connection, step: Step) -> None:
        self._connection = connection
        self._step = step
        self._present = schema_version(connection) > 2
        self.compared = 0

    def compare(self, completed: Sequence[TileNode]) -> None:
        for level, position, hash in completed:
            if not self._present:
                return
            self.compared += 1
            if self._read(_TILE, level, position) != hash:
                self._step.fail(f"level {level}, position {position}")

    def end(self) -> None:
        """No nodes may be left that the tree does not have."""
        if not self._present:
            return
        stored = self._read("SELECT count(*) FROM tree_tiles")
        if isinstance(stored, int) and stored > self.compared:
            self._step.fail(f"{stored - self.compared} nodes too many")

    def _read(self, query: str, *values: object) -> object:
        try:
            row = self._connection.execute(query, values).fetchone()
        except sqlite3.DatabaseError as error:
            self._step.fail(f"SQLite reports {error_name(error)}")
            return None
        return row[0] if row else None


SHOWN = 10
_TILE = "SELECT hash FROM tree_tiles WHERE level = ? AND position = ?"
_UNMATCHED = """
    SELECT count(DISTINCT exchange) FROM records AS i WHERE kind = 'intent' AND NOT EXISTS (
        SELECT 1 FROM records AS o WHERE o.exchange = i.exchange AND o.kind IN ('outcome', 'refusal') AND o.seq > i.seq)
"""
_STRAYS = """
    SELECT count(*) FROM records AS o WHERE kind = 'outcome' AND NOT EXISTS (
        SELECT 1 FROM records AS i WHERE i.exchange = o.exchange AND i.kind = 'intent' AND i.seq < o.seq)
"""
_ROWS = (  # text as bytes: the hash is over the stored bytes, whatever they are
    "SELECT seq, kind, time, exchange, session, leaf_hash"
    ", CAST(metadata AS BLOB), metadata_salt, metadata_hash"
    ", CAST(findings AS BLOB), findings_salt, findings_hash"
    ", CAST(local AS BLOB), local_salt, local_hash"
    " FROM records ORDER BY seq"
)
