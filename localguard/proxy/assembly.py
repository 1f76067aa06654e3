"""The guard put together: scanner, upstream, memories and log, behind a port that is open already.

Importing this takes half a second of a core, which is why the daemon does it while it serves.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from localguard import __version__
from localguard.audit.checkpoint import DeviceKey
from localguard.audit.store import Store
from localguard.config.allow_list import AllowList, AllowWatch
from localguard.config.credential_commands import CredentialCommands
from localguard.config.home import Home
from localguard.config.keys import Keys
from localguard.config.policy_files import PolicyWatcher
from localguard.config.policy_problems import PolicyInvalid
from localguard.config.price_list import PriceList
from localguard.config.routes_file import RoutesFile
from localguard.config.workspace_tokens import Tokens
from localguard.policy.model import Layer
from localguard.proxy.admission import Admission
from localguard.proxy.asking import Asking
from localguard.proxy.billing import Billing
from localguard.proxy.budgets import Budgets
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import Recorded
from localguard.proxy.control_models import KeyBody
from localguard.proxy.early_refusals import EarlyRefusals
from localguard.proxy.exchange_views import ExchangeViews
from localguard.proxy.executing import Executing
from localguard.proxy.experiments import Experiments
from localguard.proxy.handler import Guard
from localguard.proxy.live import Memories
from localguard.proxy.log_upkeep import LogUpkeep
from localguard.proxy.outcomes import SessionOutcomes
from localguard.proxy.own_credentials import OwnCredentials
from localguard.proxy.pausing import Pause
from localguard.proxy.policy_source import PolicySource
from localguard.proxy.policy_views import PolicyViews
from localguard.proxy.recorder import Recorder
from localguard.proxy.report_page import ReportPage
from localguard.proxy.routes import RouteSwitches
from localguard.proxy.scan_pool import ScanPool
from localguard.proxy.scrub import Scrubber
from localguard.proxy.server import GuardServer
from localguard.proxy.session_approvals import SessionApprovals
from localguard.proxy.syncing import Syncing
from localguard.proxy.tasks import DeclaredTasks, TaskBoard
from localguard.proxy.upstream import Upstream

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assembly:
    """The guard of one daemon and what else it needs to know of."""

    guard: Guard
    recorder: Recorder
    store: Store
    budgets: Budgets
    experiments: Experiments
    control: Control
    source: PolicySource

    @classmethod
    async def of(
        cls,
        stack: AsyncExitStack,
        home: Home,
        *,
        store: Store,
        keys: Keys,
        watcher: PolicyWatcher,
        control: Control,
        server: GuardServer,
        early: EarlyRefusals,
        scrubber: Scrubber,
        ask_seconds: float,
    ) -> Self:
        """Put it together for the policy of `watcher`; `stack` closes it. The scanner comes in the background.

        The scrubber is armed as soon as there is a scanner, and no request is answered before.
        """
        upstream = Upstream(own_ports=[server.port])
        stack.push_async_callback(upstream.close)
        source = PolicySource(home, upstream, store, clock=lambda: datetime.now(UTC))
        pool = ScanPool(rules_dirs=[home.rules_dir], names=watcher.layer.names, compiled=home.state_dir)
        stack.push_async_callback(pool.close)
        memories = Memories(
            keys,
            (control.token,),
            lambda why: _key_replaced(store, why),
            allowed=AllowWatch(AllowList(home)),
            on_allowed=lambda count, error: _allowed(store, count, error),
            on_device_key=lambda seed: store.sign_with(DeviceKey(seed)),
            on_fingerprint=scrubber.trust,
        )
        control.offer(
            Call(
                "POST",
                "/keys/{name}",
                "Record what was done with a key.",
                lambda given: _key_changed(store, given),
                takes=KeyBody,
                gives=Recorded,
            ),
        )
        await pool.start(workers=False)
        pool.start_workers(lambda scanner: scrubber.arm(scanner, memories.vaults))
        recorder = Recorder(store, control, early)
        tasks = DeclaredTasks()
        callers = Callers(Tokens(home), tasks)
        LogUpkeep(home.audit_db, store, keys, memories, control, callers)
        TaskBoard(tasks, store, control, lambda: guard.policy.workspaces)
        SessionOutcomes(home, store, control, callers)
        ExchangeViews(home.audit_db, recorder, control)
        billing = Billing(PriceList(), lambda: datetime.now(UTC))
        asking = Asking(store, control, callers, wait=ask_seconds)
        credentials = OwnCredentials(keys, CredentialCommands())

        async def keep_back() -> None:
            memories.know(await credentials.all())

        guard: Guard
        budgets = await asyncio.to_thread(
            Budgets.open,
            home.audit_db,
            store=store,
            control=control,
            asking=asking,
            callers=callers,
            wall=lambda: datetime.now(UTC),
            layers=lambda: guard.policy.layers,
        )
        switches = RouteSwitches(RoutesFile(home), store, control, callers, lambda: guard.policy.endpoints)
        syncing = Syncing(home, keys, store, control, callers)
        stack.push_async_callback(syncing.close)
        await syncing.start()
        guard = Guard(
            recorder=recorder,
            scan_pool=pool,
            upstream=upstream,
            callers=callers,
            asking=asking,
            pause=Pause(store, control, callers, lambda: guard.policy, keep_back),
            switches=switches,
            syncing=syncing,
            credentials=credentials,
            memories=memories,
            admission=Admission(server.port),
            control=control,
            limits=server.limits,
            billing=billing,
            budgets=budgets,
            clock=lambda: datetime.now(UTC),
            policy=PolicyState.of(*watcher.layers, error=str(watcher.error) if watcher.error else None),
        )
        ReportPage(home, control, callers)
        SessionApprovals(home.audit_db, store, control, callers)
        PolicyViews(home.audit_db, recorder, switches, control, lambda: guard.policy, lambda: datetime.now(UTC))
        Executing(asking, control, callers, memories, lambda: guard.policy)
        experiments = Experiments(store, control, callers, lambda: guard.policy, watcher.layers)
        made = cls(guard, recorder, store, budgets, experiments, control, source)
        experiments.on_change = lambda: made.apply_policy(error=guard.policy.error)
        return made

    def change_policy(self, layers: tuple[Layer, ...]) -> None:
        """A new policy is in force; requests under way keep the one they began with."""
        self.experiments.layers = layers
        policy = self.apply_policy()
        detail: dict[str, str | int | bool | None] = {"policy": policy.digest}
        for layer in layers:
            if layer.organisation is not None:
                detail |= {"organisation": layer.organisation, "revision": layer.revision}
        self.store.append("control", metadata={"event": "policy-change", "detail": detail})
        self.control.publish("policy", {"digest": policy.digest, "error": None})
        log.info("policy changed")

    def apply_policy(self, *, error: str | None = None) -> PolicyState:
        """Have the guard go by the newest good policy, and by the experiments that run. `error`: why a newer one is not good."""
        self.guard.policy = policy = PolicyState.of(*self.experiments.applied(), error=error)
        self.budgets.policy_changed()
        return policy

    def keep_policy(self, error: PolicyInvalid) -> None:
        """The newest policy file is broken; the last good one stays in force."""
        self.guard.policy = replace(self.guard.policy, error=str(error))
        self.control.publish("policy", {"digest": self.guard.policy.digest, "error": str(error)})
        log.warning("policy file not loaded: %s", error)

    def status(self, server: GuardServer, started: float) -> dict[str, object]:
        """What `localguard status` shows; `started` is in seconds since 1970."""
        counters, policy = self.recorder.counters, self.guard.policy
        return {
            "version": __version__,
            "pid": os.getpid(),
            "port": server.port,
            "uptime_seconds": int(time.time() - started),
            "running": server.running,
            "policy": {"digest": policy.digest, "error": policy.error, "organisation": _organisation(policy)}
            | {"source": {"fetched": self.source.fetched, "error": self.source.error}},
            "log": {"writable": self.recorder.log_writable},
            "budgets": self.budgets.told(),
            "endpoints": [
                {
                    "name": endpoint.name,
                    "kind": endpoint.kind,
                    "class": str(endpoint.endpoint_class),
                    "base_url": endpoint.base_url,
                    "credential": endpoint.credential_alias,
                }
                for endpoint in policy.endpoints.values()
            ],
            "counters": {
                "exchanges": counters.exchanges,
                "refused": counters.refused,
                "failed": counters.failed,
                "replaced": counters.replaced,
                "restored": counters.restored,
                "withheld": counters.withheld,
            },
        }


def _organisation(policy: PolicyState) -> dict[str, object] | None:
    """Whose policy stands above the user's, which revision, and until when."""
    layer = policy.layers[0]
    if layer.organisation is None or layer.expires is None:
        return None
    return {"name": layer.organisation, "revision": layer.revision, "expires": layer.expires.isoformat()}


def _key_changed(store: Store, given: Arguments) -> Mapping[str, object]:
    action = given.text("action")
    if action not in ("set", "rotate", "remove"):
        raise ControlRefused(400, "action is set, rotate or remove.")
    store.note("control", metadata={"event": "key", "detail": {"key": given.path["name"], "action": action}})
    return {"recorded": True}


def _key_replaced(store: Store, why: str) -> None:
    """The root key was lost and made anew: placeholders of earlier turns are strangers now."""
    store.append("control", metadata={"event": "key", "reason": why})
    log.warning("%s", why)


def _allowed(store: Store, count: int, error: str | None) -> None:
    """What the allow list lets through is another set of values now."""
    store.append("control", metadata={"event": "allow-list", "reason": error, "detail": {"values": count}})
    if error is not None:
        log.warning("%s", error)
