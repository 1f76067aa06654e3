"""The values of one workspace and their placeholders, in memory only."""

import itertools
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from localguard.errors import LocalguardError
from localguard.redact import placeholder as placeholders
from localguard.redact.encodings import Embedded, embedded_spellings, token_spellings, widened
from localguard.redact.sweep import Level, Pattern, Sweep, core_of, occurrences
from localguard.redact.views import views

MAX_VALUES = 200_000
MAX_BYTES = 64 * 1024 * 1024
CLASS_ORDER = ("secret", "custom", "pii")
"""Data classes, strictest first: of a value with several the strictest counts."""
_ENTRY_OVERHEAD = 400  # bytes of a dictionary slot, an entry and its strings, beside the value itself; measured
_MAX_CORES = 20_000

_LETTER_RUN = re.compile(r"[A-Za-z0-9]{16,}")


class TagCollision(LocalguardError):
    """Two values of this workspace have the same 60 bit tag: one placeholder cannot stand for both. Refuse the request."""


@dataclass(frozen=True, slots=True)
class Known:
    """A value that this process knows. `repr` does not show the value."""

    value: str = field(repr=False)
    type: str
    data_class: str
    guarded: bool = False
    """It is a credential that never leaves in a text, whatever policy lets pass."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a known value stands in a text: byte offsets, half open, and the placeholder of exactly that slice."""

    start: int
    end: int
    placeholder: str
    type: str
    data_class: str


@dataclass(slots=True)
class _Entry:
    known: Known
    placeholder: str
    swept: bool
    passes: bool = False
    """It would be swept, but may leave for now."""


class Vault:
    """Values and placeholders of one workspace: one value, one type, one placeholder.

    Thread-safe: every method may be called from the loop and from worker threads. Values never appear in `repr`, in
    exceptions or on disk. Bounded by `MAX_VALUES` and `MAX_BYTES`; what was used longest ago is forgotten first, and its
    placeholder is then own but unknown until its value comes by again.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = threading.RLock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # by tag
        self._tags: dict[str, str] = {}  # of the values in `_entries`
        self._bytes = 0
        self._sweep = Sweep()
        self._is_allowed: Callable[[str], bool] | None = None
        self._cores: list[tuple[bytes, ...]] = []
        self._cores_forgotten = 0
        self._guarded: frozenset[bytes] = frozenset()  # swept spellings of guarded values
        self._stricter: dict[bytes, str] = {}  # by swept spelling, the class of what was first known as a laxer one

    def __repr__(self) -> str:
        return f"<Vault of {len(self._entries)} values>"

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def generation(self) -> int:
        """A number that grows with every distinctive value learnt."""
        return self._cores_forgotten + len(self._cores)

    @property
    def unswept(self) -> int:
        """How many patterns were given up because more are known than a sweep can hold; 0 but in extremes."""
        return self._sweep.dropped

    def placeholder_for(self, value: str, type: str, *, data_class: str, distinctive: bool) -> str:
        """Remember `value` and return its placeholder.

        The type under which a value was first known stays, as does its class unless a stricter one is given;
        `distinctive` is taken from whoever says so first.
        Raises `TagCollision`, and `TypeInvalid` if `type` cannot stand in a placeholder.
        """
        tag = self._tag(value)
        with self._lock:
            entry = self._entries.get(tag)
            if entry is None:
                known = Known(value, type, data_class)
                entry = _Entry(known, placeholders.assemble(self._key, tag, type), swept=False)
                self._entries[tag] = entry
                self._tags[value] = tag
                self._bytes += _weight(value)
                self._forget_oldest()
            elif entry.known.value != value:
                raise TagCollision(
                    "two values have the same placeholder; rotate the workspace key or remove one of them"
                )
            else:
                self._entries.move_to_end(tag)
                if _rank(data_class) < _rank(entry.known.data_class):
                    self._tighten(entry, data_class)
            if distinctive and not entry.swept and not entry.passes:
                self._sweep_unless_allowed(entry)
            return entry.placeholder

    def add_known(
        self,
        value: str,
        type: str,
        *,
        data_class: str = "secret",
        distinctive: bool | None = None,
        guarded: bool = False,
    ) -> str | None:
        """Remember a value that was not found in a text but seen in a credential's position; return its placeholder.

        Without `distinctive` the value is judged by `looks_distinctive`, and one that is not (a dummy key such as
        `ollama`) is not remembered: None. A `guarded` one is looked for even where its class may pass.
        """
        if distinctive is None:
            distinctive = looks_distinctive(value)
            if not distinctive:
                return None
        made = self.placeholder_for(value, type, data_class=data_class, distinctive=distinctive)
        if guarded:
            self._guard(value)
        return made

    def resolve(self, placeholder: str) -> Known | None:
        """Return what `placeholder`, an own one, stands for; None if it is no own one or its value is not known.

        It is looked up by the part of its tag that stands for the value: the type may have been another before a restart.
        """
        with self._lock:
            tag = placeholders.value_tag_of(placeholder)
            entry = self._entries.get(tag)
            if entry is None or not (entry.placeholder == placeholder or placeholders.verify(self._key, placeholder)):
                return None
            self._entries.move_to_end(tag)
            return entry.known

    def let_pass(self, is_allowed: Callable[[str], bool] | None) -> None:
        """Look for no value that `is_allowed` says yes to, from now on, and again for those that an earlier one let pass.

        None lets none pass. Their placeholders stay theirs.
        """
        with self._lock:
            self._is_allowed = is_allowed
            stopped = [one for one in self._entries.values() if one.swept and self._may_pass(one.known.value)]
            for entry in stopped:
                self._sweep.remove([pattern.text for pattern in _patterns(entry.known)])
                entry.swept, entry.passes = False, True
            for entry in [one for one in self._entries.values() if one.passes]:
                self._sweep_unless_allowed(entry)

    def knows(self, value: str) -> bool:
        """Say whether exactly `value` has a placeholder already."""
        return value in self._tags

    def is_own(self, placeholder: str) -> bool:
        """Say whether the check of `placeholder` verifies, whether or not its value is known."""
        entry = self._entries.get(placeholders.value_tag_of(placeholder))
        if entry is not None and entry.placeholder == placeholder:
            return True
        return placeholders.verify(self._key, placeholder)

    def own_spans(self, text: bytes) -> list[tuple[int, int]]:
        """Return (start, end), byte offsets, of each own placeholder in `text`, sorted, not overlapping."""
        return list(placeholders.find_bytes(text, self.is_own))

    def shown(self, text: str) -> str:
        """`text` for a person to read: placeholders instead of the distinctive values that it holds."""
        raw = text.encode("utf-8", "replace")
        shown, position = bytearray(), 0
        for span in self.sweep(raw):
            shown += raw[position : span.start] + span.placeholder.encode()
            position = span.end
        shown += raw[position:]
        return shown.decode("utf-8", "replace")

    def tags_starting(self, prefix: str) -> bool:
        """Say whether some known value's tag begins with `prefix` (1 to 12 characters); linear in the values known."""
        with self._lock:
            return any(tag.startswith(prefix) for tag in self._entries)

    def cores_since(self, generation: int) -> tuple[bytes, ...]:
        """Return, for each distinctive value learnt after `generation`, bytes without which it cannot occur in a text.

        A text that was clean at `generation` and holds none of them, in plain or JSON-escaped spelling, is clean now; JSON
        that writes `\\/` or ASCII as `\\u00xx` is another matter.
        An empty byte string (in every text) stands for what cannot be told: then sweep again.
        """
        with self._lock:
            first = generation - self._cores_forgotten
            if first < 0:
                return (b"",)
            return tuple(dict.fromkeys(itertools.chain.from_iterable(self._cores[first:])))

    def may_hold(self, raw: bytes) -> bool:
        """Whether a distinctive value may stand in `raw`, told by what `cores_since` would answer for all of them."""
        with self._lock:
            levels = self._sweep.levels(len(raw))
        return any(level.may_hold(raw) for level in levels)

    def sweep(
        self, text: bytes, without: Collection[str] = (), own: Sequence[tuple[int, int]] | None = None
    ) -> list[Span]:
        """Return where distinctive known values stand in `text` at token boundaries, sorted, not overlapping.

        Values of the data classes in `without` are not looked for. Own placeholders (`own`, if they were asked for before)
        are not looked into, and are no boundaries: what is left beside one was no token of its own when it was put in (P5). Values that overlap each other become one span, whose value is the union and whose class the
        strictest. Raises `TagCollision`.
        """
        with self._lock:
            levels = self._sweep.levels(len(text))
            stricter = dict(self._stricter) if self._stricter else self._stricter
            guarded = self._guarded if without else _NOTHING
        if not levels:
            return []
        edges = [0, *itertools.chain.from_iterable(self.own_spans(text) if own is None else own), len(text)]
        hits: list[tuple[int, int, Pattern, str]] = []
        for start, end, pattern in _found(levels, text, edges):
            data_class = stricter.get(pattern.text, pattern.data_class)
            if data_class not in without or pattern.text in guarded:
                hits.append((start, end, pattern, data_class))
        for view in views(text):
            for start, end, pattern in _found(levels, view.text, [0, len(view.text)]):
                stands = view.back(start, end) if pattern.embedded is not None or not view.joined else None
                data_class = stricter.get(pattern.text, pattern.data_class)
                passes = data_class in without and pattern.text not in guarded
                if stands is not None and not passes and not _touches(edges, *stands):
                    hits.append((*stands, replace(pattern, embedded=_IN_DISGUISE), data_class))
        if not hits:
            return []
        hits.sort(key=lambda hit: (hit[0], -hit[1]))
        spans: list[Span] = []
        start, end, pattern, data_class = hits[0]
        plain = pattern.embedded is None  # what an encoded spelling covers is found by that again
        for other_start, other_end, other, other_class in [*hits[1:], (len(text) + 1, 0, hits[0][2], "")]:
            if other_start < end:
                end = max(end, other_end)
                data_class = min(data_class, other_class, key=_rank)
                plain = plain or other.embedded is None or end > other_end
                continue
            value = text[start:end].decode("utf-8", "surrogatepass")
            made = self.placeholder_for(value, pattern.type, data_class=data_class, distinctive=plain)
            spans.append(Span(start, end, made, pattern.type, data_class))
            start, end, pattern, data_class = other_start, other_end, other, other_class
            plain = pattern.embedded is None
        return spans

    def _tighten(self, entry: _Entry, data_class: str) -> None:
        """A value turns out to be of a stricter class: it is looked for as such in every text, old ones too."""
        entry.known = replace(entry.known, data_class=data_class)
        if entry.swept:
            patterns = _patterns(entry.known)
            for pattern in patterns:
                self._stricter[pattern.text] = data_class
            self._learn_cores(patterns)

    def _guard(self, value: str) -> None:
        with self._lock:
            entry = self._entries.get(self._tag(value))
            if entry is None or entry.known.guarded:
                return
            entry.known = replace(entry.known, guarded=True)
            if entry.swept:
                patterns = _patterns(entry.known)
                self._guarded = self._guarded.union(pattern.text for pattern in patterns)
                self._learn_cores(patterns)  # what was looked through under laxer rules is looked through again

    def _may_pass(self, value: str) -> bool:
        return self._is_allowed is not None and self._is_allowed(value)

    def _sweep_unless_allowed(self, entry: _Entry) -> None:
        entry.passes = self._may_pass(entry.known.value)
        entry.swept = not entry.passes
        if entry.swept:
            self._start_sweeping(entry.known)

    def _start_sweeping(self, known: Known) -> None:
        self._learn_cores([pattern for pattern in _patterns(known) if self._sweep.add(pattern)])

    def _learn_cores(self, patterns: Sequence[Pattern]) -> None:
        """A new generation, with what tells texts that may hold one of `patterns`."""
        if not patterns:
            return
        cores = dict.fromkeys(core_of(pattern.text) for pattern in patterns)
        plain = next((core for core in cores), b"")
        self._cores.append(tuple(core for core in cores if core == plain or plain not in core))
        if len(self._cores) > _MAX_CORES:
            self._cores_forgotten += len(self._cores) // 2
            del self._cores[: len(self._cores) // 2]

    def _forget_oldest(self) -> None:
        while len(self._entries) > 1 and (len(self._entries) > MAX_VALUES or self._bytes > MAX_BYTES):
            _, entry = self._entries.popitem(last=False)
            del self._tags[entry.known.value]
            self._bytes -= _weight(entry.known.value)

    def _tag(self, value: str) -> str:
        return self._tags.get(value) or placeholders.value_tag(self._key, value)


_NOTHING: frozenset[bytes] = frozenset()
_IN_DISGUISE = Embedded(b"", 0, 0)


def _found(levels: Sequence[Level], text: bytes, edges: Sequence[int]) -> Iterator[tuple[int, int, Pattern]]:
    """Where patterns stand between each pair of `edges`, with the characters beside that hold some of the value."""
    regions = [(low, high) for low, high in _pairs(edges) if low < high]
    for level in levels:
        for low, high in regions:
            for start, end, pattern in occurrences(level, text, low, high):
                if pattern.embedded is not None:
                    start, end = widened(text, start, end, pattern.embedded, low, high)
                yield start, end, pattern


def _touches(edges: Sequence[int], start: int, end: int) -> bool:
    """Whether a span touches what lies between the pairs of `edges`."""
    return any(low < end and start < high for low, high in _pairs(edges[1:-1]))


def _patterns(known: Known) -> list[Pattern]:
    """Every spelling of a value that is looked for, the plain one first."""
    plain, escaped, unescaped = spellings(known.value)
    tokens = [one.encode("utf-8", "surrogatepass") for one in token_spellings(known.value)]
    texts = dict.fromkeys((plain, *escaped, *([] if unescaped is None else [unescaped]), *tokens))
    made = [Pattern(text, known.type, known.data_class) for text in texts]
    return made + [Pattern(one.text, known.type, known.data_class, one) for one in embedded_spellings(plain)]


def spellings(value: str) -> tuple[bytes, tuple[bytes, ...], bytes | None]:
    r"""Return the plain spelling of `value`, those that JSON text has for it, and what it is if it is itself JSON text.

    JSON in JSON counts twice: a tool result often is a JSON text that holds another one. A value that holds `\n` as two
    characters was most likely found in JSON text; in a file it stands with a line break. Each spelling that differs is
    swept as a value of its own, so that a placeholder always stands for exactly the bytes that it replaced.
    """
    plain = value.encode("utf-8", "surrogatepass")
    escaped: dict[bytes, None] = {}
    for ascii_only in (False, True):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        twice = json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        for text in (once, twice):
            escaped[text.encode("utf-8", "surrogatepass")] = None
    for text in shell_spellings(value):
        escaped[text.encode("utf-8", "surrogatepass")] = None
    escaped.pop(plain, None)
    unescaped: bytes | None = None
    if "\\" in value:
        try:
            unescaped = json.loads(f'"{value}"').encode("utf-8", "surrogatepass")
        except ValueError:
            unescaped = None
    return plain, tuple(escaped), unescaped


def shell_spellings(value: str) -> tuple[str, ...]:
    """Return the spellings of `value`, other than itself, that stand for it between quotes or in a here-document of a shell."""
    spelled = (
        re.sub(r'[$`"\\]', r"\\\g<0>", value),
        re.sub(r"[$`\\]", r"\\\g<0>", value),
        value.replace("'", "'\\''"),
    )
    return tuple(dict.fromkeys(one for one in spelled if one != value))


def looks_distinctive(value: str) -> bool:
    """Say whether `value` may be swept everywhere by its looks alone: no word, no dummy key, nothing short.

    At least 8 characters of two of lower case, upper case and digits, or an unbroken run of 16.
    """
    if len(value) < 8:
        return False
    kinds = (any(map(str.islower, value)), any(map(str.isupper, value)), any(map(str.isdigit, value)))
    return sum(kinds) >= 2 or _LETTER_RUN.search(value) is not None


def _pairs(edges: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip(edges[::2], edges[1::2], strict=True)


def _rank(data_class: str) -> int:
    return CLASS_ORDER.index(data_class) if data_class in CLASS_ORDER else len(CLASS_ORDER)


def _weight(value: str) -> int:
    return 4 * len(value) + _ENTRY_OVERHEAD if not value.isascii() else len(value) + _ENTRY_OVERHEAD
