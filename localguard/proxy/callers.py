"""Who calls, from which workspace, under which policy: the facts of one request that are not in its body."""

import asyncio
import hashlib
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from aiohttp import web

from localguard.config.agents import agent_of
from localguard.config.lineage import Forebear, agent_behind, lineage
from localguard.config.peer import Peer, PeerFinder, owner_of
from localguard.config.policy_files import RepositoryPolicies
from localguard.config.workspace_tokens import Binding, Tokens
from localguard.config.workspaces import Workspace, Workspaces
from localguard.policy.layers import effective_endpoints
from localguard.policy.model import Endpoint, Layer, LayerName
from localguard.proxy.admission import AdmissionRefused, Admitted
from localguard.proxy.control import ControlRefused
from localguard.proxy.control_client import ASKED_BY
from localguard.proxy.tasks import DeclaredTasks

_FRESH = 2.0
"""Seconds for which a process's workspace holds: a branch may be switched under a kept-alive connection."""
_LOCATED = 1.0
"""Seconds for which requests of one kind from one process are one caller's: by then a token that was revoked, and a
repository's policy that changed, count."""
_LEAVES_BEHIND = 12 * 3600.0
"""Seconds after an agent's last request for which something of no known origin may be what it left behind."""
_MAX_KINDS = 16
_MAX_SENDERS = 256


@dataclass(frozen=True, slots=True)
class PolicyState:
    """The layers in force besides the repository's, with what was computed from them once."""

    layers: tuple[Layer, ...]
    endpoints: Mapping[str, Endpoint]
    workspaces: Workspaces
    digest: str
    organisation: tuple[Workspaces, frozenset[str]] | None = None
    """What workspaces are by the organisation's own policy, and the names of its endpoints; None without one."""
    error: str | None = None
    """Why the newest policy file is not in force."""

    @classmethod
    def of(cls, *layers: Layer, error: str | None = None) -> "PolicyState":
        """The state under the layers of organisation and user."""
        above = [layer for layer in layers if layer.name is LayerName.ORGANISATION]
        names = frozenset(endpoint.name for layer in above for endpoint in layer.endpoints)
        return cls(
            layers,
            effective_endpoints(layers),
            Workspaces(layers),
            layers[0].digest if len(layers) == 1 else _digest(layers),
            (Workspaces(above), names) if above else None,
            error,
        )


def _digest(layers: Sequence[Layer]) -> str:
    return hashlib.sha256(" ".join(layer.digest for layer in layers).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ForOrganisation:
    """A caller by the organisation's own policy: its workspace, and the names of the organisation's endpoints."""

    workspace: Workspace
    endpoints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's origin: its workspace, endpoint and agent, and the policy layers that bind it."""

    endpoint: Endpoint
    workspace: Workspace
    layers: tuple[Layer, ...]
    task: str | None
    agent: str | None
    agent_version: str | None
    peer: Peer | None
    attribution: str
    policy_digest: str
    for_organisation: ForOrganisation | None = None
    within: tuple[str, ...] | None = None
    """The endpoints that its token is good for; None where all are."""
    elsewhere: bool = False
    """Its token is another workspace's than the one that the process is at work in."""


@dataclass(slots=True, weakref_slot=True)
class _Origin:
    """A process that requests come from, over any of its connections, and what is known of it for now."""

    peer: Peer | None
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    workspace: Workspace | None = None
    policy: PolicyState | None = None
    until: float = 0.0
    located: "dict[_Kind, Caller]" = field(default_factory=dict)
    located_policy: PolicyState | None = None
    located_until: float = 0.0


class _Sender(NamedTuple):
    """When a process that sends model traffic was started (see `lineage`), and when it did so last (monotonic)."""

    started: float | None
    sent: float


class _Kind(NamedTuple):
    """What of a request, beside its origin, says who calls."""

    endpoint: str
    token: str | None
    task: str | None
    user_agent: str | None
    tasks: int
    """The version of the tasks that were declared."""


class Callers:
    """Attributes requests (design section 4). Peer processes are looked up once a connection, off the event loop."""

    def __init__(self, tokens: Tokens, tasks: DeclaredTasks) -> None:
        self._tokens = tokens
        self._tasks = tasks
        self._finder = PeerFinder()
        self._finding = asyncio.Lock()
        self._repositories = RepositoryPolicies()
        self._senders: OrderedDict[int, _Sender] = OrderedDict()
        """Processes that sent model traffic; the latest last."""
        self._connections: WeakKeyDictionary[asyncio.BaseTransport, _Origin] = WeakKeyDictionary()
        self._origins: WeakValueDictionary[Peer | None, _Origin] = WeakValueDictionary()

    async def locate(self, request: web.BaseRequest, admitted: Admitted, policy: PolicyState) -> Caller:
        """Everything about where a request comes from. Raises AdmissionRefused for an unknown endpoint or token."""
        origin = await self._origin(request)
        now = time.monotonic()
        if origin.located_policy is not policy or now >= origin.located_until:
            origin.located = {}
            origin.located_policy = policy
            origin.located_until = now + _LOCATED
        located = origin.located
        user_agent = request.headers.get("User-Agent")
        kind = _Kind(admitted.endpoint, admitted.workspace_token, admitted.task, user_agent, self._tasks.version)
        caller = located.get(kind)
        if caller is None:
            caller = await self._locate(origin, kind, policy)
            if len(located) < _MAX_KINDS:
                located[kind] = caller
        return caller

    async def _locate(self, origin: _Origin, kind: _Kind, policy: PolicyState) -> Caller:
        endpoint = policy.endpoints.get(kind.endpoint)
        if endpoint is None:
            raise AdmissionRefused(
                404,
                "localguard_no_endpoint",
                "No endpoint has this name. Use /<endpoint>/…, see `localguard endpoint list`.",
            )
        binding: Binding | None = None
        elsewhere = False
        if kind.token is not None:
            binding = await asyncio.to_thread(self._tokens.lookup, kind.token)
            if binding is None:
                raise AdmissionRefused(
                    403,
                    "localguard_token_unknown",
                    "The workspace token is not known to this guard. Make one with `localguard workspace token`.",
                )
            _check_scope(binding, endpoint)
            workspace = await asyncio.to_thread(self._of_binding, policy, binding)
            attribution = "token"
            at = await self._of_origin(origin, policy)
            if at.attributed and not at.several and at.id != workspace.id:
                workspace = workspace.and_also([at])  # a token that strayed: the work there binds too
                elsewhere = True
        else:
            workspace = await self._of_origin(origin, policy)
            attribution = "peers" if workspace.several else "peer" if workspace.attributed else "none"
        repository_layers = await self._repository_layers(workspace)
        if repository_layers:
            workspace = policy.workspaces.tightened(workspace, repository_layers)
        workspace = self._with_tasks(workspace)
        agent, version = agent_of(kind.user_agent, origin.peer)
        if origin.peer is not None and origin.peer.pid is not None:
            self._senders[origin.peer.pid] = _Sender(origin.peer.started, time.monotonic())
            self._senders.move_to_end(origin.peer.pid)
            while len(self._senders) > _MAX_SENDERS:
                self._senders.popitem(last=False)
        return Caller(
            endpoint=endpoint,
            workspace=workspace,
            layers=(*policy.layers, *repository_layers),
            task=kind.task or workspace.task,
            agent=agent,
            agent_version=version,
            peer=origin.peer,
            attribution=attribution,
            policy_digest=policy.digest,
            for_organisation=await self._for_organisation(origin, binding, policy),
            within=binding.endpoints if binding is not None else None,
            elsewhere=elsewhere,
        )

    async def peer_of(self, request: web.BaseRequest) -> Peer | None:
        """The process at the other end of a request's connection. Raises AdmissionRefused for another user's."""
        return (await self._origin(request)).peer

    async def only_persons(self, request: web.BaseRequest, what: str) -> None:
        """Refuse a control call of a process that sent model traffic lately, or that one of those may have started.

        It may not do `what`. See `lineage` for how that is told, and for what is not stopped. A caller that does what another
        process asked of it (the tray, for whoever clicks) names that one in `ASKED_BY`, and both must be persons'. Where the
        caller's process is not known, nothing is. Raises ControlRefused (403; 400).
        """
        peer = await self.peer_of(request)
        asked_by = request.headers.get(ASKED_BY)
        asking = () if asked_by is None else (_process(asked_by),)
        for pid in (*(() if peer is None or peer.pid is None else (peer.pid,)), *asking):
            line = await asyncio.to_thread(lineage, pid)
            reason = agent_behind(line, self._agents(line))  # also before the first request: marks outlive a restart
            if reason is not None:
                raise ControlRefused(
                    403, f"An agent cannot {what}. Do it in a terminal of your own, opened by you ({reason})."
                )
        if sys.platform == "linux" and any(owner_of(pid) != os.geteuid() for pid in asking):
            raise ControlRefused(403, "The process that asked for this has gone, or is another user's.")

    def _agents(self, line: Sequence[Forebear]) -> dict[int, float | None]:
        """The senders that something of no known origin may come from, and all that stand in `line`: when they were started."""
        lately = time.monotonic() - _LEAVES_BEHIND
        above = {one.pid for one in line}
        return {pid: one.started for pid, one in self._senders.items() if one.sent > lately or pid in above}

    async def _origin(self, request: web.BaseRequest) -> _Origin:
        transport = request.transport
        if transport is None:
            raise ConnectionError("the client has gone")
        known = self._connections.get(transport)
        if known is None:
            local = transport.get_extra_info("sockname")
            remote = transport.get_extra_info("peername")
            async with self._finding:
                peer = await asyncio.to_thread(self._finder.peer_of, local[:2], remote[:2])
            known = self._connections[transport] = self._origins.setdefault(peer, _Origin(peer))
        if known.peer is not None and not known.peer.same_user:
            raise AdmissionRefused(
                403, "localguard_other_user", "This guard serves the user that started it. Start your own."
            )
        return known

    async def _of_origin(self, origin: _Origin, policy: PolicyState) -> Workspace:
        async with origin.looking:  # all of its connections wait for one look
            now = time.monotonic()
            if origin.workspace is None or origin.policy is not policy or now >= origin.until:
                origin.workspace = await asyncio.to_thread(policy.workspaces.of_peer, origin.peer)
                origin.policy = policy
                origin.until = now + _FRESH
            origin.located_until = min(origin.located_until, origin.until)
            return origin.workspace

    @staticmethod
    def _of_binding(policy: PolicyState, binding: Binding) -> Workspace:
        return policy.workspaces.of_binding(binding)

    def _with_tasks(self, workspace: Workspace) -> Workspace:
        """The workspace, and those beside it, with the tasks that were set for them before those of their branches."""
        beside = tuple(self._with_tasks(one) for one in workspace.beside)
        return replace(workspace, task=self._tasks.of(workspace.id) or workspace.task, beside=beside)

    @staticmethod
    async def _for_organisation(
        origin: _Origin, binding: Binding | None, policy: PolicyState
    ) -> ForOrganisation | None:
        if policy.organisation is None:
            return None
        workspaces, endpoints = policy.organisation
        found = await asyncio.to_thread(lambda: workspaces.locate(peer=origin.peer, binding=binding))
        return ForOrganisation(found, endpoints)

    async def _repository_layers(self, workspace: Workspace) -> tuple[Layer, ...]:
        roots = dict.fromkeys(root for one in workspace.candidates for root in one.roots)
        found = [self._repositories.layer_for(root) for root in roots]
        return tuple(layer for layer in found if layer is not None)


def _process(given: str) -> int:
    """The process that a caller names. Raises ControlRefused (400)."""
    if not (given.isascii() and given.isdigit() and len(given) <= 10):
        raise ControlRefused(400, f"{ASKED_BY} is the id of a process.")
    return int(given)


def _check_scope(binding: Binding, endpoint: Endpoint) -> None:
    if binding.expired(datetime.now(UTC)):
        raise AdmissionRefused(
            403,
            "localguard_token_expired",
            "The workspace token has expired. Make another with `localguard workspace token`.",
        )
    if binding.endpoints is not None and endpoint.name not in binding.endpoints:
        raise AdmissionRefused(
            403,
            "localguard_token_scope",
            "The workspace token is good for other endpoints. Make one for this with `localguard workspace token --endpoint`.",
        )
