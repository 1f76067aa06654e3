"""One exchange as far as it has come, and what the daemon holds between exchanges."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from localguard.config.allow_list import AllowWatch
from localguard.config.keys import DEVICE_KEY, Keys, fingerprint_of
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.reply import ReplyRestorer
from localguard.exchange.request import Facts, Redacted
from localguard.policy.decide import Decision
from localguard.policy.price import NOTHING, Price
from localguard.proxy.admission import Admitted
from localguard.proxy.callers import Caller
from localguard.proxy.headers import Positions
from localguard.proxy.origins import ErrorBody
from localguard.redact.vault import Vault
from localguard.wire.format import WireFormat

_MAX_WORKSPACES = 64


@dataclass(frozen=True, slots=True)
class Routed:
    """Where the agent sent a request that policy routes elsewhere, and the model that it asked for."""

    endpoint: str
    model: str | None


@dataclass(slots=True)
class Exchange:
    """One request and its reply."""

    id: str
    started: float
    method: str
    admitted: Admitted
    format: WireFormat
    caller: Caller
    memory: WorkspaceMemory
    cost_bucket: str | None
    """Who pays for it where no experiment does."""
    session: str | None = None
    positions: Positions | None = None
    facts: Facts | None = None
    decision: Decision | None = None
    routed: Routed | None = None
    fell_back_from: str | None = None
    """The endpoint that could not be reached, where this is the attempt at its fallback."""
    leave: Callable[[], None] | None = None
    """Gives the turn at the endpoint back."""
    """Set where `caller.endpoint` and the model of `facts` are not the agent's choice but policy's."""
    redacted: Redacted | None = None
    has_body: bool = False
    paused: bool = False
    """A person paused redaction: what was found is sent as it is."""
    approval: str | None = None
    """Id of the exchange whose approval admits this one."""
    repeats: str | None = None
    """The exchange that sent the same request last."""
    recorded: bool = False
    """The intent is durable."""
    sent_at: float | None = None
    """When everything was read, scanned, decided on and recorded, so that it could be sent."""
    first_byte: float | None = None
    reply_bytes: int = 0
    status: int | None = None
    reply: ReplyRestorer | None = None
    error: ErrorBody = field(default_factory=ErrorBody)
    """What the body of an error reply says."""
    price: Price | None = None
    """Of the model that was asked for; None where nothing is billed."""
    reserved: Decimal = NOTHING
    """USD."""
    billed_at: datetime | None = None
    """By the ledger's clock, where it does not believe the machine's."""
    notices: tuple[tuple[str, str], ...] = ()
    """Headers of the guard's own for the reply."""
    sent: bool = True
    """False where it is certain that nothing reached the provider."""

    @property
    def has_content(self) -> bool:
        """Whether it is more than a bodiless, queryless call, such as for a list of models."""
        return self.has_body or bool(self.admitted.query)

    @property
    def route(self) -> str:
        """The path as it may be written down: known only once it is redacted."""
        return self.redacted.path if self.redacted is not None else ""


@dataclass(slots=True)
class Counters:
    """What this process did, for `status`."""

    exchanges: int = 0
    refused: int = 0
    replaced: int = 0
    restored: int = 0
    withheld: int = 0
    failed: int = 0


class Memories:
    """The memory of each workspace that was at work lately.

    `known` are values that no body may carry, anywhere. `on_replaced` is told why, when placeholders had to change
    because the root key was lost. `allowed` says what may leave; `on_allowed` is told how many values when that changes.
    `on_fingerprint` is told every fingerprint that is made for the log. `on_device_key` gets the 32 secret bytes that
    this home signs with, as soon as the keychain is open.
    """

    def __init__(
        self,
        keys: Keys,
        known: tuple[str, ...],
        on_replaced: Callable[[str], None],
        *,
        allowed: AllowWatch,
        on_allowed: Callable[[int, str | None], None],
        on_fingerprint: Callable[[str], None],
        on_device_key: Callable[[bytes], None],
    ) -> None:
        self._keys = keys
        self._allowed = allowed
        self._on_allowed = on_allowed
        self._on_fingerprint = on_fingerprint
        self._on_device_key: Callable[[bytes], None] | None = on_device_key
        self._told = 0
        self._on_replaced = on_replaced
        self._replaced: str | None = None
        self._known = known
        self._memories: OrderedDict[str, WorkspaceMemory] = OrderedDict()
        self._vaults: tuple[Vault, ...] = ()

    def vaults(self) -> tuple[Vault, ...]:
        """The vaults of all workspaces held, in no order: the same object while they are the same."""
        return self._vaults

    def know(self, values: Iterable[str]) -> None:
        """Keep these values in every workspace from now on, whatever policy lets pass there."""
        self._known = tuple(dict.fromkeys((*self._known, *values)))
        for memory in self._memories.values():
            for value in self._known:
                memory.vault.add_known(value, "CREDENTIAL", guarded=True)

    def forget(self, workspace_id: str) -> None:
        """Have the workspace begin anew with its next request, with the keys that it has then."""
        self._memories.pop(workspace_id, None)
        self._vaults = tuple(held.vault for held in self._memories.values())

    async def of(self, workspace_id: str) -> WorkspaceMemory:
        """The memory of a workspace; its keys are fetched off the event loop, as a keychain may ask the user."""
        memory = self._memories.get(workspace_id)
        if memory is None:
            key = await asyncio.to_thread(self._keys.workspace_key, workspace_id)
            fingerprint_key = await asyncio.to_thread(self._keys.fingerprint_key, workspace_id)
            if self._on_device_key is not None:  # the keychain is open now
                self._on_device_key(await asyncio.to_thread(self._keys.derived_key, DEVICE_KEY))
                self._on_device_key = None
            if self._keys.replaced is not None and self._keys.replaced != self._replaced:
                self._replaced = self._keys.replaced
                self._on_replaced(self._replaced)
            memory = self._memories.setdefault(workspace_id, self._new_memory(workspace_id, key, fingerprint_key))
            for value in self._known:
                memory.vault.add_known(value, "CREDENTIAL", guarded=True)
            while len(self._memories) > _MAX_WORKSPACES:
                self._memories.popitem(last=False)
            self._vaults = tuple(held.vault for held in self._memories.values())
        self._memories.move_to_end(workspace_id)
        memory.allow(self._current())
        return memory

    def _new_memory(self, workspace_id: str, key: bytes, fingerprint_key: bytes) -> WorkspaceMemory:
        def fingerprint(value: str) -> str:
            made = fingerprint_of(fingerprint_key, value)
            self._on_fingerprint(made)
            return made

        return WorkspaceMemory(Vault(key), fingerprint, name=fingerprint(workspace_id))

    def _current(self) -> frozenset[str]:
        current = self._allowed.current()
        if self._allowed.version != self._told:
            self._told = self._allowed.version
            self._on_allowed(len(current), self._allowed.error)
        return current
