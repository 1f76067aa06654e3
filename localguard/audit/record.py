"""One record of the audit log as canonical bytes: sections, salts, leaf. Pure: randomness, time and seq are passed in.

    section hash = SHA-256(salt ‖ canonical(section))           salt: 128 random bits, one for each section
    leaf         = canonical({kind, seq, time, metadata: H, findings: H, local: H})      H: the section hash in lower-case hex
    leaf hash    = SHA-256(0x00 ‖ leaf)                         RFC 6962 section 2.1

Because the leaf covers hashes only, a section can be dropped, or handed out with its salt, and the leaf still proves the rest.
The salts keep a dropped section from being guessed. canonical() is RFC 8785 (JSON Canonicalization Scheme).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import orjson
import rfc8785

from localguard.errors import LocalguardError

Kind = Literal["intent", "outcome", "refusal", "control", "checkpoint"]
KINDS: tuple[str, ...] = get_args(Kind)

SALT_BYTES = 16
MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
MAX_SECTION_BYTES = 16 * 1024 * 1024

Plain: TypeAlias = "str | int | bool | list[Plain] | dict[str, Plain] | None"
"""What a section may hold once `plain` has checked it."""

Scrub = Callable[[str], str]
"""The last safety net: takes a text that is about to be recorded and returns it without raw values. Must be thread-safe.

One that also has `is_clean(texts: Sequence[bytes]) -> bool` is asked of all texts of a record at once, keys included and as
JSON spells them, whether scrubbing them would change nothing.
"""


class RecordInvalid(LocalguardError):
    """A record holds what cannot be recorded: the message names the path (``metadata.usage.input``), never the value."""


class Section(NamedTuple):
    """One section, ready to be stored: its canonical JSON, its salt (16 bytes) and its hash (32 bytes)."""

    text: bytes
    salt: bytes
    hash: bytes


def seal(name: str, content: Plain, salt: bytes) -> Section:
    """The section ``name``, canonical and hashed; ``content`` is what `plain` returned.

    Raises `RecordInvalid` beyond 16 MiB.
    """
    text = canonical(content)
    if len(text) > MAX_SECTION_BYTES:
        raise RecordInvalid(f"{name}: {len(text)} bytes; a section holds at most {MAX_SECTION_BYTES}")
    return Section(text, salt, section_hash(salt, text))


class Sealed(NamedTuple):
    """The three sections of a record, and the ids that its metadata and the indexed columns share, as they are recorded."""

    sections: tuple[Section, Section, Section]
    exchange: str | None
    session: str | None


def seal_record(
    metadata: Mapping[str, object],
    findings: Sequence[object],
    local: Mapping[str, object],
    ids: Mapping[str, str | None],
    salts: bytes,
    scrub: Scrub | None,
) -> Sealed:
    """`seal` of what `plain` makes of each section, with ``ids`` (exchange and session) in ``metadata``; 48 bytes of salts.

    A record that orjson writes as it is, with nothing in it that `plain` would change or refuse, needs no copy: the same
    bytes, faster. Raises `RecordInvalid`.
    """
    salt = (salts[:SALT_BYTES], salts[SALT_BYTES : 2 * SALT_BYTES], salts[2 * SALT_BYTES :])
    texts = _as_they_are(({**metadata, **ids}, findings, local), scrub)
    if texts is None:
        exchange, session = (text and clean(text, name, scrub) for name, text in ids.items())
        described = plain_object(metadata, "metadata", scrub) | {"exchange": exchange, "session": session}
        sections = (
            seal("metadata", described, salt[0]),
            seal("findings", plain(findings, "findings", scrub), salt[1]),
            seal("local", plain(local, "local", scrub), salt[2]),
        )
        return Sealed(sections, exchange, session)
    first, second, third = (Section(text, one, section_hash(one, text)) for text, one in zip(texts, salt, strict=True))
    return Sealed((first, second, third), **ids)


def _as_they_are(sections: Sequence[object], scrub: Scrub | None) -> list[bytes] | None:
    """The canonical JSON of each section if it is plain and clean already, else None."""
    is_clean = getattr(scrub, "is_clean", None)
    if is_clean is None:
        return None
    try:
        texts = [orjson.dumps(section, option=_AS_PLAIN) for section in sections]
    except (orjson.JSONEncodeError, TypeError):
        return None
    whole = b"\n".join(texts)
    if (
        len(whole) > MAX_SECTION_BYTES
        or not whole.isascii()
        or b"://" in whole
        or (whole.count(b"{") + whole.count(b"[") > MAX_DEPTH and _DEEP.search(whole) is not None)
        or not _is_plain(sections)
    ):
        return None
    # without a backslash every second piece between quotes is a text
    strings = whole.split(b'"')[1::2] if b"\\" not in whole else _STRING.findall(whole)
    try:
        return texts if is_clean(strings) else None
    except Exception as error:
        raise RecordInvalid(f"the record could not be scrubbed ({type(error).__name__})") from None


def _is_plain(sections: Sequence[object]) -> bool:
    """Whether no value is of another type than `plain` returns, tuples aside: orjson takes more, and writes infinity as null."""
    waiting: list[Any] = [*sections]
    while waiting:
        value = waiting.pop()
        items = value.values() if type(value) is dict else value
        kinds = set(map(type, items)) - _LEAVES
        if kinds:
            if not kinds <= _HOLDERS:
                return False
            waiting += [item for item in items if type(item) in _HOLDERS]
    return True


_LEAVES = frozenset({str, int, bool, type(None)})
_HOLDERS = frozenset({dict, list, tuple})
_AS_PLAIN = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_STRING = re.compile(rb'"((?:[^"\\]++|\\.)*+)"')
_DEEP = re.compile(rb"(?:[\[{][^\[\]{}]*+){8}")
"""Eight levels begun in a row: more than any record of ours has, so looked at by `plain`."""
_PLAINLY = re.compile(r"[\w.:-]*", re.ASCII)


def section_hash(salt: bytes, text: bytes) -> bytes:
    """SHA-256(salt ‖ text), 32 bytes; ``text`` is the section's canonical JSON."""
    return hashlib.sha256(salt + text).digest()


def leaf(kind: str, seq: int, time: str, metadata: bytes, findings: bytes, local: bytes) -> bytes:
    """The leaf of a record: canonical JSON over kind, seq, time and the three section hashes (32 bytes each)."""
    if _PLAINLY.fullmatch(kind) and _PLAINLY.fullmatch(time):  # as all that are written are
        fields = f'"kind":"{kind}","local":"{local.hex()}","metadata":"{metadata.hex()}","seq":{seq},"time":"{time}"'
        return b'{"findings":"%s",%s}' % (findings.hex().encode(), fields.encode())
    return canonical(
        {
            "kind": kind,
            "seq": seq,
            "time": time,
            "metadata": metadata.hex(),
            "findings": findings.hex(),
            "local": local.hex(),
        }
    )


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf), 32 bytes: the Merkle tree hash of one entry (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def canonical(value: Plain) -> bytes:
    """The canonical JSON (RFC 8785) of a value that `plain` returned.

    Without floats, RFC 8785 is compact JSON with sorted keys, which orjson writes 20 times faster than the reference does.
    The order differs for keys beyond ASCII (UTF-8 against UTF-16 order), so the reference writes those.
    """
    fast = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return fast if fast.isascii() or _ascii_keys(value) else rfc8785.dumps(value)


def plain(value: object, path: str, scrub: Scrub | None = None) -> Plain:
    """A copy of ``value`` in plain JSON types, every text and object key scrubbed and without the userinfo of URLs.

    Tuples become lists, string enumerations their value; a lone surrogate is written as its escape, so that a path which is
    no UTF-8 can be recorded. Raises `RecordInvalid` naming the ``path`` of what cannot be recorded: floats, integers from
    2^53, other types, keys that are no strings, more than 32 levels, a text on which the scrub itself failed (its exception
    is dropped, since it may carry the text).
    """
    return _plain(value, path, scrub, 0)


def plain_object(value: Mapping[str, object], path: str, scrub: Scrub | None = None) -> dict[str, Plain]:
    """The same as `plain` for an object."""
    return _plain_object(value, path, scrub, 0)


def clean(text: str, path: str, scrub: Scrub | None) -> str:
    """One text as it may be recorded; `plain` applies this to every string. Raises `RecordInvalid` if the scrub fails."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    text = without_userinfo(text)
    if scrub is None:
        return str.__str__(text)
    try:
        return str.__str__(scrub(text))
    except Exception as error:
        raise RecordInvalid(f"{path}: the text could not be scrubbed ({type(error).__name__})") from None


def as_recorded(texts: Mapping[str, str], scrub: Scrub | None) -> dict[str, str]:
    """Texts by name as `clean` gives them, for whoever is shown them before the log is. Raises `RecordInvalid`."""
    if scrub is None or _as_they_are((texts,), scrub) is not None:
        return dict(texts)
    return {name: clean(text, name, scrub) for name, text in texts.items()}


def without_userinfo(text: str) -> str:
    """``text`` with the userinfo of every URL in it taken out: ``https://user:password@host/x`` becomes ``https://host/x``.

    Linear in the length of the text. The user of ``git@host:path`` stays: it is no credential.
    """
    return _USERINFO.sub("", text) if "://" in text and "@" in text else text


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, ``2026-01-31T08:15:00.000000Z``. A time without zone is a `ValueError`."""
    if moment.tzinfo is None:
        raise ValueError("a record's time needs a time zone")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"  # without "+00:00"


# From "://" up to the last "@" before the authority ends; runs cannot overlap, since each ends before the next "/".
_USERINFO = re.compile(r"(?<=://)[^/\s?#\"'<>]*@")


def _plain(value: object, path: str, scrub: Scrub | None, depth: int) -> Plain:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return clean(value, path, scrub)
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise RecordInvalid(f"{path}: an integer of 2^53 or more; write it as a string")
        return int(value)
    if depth >= MAX_DEPTH:
        raise RecordInvalid(f"{path}: more than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _plain_object(value, path, scrub, depth)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{index}]", scrub, depth + 1) for index, item in enumerate(value)]
    if isinstance(value, float):
        raise RecordInvalid(f"{path}: a float; money and durations are strings or whole numbers")
    raise RecordInvalid(f"{path}: a value of type {type(value).__name__} is no JSON")


def _plain_object(value: Mapping[Any, object], path: str, scrub: Scrub | None, depth: int) -> dict[str, Plain]:
    result: dict[str, Plain] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise RecordInvalid(f"{path}: an object key of type {type(key).__name__}; keys are strings")
        name = clean(key, path, scrub)
        if name in result:
            raise RecordInvalid(f"{path}: two object keys became the same when they were scrubbed")
        result[name] = _plain(item, f"{path}.{name}", scrub, depth + 1)
    return result


def _ascii_keys(value: Plain) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _ascii_keys(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_ascii_keys, value))
