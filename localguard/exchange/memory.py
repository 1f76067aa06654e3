"""What a workspace remembers between requests, in memory only: values, findings by text, redacted history items.

Everything here is a cache of something that can be made again from the bytes of a request, the values themselves
aside. Texts are kept by keyed digest, so that an agent's history costs its new part on every turn.
"""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from localguard.detect.finding import Finding
from localguard.exchange.cores import CoreFilter
from localguard.exchange.items import Item
from localguard.exchange.prefix import Prefixes
from localguard.redact.vault import Vault

_MAX_FILTERS = 16
"""Two are asked for on every turn."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Detect = Callable[[bytes, Callable[[], bool]], list[Finding]]
"""Finds values in a text; raises TimeoutError soon after its second argument says that time is over."""

_MAX_TEXTS = 100_000
_MAX_ITEM_BYTES = 24 * 1024 * 1024
_MAX_CLEAN = 20_000
_MAX_UNCHANGED = 10_000
_MAX_HEADS = 1_000


class Bounded(Generic[Key, Value]):
    """A dictionary that forgets what was used least recently beyond `limit` units of weight. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()  # of who writes: long bodies are read in threads beside the loop
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._limit = limit
        self._weight = 0

    def get(self, key: Key) -> Value | None:
        """The value, which then counts as used."""
        found = self._entries.get(key)
        if found is None:
            return None
        try:  # noqa: SIM105 - asked a dozen times a request, and `suppress` costs as much as the rest
            self._entries.move_to_end(key)
        except KeyError:  # forgotten just now by another thread
            pass
        return found[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Keep `value`; what is over the limit is forgotten, oldest use first."""
        with self._lock:
            old = self._entries.get(key)
            self._weight += weight - (old[1] if old else 0)
            self._entries[key] = (value, weight)
            self._entries.move_to_end(key)
            while self._weight > self._limit and len(self._entries) > 1:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._weight -= dropped

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)


class Restored(NamedTuple):
    """Where a text of a reply holds a value that its placeholder was turned back into: bytes `[start, end)`."""

    start: int
    end: int
    placeholder: str


@dataclass(frozen=True, slots=True)
class Readings:
    """What was found and made of texts under one allow list and one set of rules; they are forgotten together.

    A request takes these once, when it begins: what it reads under the old list must not be known under the new one.
    """

    texts: Bounded[bytes, tuple[Finding, ...]] = field(default_factory=lambda: Bounded(_MAX_TEXTS))
    items: Bounded[bytes, Item] = field(default_factory=lambda: Bounded(_MAX_ITEM_BYTES))
    clean: Bounded[str, bool] = field(default_factory=lambda: Bounded(_MAX_CLEAN))
    prefixes: Prefixes = field(default_factory=Prefixes)
    unchanged: Bounded[tuple[str, str, bytes], int] = field(default_factory=lambda: Bounded(_MAX_UNCHANGED))
    """Short texts of heads that went out unchanged under some actions, and the vault's generation then."""
    heads: Bounded[bytes, dict[str, int]] = field(default_factory=lambda: Bounded(_MAX_HEADS))
    """Heads in which nothing was found, by digest: under which actions, and at which of the vault's generations, they
    held no known value either."""


class WorkspaceMemory:
    """All that one workspace remembers. One instance per workspace; not shared between workspaces (peers 14).

    `fingerprint` makes the log's keyed fingerprint of a value; it uses another key than the placeholders.
    """

    def __init__(self, vault: Vault, fingerprint: Callable[[str], str], *, name: str = "") -> None:
        self.vault = vault
        self.name = name
        """The workspace's id as the log has it where that would say something local: its fingerprint."""
        self.fingerprint = fingerprint
        self.allowed: frozenset[str] = frozenset()
        """Fingerprints of the values that may leave."""
        self._also: dict[Hashable, Detect] = {}
        self.readings = Readings()
        self.restored: Bounded[bytes, tuple[Restored, ...]] = Bounded(50_000)
        self.responses: Bounded[str, bool] = Bounded(50_000)
        """Ids of responses, their items, conversations and the like that replies of this process named."""
        self.requests: Bounded[bytes, str] = Bounded(10_000)
        """What tells requests alike, and the exchange that sent one last."""
        self.instructions: Bounded[tuple[str, str], bool] = Bounded(10_000)
        """Whether an instruction file, by name and digest, was the file on disk when it was first seen; nothing where nobody can tell."""
        self.signatures: Bounded[bytes, bool] = Bounded(10_000)
        """Digests of signed texts, with their signatures, that a reply of this process brought."""
        self.numbers: Bounded[bytes, bool] = Bounded(10_000)
        """Long numbers that stood alone in a string of a reply."""
        self._credentials: Bounded[bytes, int] = Bounded(_MAX_HEADS)
        self._cores: Bounded[tuple[int, int], CoreFilter] = Bounded(_MAX_FILTERS)
        self._digest = hashlib.sha256(secrets.token_bytes(64))

    def allow(self, fingerprints: frozenset[str]) -> None:
        """Let values of these fingerprints through from now on, and no others. What was read before is read again."""
        if fingerprints == self.allowed:
            return
        self.allowed = fingerprints
        self.vault.let_pass((lambda value: self.fingerprint(value) in fingerprints) if fingerprints else None)
        self._read_again()

    def find_also(self, source: Hashable, detect: Detect | None) -> None:
        """Find what `detect` of this source finds too, from now on; it must be linear. What was read before is read again."""
        if detect is None and source not in self._also:
            return
        others = {name: one for name, one in self._also.items() if name != source}
        self._also = others if detect is None else {**others, source: detect}
        self._read_again()

    def _read_again(self) -> None:
        self.readings, self._credentials = Readings(), Bounded(_MAX_HEADS)

    @property
    def judges(self) -> bool:
        """Whether `judged` has anything to do."""
        return bool(self.allowed or self._also)

    def judged(
        self, texts: Sequence[bytes], found: Sequence[tuple[Finding, ...]], is_over: Callable[[], bool] = lambda: False
    ) -> Sequence[tuple[Finding, ...]]:
        """The findings of each text with those of the workspace's own rules, without those that the allow list lets through.

        The workspace's own stand beside the others, whatever they overlap: they may add to them, and replace none (P12).
        Raises TimeoutError soon after `is_over` says so.
        """
        for detect in self._also.values():
            found = [
                tuple(sorted([*findings, *also], key=lambda one: (one.start, -one.end)))
                if (also := detect(text, is_over))
                else findings
                for text, findings in zip(texts, found, strict=True)
            ]
        if not self.allowed or not any(found):
            return found
        return [
            tuple(one for one in findings if not self._is_allowed(text[one.start : one.end]))
            for text, findings in zip(texts, found, strict=True)
        ]

    def _is_allowed(self, value: bytes) -> bool:
        return self.fingerprint(value.decode("utf-8", "replace")) in self.allowed

    def know_credential(self, value: str) -> None:
        """Know what was seen at a credential's position. The same one again, with nothing learnt since, is known."""
        key = self.digest(b"credential", value.encode("utf-8", "surrogatepass"))
        if self._credentials.get(key) != self.vault.generation:
            self.vault.add_known(value, "CREDENTIAL", guarded=True)
            self._credentials.put(key, self.vault.generation)

    def cores_since(self, generation: int) -> CoreFilter:
        """What tells texts that hold none of the values learnt after `generation`."""
        span = (generation, self.vault.generation)
        found = self._cores.get(span)
        if found is None:
            found = CoreFilter(self.vault.cores_since(generation))
            self._cores.put(span, found)
        return found

    def note_signed(self, signature: str, text: str) -> None:
        """Remember signed text as the provider wrote it: it holds nothing that the provider does not know."""
        self.signatures.put(self._signed(signature, text), True)

    def has_signed(self, signature: str, text: str) -> bool:
        """Whether a reply of this process brought exactly this text under this signature."""
        return self._signed(signature, text) in self.signatures

    def _signed(self, signature: str, text: str) -> bytes:
        return self.digest(b"signed", signature.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"))

    def digest(self, *parts: bytes) -> bytes:
        """32 bytes, keyed anew in every process. Parts are told apart by their lengths."""
        made = self._digest.copy()
        for part in parts[:-1]:
            made.update(len(part).to_bytes(8))
            made.update(part)
        made.update(parts[-1])
        return made.digest()
