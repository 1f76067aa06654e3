"""Placeholders: `LG_<TYPE>_<TAG>`, what stands in a text upstream where a value stood (design section 7).

TAG is 16 Crockford base32 characters. The first 12 are the top 60 bits of HMAC-SHA256(key, 0 ‖ value), so that one value
always has one tag; the last 4 are the top 20 bits of HMAC-SHA256(key, 1 ‖ TYPE ‖ those 12), so that a workspace knows its
own placeholders without remembering them. A stranger's string passes that check once in a million; it then counts as own
and unknown, and is never turned into anything.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator

from localguard.errors import LocalguardError

PREFIX = "LG_"
MAX_LENGTH = 48
MAX_TYPE_LENGTH = 28
VALUE_TAG_LENGTH = 12
CHECK_LENGTH = 4
TAG_LENGTH = VALUE_TAG_LENGTH + CHECK_LENGTH

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_CROCKFORD = "[0-9A-HJKMNP-TV-Z]"
_TYPE = "[A-Z][A-Z0-9_]{0,27}"

PATTERN = re.compile(f"LG_{_TYPE}_{_CROCKFORD}{{16}}")
"""What a placeholder looks like in `str`; whether it is one of ours only the check says. Greedy: see `match`."""

_TYPE_ONLY = re.compile(_TYPE)
_RUN = re.compile("LG_[A-Z][A-Z0-9_]{0,44}")
_RUN_BYTES = re.compile(_RUN.pattern.encode())
_SPLIT = re.compile(f"_(?={_CROCKFORD}{{{TAG_LENGTH}}})")
_UNFINISHED = re.compile(f"L(?:G(?:_(?:{_TYPE}(?:_{_CROCKFORD}{{0,15}})?)?)?)?")


class TypeInvalid(LocalguardError):
    """A finding's type cannot stand in a placeholder: it is not `[A-Z][A-Z0-9_]{0,27}`."""


def value_tag(key: bytes, value: str) -> str:
    """Return the 12 characters that stand for `value` in the workspace of `key`, whatever its type."""
    mac = hmac.digest(key, b"\0" + value.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return _base32(int.from_bytes(mac[:8]) >> 4, VALUE_TAG_LENGTH)


def make(key: bytes, value: str, type: str) -> str:
    """Return the placeholder of `value` under `type`; raises `TypeInvalid`."""
    return assemble(key, value_tag(key, value), type)


def assemble(key: bytes, tag: str, type: str) -> str:
    """Return the placeholder with the 12 character value tag `tag` under `type`; raises `TypeInvalid`."""
    if _TYPE_ONLY.fullmatch(type) is None:
        raise TypeInvalid(f"a placeholder type is [A-Z][A-Z0-9_]{{0,27}}; got {len(type)} characters that are not")
    return f"{PREFIX}{type}_{tag}{_check(key, type, tag)}"


def verify(key: bytes, placeholder: str) -> bool:
    """Say whether `placeholder`, the whole string, was made with `key`: its check verifies, under any type."""
    if PATTERN.fullmatch(placeholder) is None:
        return False
    type, tag, check = placeholder[3:-17], placeholder[-16:-4], placeholder[-4:]
    return hmac.compare_digest(_check(key, type, tag), check)


def value_tag_of(placeholder: str) -> str:
    """Return the 12 characters of `placeholder` that stand for its value, check and type aside."""
    return placeholder[-TAG_LENGTH:-CHECK_LENGTH]


def match(text: str, start: int, is_own: Callable[[str], bool]) -> int | None:
    """Return the end of the own placeholder that begins at `start`, or None.

    Matched at its length, whatever follows: of several readings (a TYPE may hold underscores) the shortest that `is_own`
    accepts wins, so that the answer is the same whether or not more text has come.
    """
    run = _RUN.match(text, start)
    if run is None:
        return None
    return _shortest(run.group(), start, is_own)


def find(text: str, is_own: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each own placeholder in `text`, leftmost first, not overlapping."""
    position = text.find(PREFIX)
    while position >= 0:
        end = match(text, position, is_own)
        if end is None:
            position = text.find(PREFIX, position + 1)
        else:
            yield position, end
            position = text.find(PREFIX, end)


def find_bytes(text: bytes, is_own: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """`find` in UTF-8 `bytes`; offsets are bytes."""
    position = text.find(b"LG_")
    while position >= 0:
        run = _RUN_BYTES.match(text, position)
        end = None if run is None else _shortest(run.group().decode("ascii"), position, is_own)
        if end is None:
            position = text.find(b"LG_", position + 1)
        else:
            yield position, end
            position = text.find(b"LG_", end)


def may_continue(text: str) -> bool:
    """Say whether the whole of `text` is a proper prefix of something that has a placeholder's form."""
    return _UNFINISHED.fullmatch(text) is not None


def _shortest(run: str, start: int, is_own: Callable[[str], bool]) -> int | None:
    for split in _SPLIT.finditer(run, 4, len(PREFIX) + MAX_TYPE_LENGTH + 1 + TAG_LENGTH):
        end = split.end() + TAG_LENGTH
        if is_own(run[:end]):
            return start + end
    return None


def _check(key: bytes, type: str, tag: str) -> str:
    mac = hmac.digest(key, b"\1" + type.encode("ascii") + tag.encode("ascii"), hashlib.sha256)
    return _base32(int.from_bytes(mac[:3]) >> 4, CHECK_LENGTH)


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (length - 1), -1, -5))
