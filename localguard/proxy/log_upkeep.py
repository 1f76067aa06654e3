"""What persons do with the log by the control API: drop old sections, sign a checkpoint, destroy a workspace's fingerprint key."""

import asyncio
import getpass
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from localguard.audit.erasure import erasure_event, name_in_metadata
from localguard.audit.record import RecordInvalid, timestamp
from localguard.audit.retention import Retention
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.keys import KeychainUnavailable, Keys, KeysDamaged, fingerprint_of
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import Erased, Pruned, Signed
from localguard.proxy.control_models import EraseBody, NothingBody, PruneBody
from localguard.proxy.live import Memories


class LogUpkeep:
    """The control calls. What cannot be undone is recorded before it is done."""

    def __init__(
        self, database: Path, store: Store, keys: Keys, memories: Memories, control: Control, callers: Callers
    ) -> None:
        self._database = database
        self._store = store
        self._keys = keys
        self._memories = memories
        self._callers = callers
        control.offer(
            Call(
                "POST",
                "/checkpoint",
                "Sign a checkpoint of the log now.",
                self._checkpoint,
                takes=NothingBody,
                gives=Signed,
            ),
            Call(
                "POST",
                "/prune",
                "Drop `sections` of `kinds` of records `before` a time.",
                self._prune,
                takes=PruneBody,
                gives=Pruned,
            ),
            Call(
                "POST",
                "/erase",
                "Destroy the key of a workspace's fingerprints; `workspace` is its id.",
                self._erase,
                takes=EraseBody,
                gives=Erased,
            ),
        )

    async def _checkpoint(self, _: Arguments) -> Mapping[str, object]:
        """Everything that was recorded before is covered when this returns, if the device has a key."""
        await asyncio.to_thread(self._store.checkpoint)
        return {"signed": self._store.signs}

    async def _prune(self, given: Arguments) -> Mapping[str, object]:
        await self._callers.only_persons(given.request, "drop parts of the log")
        try:
            before = timestamp(datetime.fromisoformat(given.text("before")))
            retention = Retention(*(tuple(map(str, given.body.get(name) or ())) for name in ("sections", "kinds")))
        except (ValueError, TypeError):
            raise ControlRefused(
                400, "before is a time with a zone, sections and kinds are those of records."
            ) from None
        dropped = await asyncio.to_thread(self._store.prune, retention, before)
        self._store.note("control", metadata=retention.event(before, dropped))
        self._database.with_name("search.db").unlink(missing_ok=True)  # it has words of what was dropped
        return {"records": dropped}

    async def _erase(self, given: Arguments) -> Mapping[str, object]:
        """Requests that are under way end with the key that they began with."""
        await self._callers.only_persons(given.request, "erase fingerprints")
        workspace, name = given.text("workspace"), given.text("name", "")
        try:
            key = await asyncio.to_thread(self._keys.fingerprint_key, workspace)
            told = name_in_metadata(workspace, fingerprint_of(key, workspace))
            local = {"by": getpass.getuser(), "workspace": name or workspace}
            await self._store.durable("control", metadata=erasure_event(told), local=local)
            await asyncio.to_thread(self._keys.erase_fingerprints, workspace)
        except (LogUnavailable, RecordInvalid, KeysDamaged, KeychainUnavailable) as error:
            raise ControlRefused(503, f"Nothing was erased: {error}") from None
        self._memories.forget(workspace)
        return {"erased": told}
