"""Sync beside the traffic: one thread of its own that reads the log and speaks to the sink, and the control calls about it.

The rule of this file: nothing here is waited for by a request. What the sink does, or does not do, costs the thread only.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.home import Home
from localguard.config.keys import Keys
from localguard.errors import LocalguardError
from localguard.policy.sync_demand import Agreed, Unmet, unmet
from localguard.proxy.callers import Caller, Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import SyncView
from localguard.proxy.control_models import NothingBody, SyncBody
from localguard.sync.agreement import Agreement, Agreements
from localguard.sync.consent import consent_event, end_event, enrolled, proposed
from localguard.sync.outlet import device_key, reader_of, sender_of
from localguard.sync.sender import Pace, Sender

log = logging.getLogger(__name__)

_CLOSING = 5.0
"""Seconds that a step gets to notice that it is to end."""
_AGAIN = 60.0
"""Seconds until a keychain that was locked is asked again."""


class Syncing:
    """Carries out what was agreed, from the daemon's start on, until it is ended."""

    def __init__(
        self, home: Home, keys: Keys, store: Store, control: Control, callers: Callers, *, pace: Pace | None = None
    ) -> None:
        self._home = home
        self._keys = keys
        self._store = store
        self._control = control
        self._callers = callers
        self._pace = pace or Pace()
        self._agreements = Agreements(home)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")
        self._changing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._sender: Sender | None = None
        self._task: asyncio.Task[None] | None = None
        self._problem: str | None = None
        self.agreement: Agreement | None = None
        """What holds now."""
        control.offer(
            Call(
                "GET",
                "/sync",
                "What was agreed about sync, and how far it is.",
                lambda _: self._shown(),
                gives=SyncView,
            ),
            Call(
                "POST",
                "/sync",
                "Agree to send records `to` an address at a `level`.",
                self._agree,
                takes=SyncBody,
                gives=SyncView,
            ),
            Call("POST", "/sync/disable", "Stop sending at once.", self._end, takes=NothingBody, gives=SyncView),
            Call("POST", "/sync/push", "Send what waits now.", self._push, takes=NothingBody, gives=SyncView),
        )

    async def start(self) -> None:
        """Go on with what was agreed before."""
        try:
            self.agreement = await asyncio.to_thread(self._agreements.current)
        except LocalguardError as error:
            self._problem = str(error)
            log.warning("sync does not run: %s", error)
        if self.agreement is not None:
            self._begin(self.agreement)

    def unmet(self, caller: Caller) -> Unmet | None:
        """What policy demands of this work and was not agreed to."""
        if all(layer.sync is None for layer in caller.layers):
            return None
        theirs = caller.for_organisation
        places = (*caller.workspace.candidates, *(theirs.workspace.candidates if theirs is not None else ()))
        agreement = self.agreement
        agreed = None if agreement is None else Agreed(agreement.level, agreement.to, agreement.exclude)
        return unmet(caller.layers, list(dict.fromkeys(one.name for one in places)), agreed)

    async def close(self) -> None:
        """End the thread; a step that runs is cut off."""
        await self._halt()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self, agreement: Agreement) -> None:
        self._task = asyncio.create_task(self._carry_out(agreement))

    async def _carry_out(self, agreement: Agreement) -> None:
        """Send, once the keychain is open: nobody waits for that."""
        while True:
            try:
                sender = await asyncio.to_thread(sender_of, self._home, self._keys, agreement, pace=self._pace)
                break
            except LocalguardError as error:
                self._problem = str(error)
                log.warning("sync does not run yet: %s", error)
            await asyncio.sleep(_AGAIN)
        self._sender, self._problem = sender, None
        await self._run(sender)

    async def _halt(self) -> None:
        sender, task, self._sender, self._task = self._sender, self._task, None, None
        if sender is not None:
            sender.close()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), _CLOSING)

    async def _run(self, sender: Sender) -> None:
        failing = False
        while True:
            self._wake.clear()
            step = await asyncio.get_running_loop().run_in_executor(self._thread, sender.step)
            if (step.problem is not None) != failing:
                failing = step.problem is not None
                log.info("sync: %s", step.problem if failing else "the sink takes records again")
                self._control.publish("sync", self._shown())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), step.wait)

    async def _agree(self, given: Arguments) -> Mapping[str, object]:
        await self._callers.only_persons(given.request, "agree to sync")
        names, exclude = given.body.get("names", False), given.body.get("exclude", [])
        if type(names) is not bool or not _texts(exclude):
            raise ControlRefused(400, "names is true or false, exclude is a list of texts.")
        token, ca_file, client_cert = (given.text(name, "") or None for name in ("token", "ca_file", "client_cert"))
        async with self._changing:
            try:
                wanted = proposed(
                    given.text("to"),
                    given.text("level"),
                    names=names,
                    exclude=exclude,
                    ca_file=ca_file,
                    client_cert=client_cert,
                )
                made = await asyncio.to_thread(
                    self._enrolled, wanted, token, from_now=bool(given.body.get("from_now", True))
                )
                await self._store.durable("control", metadata={**consent_event(made)})
                await asyncio.to_thread(self._sign)
                await self._halt()
                await asyncio.to_thread(self._agreements.agree, made)
                self.agreement = made
                self._begin(made)
            except (LogUnavailable, RecordInvalid) as error:
                raise ControlRefused(503, f"Consent could not be recorded, so nothing is sent. {error}") from None
            except LocalguardError as error:
                raise ControlRefused(409, str(error)) from None
            except OSError as error:
                raise ControlRefused(503, f"It could not be remembered ({error.strerror}).") from None
        return self._shown()

    def _enrolled(self, wanted: Agreement, token: str | None, *, from_now: bool) -> Agreement:
        """Blocking: keychain, disk, network."""
        self._store.flush()
        size = reader_of(self._home, self._keys).size() if from_now else 0
        return replace(enrolled(wanted, device_key(self._keys), token), since=size)

    def _sign(self) -> None:
        """The log names its key from now on, so that what the sink's anchors are signed with can be known. Blocking."""
        self._store.sign_with(device_key(self._keys))
        self._store.checkpoint()

    async def _end(self, given: Arguments) -> Mapping[str, object]:
        await self._callers.only_persons(given.request, "end sync")
        async with self._changing:
            await self._halt()
            await asyncio.to_thread(self._agreements.end)
            was, self.agreement, self._problem = self.agreement, None, None
            if was is not None:
                with contextlib.suppress(LogUnavailable, RecordInvalid):  # ended it is all the same
                    await self._store.durable("control", metadata={**end_event()})
        return self._shown()

    def _push(self, _: Arguments) -> Mapping[str, object]:
        self._wake.set()
        return self._shown()

    def _shown(self) -> Mapping[str, object]:
        agreement, progress = self.agreement, self._agreements.progress()
        told: dict[str, object] = {"enabled": agreement is not None, "problem": self._problem or progress.problem}
        if agreement is not None:
            told |= {
                "to": agreement.to,
                "level": agreement.level,
                "names": agreement.names,
                "exclude": list(agreement.exclude),
                "since": agreement.since,
                "agreed": agreement.agreed,
                "size": progress.size,
                "sent": progress.sent,
                "code": progress.code,
                "failures": progress.failures,
            }
        return told


def _texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
