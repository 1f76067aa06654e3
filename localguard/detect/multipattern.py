"""Hundreds of patterns looked for at once by Hyperscan, where it is installed.

What it says only points, unless a pattern could be said exactly: RE2 has the last word on every other match, and goes alone
where there is no Hyperscan, no compiled form of these patterns, or a text that matches so often that telling of it would
cost more than RE2 does.

Rules of this module: no disk, and a compiled form is loaded only after its digest and what it was made of and for are
those of this process. A scan releases the GIL and takes time linear in the text.
"""

import hashlib
import json
import platform
import struct
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final

from localguard import __version__
from localguard.detect.expressions import alternatives, drawn, expression, is_exact, line_breaks
from localguard.detect.rules import compile_pattern

_FORMAT: Final = 4
_HEAD: Final = struct.Struct(">8s32sI")
_MAGIC: Final = b"lgmulti\n"
_SCANNED: Final = 1_000  # matches that any piece of text may have before it is left to RE2
_DENSE: Final = 32  # and further ones, one in so many bytes
_MOST: Final = 20_000  # but no more than these


_DRAWN: Final = 64  # texts that each pattern is tried with
_BEFORE: Final = b"-" * 20  # what stands around them
_AFTER: Final = b""
_LONG: Final = 4_000  # characters of an expression that is given by its alternatives


class Unusable(ValueError):
    """No compiled form, or one of other patterns, another engine, another platform, or damaged."""


def available() -> bool:
    """Whether Hyperscan is installed and runs on this processor."""
    return _engine() is not None


def digest(patterns: Sequence[bytes]) -> str:
    """What a compiled form of `patterns` is known by: it changes with them, with the engine and with the platform."""
    hashed = hashlib.sha256(repr((_FORMAT, __version__, _version(), sys.platform, platform.machine())).encode())
    for source in patterns:
        hashed.update(struct.pack(">I", len(source)) + source)
    return hashed.hexdigest()


def compiled(patterns: Sequence[bytes]) -> bytes:
    """A compiled form of RE2 patterns, for `Matcher`. Takes seconds. Raises Unusable where there is no Hyperscan."""
    engine = _engine()
    if engine is None:
        raise Unusable("hyperscan is not installed")
    numbered = [one for number, pattern in enumerate(patterns) for one in _numbered(number, pattern)]
    database = _database(engine, numbered)
    if database is None:
        too_large = {one[0] for one in numbered if _database(engine, [one]) is None}
        numbered = [one for one in numbered if one[0] not in too_large]
        database = _database(engine, numbered)
    if database is None:
        raise Unusable("hyperscan takes none of the patterns")
    found = {number for number, _ in numbered}
    found -= _missed(engine, database, found, patterns)
    refused = sorted(set(range(len(patterns))) - found)
    exact = [number for number in sorted(found) if is_exact(patterns[number])]
    on_a_line = [number for number in exact if line_breaks(patterns[number]) == 0]
    about = {"digest": digest(patterns), "refused": refused, "exact": exact, "on_a_line": on_a_line}
    head = json.dumps(about).encode()
    body: bytes = struct.pack(">I", len(head)) + head + engine.dumpb(database)
    return _HEAD.pack(_MAGIC, hashlib.sha256(body).digest(), len(body)) + body


class Matcher:
    """The compiled form of some patterns. Thread-safe."""

    def __init__(self, patterns: Sequence[bytes], form: bytes) -> None:
        """Raises Unusable unless `form` is what `compiled(patterns)` gave for this engine and platform."""
        engine = _engine()
        if engine is None:
            raise Unusable("hyperscan is not installed")
        about, database = _read(form, digest(patterns))
        self._engine = engine
        self.refused = frozenset(about["refused"])
        """Numbers of patterns that Hyperscan does not take, or was seen to miss: what it says of them is not all."""
        self.exact = frozenset(about["exact"])
        """Numbers of patterns that RE2 finds, too, in every text in which they are found."""
        self.on_a_line = frozenset(about["on_a_line"])
        """Those of them whose matches hold no line break."""
        try:
            self._database = engine.loadb(database, engine.HS_MODE_BLOCK)
            self._scratch = engine.Scratch(self._database)
        except engine.error as error:
            raise Unusable(str(error)) from None
        self._threads = threading.local()

    def ends(self, text: Any) -> list[tuple[int, int]] | None:
        """The number of each pattern that may match in `text` (bytes or a view of them), with where the match may end.

        In no order. For every match of a pattern there is an end of its number inside of it or at its end, and there may
        be others. None where they are too many to tell.
        """
        found: list[tuple[int, int]] = []
        most = min(_MOST, _SCANNED + len(text) // _DENSE)

        def told(number: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            found.append((number, end))
            return len(found) > most

        scratch = self._threads.__dict__.get("scratch")
        if scratch is None:
            scratch = self._threads.scratch = self._scratch.clone()
        try:
            self._database.scan(text, match_event_handler=told, scratch=scratch)
        except self._engine.ScanTerminated:
            return None
        return found


def _database(engine: Any, numbered: Sequence[tuple[int, bytes]]) -> Any:
    """A database of numbered expressions; None where there are none or one of them is refused."""
    if not numbered:
        return None
    database = engine.Database(mode=engine.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[source for _, source in numbered],
            ids=[number for number, _ in numbered],
            flags=[0] * len(numbered),
        )
    except engine.error:
        return None
    return database


def _missed(engine: Any, database: Any, numbers: Iterable[int], patterns: Sequence[bytes]) -> set[int]:
    """The numbers of patterns that RE2 finds in a text drawn from them, and the database does not.

    Vectorscan 5.4.12 skips some pairs of bytes that stand sixteen bytes into a text or further (its issue 358), which
    pairs depending on the pattern and on all that it is compiled with: so the whole database is tried.
    """
    scratch = engine.Scratch(database)
    told = set[int]()

    def tell(number: int, *_: object) -> None:
        told.add(number)

    missed = set[int]()
    for number in numbers:
        for sample in drawn(patterns[number], _DRAWN):
            text = _BEFORE + sample + _AFTER
            told.clear()
            database.scan(text, match_event_handler=tell, scratch=scratch)
            if number not in told and compile_pattern(patterns[number]).search(text) is not None:
                missed.add(number)
                break
    return missed


def _numbered(number: int, pattern: bytes) -> list[tuple[int, bytes]]:
    """The expression of a pattern, or one for each alternative of a long one: Hyperscan takes no pattern that is too large by itself."""
    source = expression(pattern)
    if source is None:
        return []
    parts = alternatives(pattern) if len(source) > _LONG else []
    if not parts or max(map(len, parts)) > _LONG:
        parts = [source]
    return [(number, part) for part in parts]


def _read(form: bytes, expected: str) -> tuple[dict[str, Any], bytes]:
    """What is known of the patterns, and the database. Nothing is believed before the checksum is right."""
    if len(form) < _HEAD.size + 4:
        raise Unusable("cut short")
    magic, checksum, size = _HEAD.unpack_from(form)
    body = memoryview(form)[_HEAD.size :]
    if magic != _MAGIC or size != len(body) or hashlib.sha256(body).digest() != checksum:
        raise Unusable("damaged")
    (length,) = struct.unpack_from(">I", body)
    about = json.loads(bytes(body[4 : 4 + length]))
    if about["digest"] != expected:
        raise Unusable("compiled for something else")
    return about, bytes(body[4 + length :])


def _engine() -> Any:
    try:
        import hyperscan
    except ImportError:
        return None
    return hyperscan


def _version() -> str:
    engine = _engine()
    return "" if engine is None else str(engine.__version__)
