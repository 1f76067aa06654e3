"""Does the store still hold what was cosigned? Reads every record of a device back, in order, and makes the tree again."""

from dataclasses import dataclass

import asyncpg

from localguard.audit import record
from localguard.audit.checkpoint import CheckpointInvalid, PublicKey, is_cosigned, public_key, verify_checkpoint
from localguard.audit.merkle import Frontier


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one device. `problems` are sentences; none means that all records are there as they came."""

    device: str
    records: int
    checkpoints: int
    problems: tuple[str, ...]


async def verify_device(connection: asyncpg.Connection, device: str, collector: PublicKey | None = None) -> Checked:
    """Check one device's present epoch.

    1. Sequence numbers run from where sync began to the cursor, each once.
    2. Sections have the hashes that the leaves are made of; the leaves make the root of every cosigned checkpoint.
    3. Every checkpoint is signed by the device, and by `collector` if that is given.

    A history that began later than the log has no tree of its own before: its roots are compared with those of its checkpoints
    only where it begins with the first record.
    """
    row = await connection.fetchrow(
        "SELECT d.key, d.epoch, c.start, c.size, c.note FROM localguard.devices d"
        " JOIN localguard.cursors c ON c.device = d.device AND c.epoch = d.epoch WHERE d.device = $1",
        device,
    )
    if row is None:
        return Checked(device, 0, 0, ())
    key, problems = public_key(row["key"]), list[str]()
    notes = await connection.fetch(
        "SELECT size, root, note FROM localguard.checkpoints WHERE device = $1 AND epoch = $2 ORDER BY size",
        device,
        row["epoch"],
    )
    for one in notes:
        problems += _note_problems(one, key, collector)
    roots = {one["size"]: one["root"] for one in notes} if row["start"] == 0 else {}
    tree, expected = Frontier(), row["start"] + 1
    async with connection.transaction():
        async for stored in connection.cursor(_RECORDS, device, row["epoch"]):
            if stored["seq"] != expected:
                problems.append(f"record {stored['seq']} stands where {expected} should")
                break
            tree.append(_leaf_hash(stored))
            if expected in roots and tree.root() != roots[expected]:
                problems.append(f"the first {expected} records are not those that were cosigned")
                break
            expected += 1
    if not problems and expected != row["size"] + 1:
        problems.append(f"the store holds records up to {expected - 1}, and {row['size']} were acknowledged")
    return Checked(device, expected - 1 - row["start"], len(notes), tuple(problems))


def _note_problems(one: asyncpg.Record, key: PublicKey, collector: PublicKey | None) -> list[str]:
    note = one["note"].encode()
    try:
        checkpoint = verify_checkpoint(note, key)
    except CheckpointInvalid as invalid:
        return [f"the checkpoint of {one['size']} records: {invalid}"]
    problems = []
    if (checkpoint.size, checkpoint.root) != (one["size"], one["root"]):
        problems.append(f"the checkpoint of {one['size']} records states another tree")
    if collector is not None and not is_cosigned(note, collector):
        problems.append(f"the checkpoint of {one['size']} records is not cosigned by this collector")
    return problems


def _leaf_hash(stored: asyncpg.Record) -> bytes:
    hashes = []
    for name in ("metadata", "findings"):
        text, salt, hash = stored[name], stored[f"{name}_salt"], stored[f"{name}_hash"]
        hashes.append(hash if text is None else record.section_hash(salt, text))
    metadata, findings = hashes
    time = record.timestamp(stored["time"])
    leaf = record.leaf(stored["kind"], stored["seq"], time, metadata, findings, stored["local_hash"])
    return record.leaf_hash(leaf)


_RECORDS = (
    "SELECT seq, kind, time, metadata, metadata_salt, metadata_hash, findings, findings_salt, findings_hash, local_hash"
    " FROM localguard.records WHERE device = $1 AND epoch = $2 ORDER BY seq"
)
