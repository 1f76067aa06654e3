"""Logs to send, and what reads them as a guard does."""

from pathlib import Path

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.store import Store
from localguard.sync.log_reader import Bounds, LogReader
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, REFUSAL, SetClock

KEY = DeviceKey(bytes(range(32)))
TIME = "2026-01-31T09:00:00.000000Z"


def write_log(path: Path, exchanges: int, *, key: DeviceKey = KEY, prefix: str = "x", model: str = "gpt-5") -> None:
    """Append exchanges to the log at `path`: intent and outcome each, a refusal for every tenth, all in one session."""
    with Store.open(path, clock=SetClock()) as store:
        store.sign_with(key)
        for number in range(exchanges):
            id = f"{prefix}{number}"
            store.note(
                "intent",
                exchange=id,
                session="s1",
                metadata={**INTENT, "model": model},
                findings=FINDINGS,
                local=INTENT_LOCAL,
            )
            if number % 10 == 9:
                store.note("refusal", exchange=id, session="s1", metadata=REFUSAL, local=INTENT_LOCAL)
            else:
                store.note("outcome", exchange=id, session="s1", metadata=OUTCOME, local=OUTCOME_LOCAL)


def reader(
    path: Path, *, key: DeviceKey = KEY, records: int = 1_000, instance: str = "i1", bytes: int = 1 << 21
) -> LogReader:
    return LogReader(
        path,
        key=key,
        names_key=b"n" * 32,
        instance=instance,
        clock=lambda: TIME,
        bounds=Bounds(records=records, bytes=bytes),
    )
