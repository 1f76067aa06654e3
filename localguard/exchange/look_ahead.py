"""What a person has to be asked before an event of a reply may be given: found out on copies, so that nothing has changed yet.

A reply cannot be taken back, so its event waits whole. The restorers of its calls go on in copies, with a report of their own
that notes which values an argument would be given if somebody said so.
"""

from collections.abc import Hashable, Mapping, Sequence

from localguard.redact.report import Report, ValuesWanted
from localguard.redact.restorer import ArgumentsRestorer, FreeformRestorer
from localguard.redact.vault import Vault
from localguard.wire.format import Delta, JsonObject, Reading, get_path
from localguard.wire.table import Kind

CallRestorer = ArgumentsRestorer | FreeformRestorer

CALLS = frozenset({Kind.ARGUMENTS, Kind.FREEFORM})
"""Kinds of channels that are tool calls."""


class AnswerNeeded(Exception):
    """An event cannot be given before somebody has answered what `wanted` names. Nothing of it was given yet."""

    def __init__(self, wanted: Sequence[ValuesWanted]) -> None:
        super().__init__()
        self.wanted = tuple(dict.fromkeys(wanted))


def call_restorer(delta: Delta, vault: Vault, report: Report) -> CallRestorer:
    """The restorer of a call's channel that begins with `delta`."""
    made = ArgumentsRestorer if delta.kind is Kind.ARGUMENTS else FreeformRestorer
    return made(vault, delta.tool, report)


def try_calls(
    value: JsonObject,
    reading: Reading,
    closing: set[Hashable],
    open_calls: Mapping[Hashable, CallRestorer],
    vault: Vault,
    trial: Report,
) -> None:
    """Have copies of the calls that an event continues or ends tell `trial` what they would want.

    `open_calls` are the calls under way. Raises UnknownPlaceholder as restoring would.
    """
    copies: dict[Hashable, CallRestorer] = {}
    for delta in reading.deltas:
        if delta.kind not in CALLS:
            continue
        copy = copies.get(delta.channel)
        if copy is None:
            begun = open_calls.get(delta.channel)
            copy = call_restorer(delta, vault, trial) if begun is None else begun.copy_for(trial)
            copies[delta.channel] = copy
        copy.feed(get_path(value, delta.path))
    for key in closing:
        begun = open_calls.get(key)
        ending = copies.get(key) or (None if begun is None else begun.copy_for(trial))
        if ending is not None:
            ending.finish()
