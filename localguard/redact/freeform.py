"""Restoring placeholders in tool input that is free text and not JSON: patches, and whatever a custom tool takes."""

import copy
from typing import Self

from localguard.redact import placeholder as placeholders
from localguard.redact import places
from localguard.redact.judgement import Judged, answered, judge_argument, restore_judged
from localguard.redact.places import Place
from localguard.redact.report import Report
from localguard.redact.turnback import count_near_misses, turn_back
from localguard.redact.vault import Vault

_MAX_JUDGED = 1024 * 1024


class FreeformRestorer:
    """One call of a tool whose input is free text; values go in as they are.

    `apply_patch` and its like are file content: restored at once, whatever they contain, and `feed` raises
    `UnknownPlaceholder` rather than write a placeholder into a file. The input of any other tool is held from its first
    placeholder until `finish`, and judged like a shell command. Text that was cut off is judged as far as it came.
    """

    def __init__(self, vault: Vault, tool: str, report: Report) -> None:
        self._vault = vault
        self._tool = tool
        self._report = report
        self._place = places.freeform_place(tool)
        self._pending = ""
        self._before: list[str] = []  # received, up to what is held; of file content without its placeholders
        self._held: list[str] | None = None  # from the first placeholder on

    @property
    def holds(self) -> bool:
        """Whether the input waits for its end to be judged, or may have to: a placeholder may have begun."""
        return self._held is not None or bool(self._pending)

    def copy_for(self, report: Report) -> Self:
        """A restorer that goes on from here and tells `report`: this one stays as it is."""
        made = copy.copy(self)
        made._report, made._before = report, list(self._before)
        made._held = None if self._held is None else list(self._held)
        return made

    def feed(self, text: str) -> str:
        """Take the next piece of text and return what can be emitted."""
        if self._held is not None:
            self._held.append(text)
            return ""
        self._pending += text
        return self._advance(final=False)

    def finish(self) -> str:
        """Return the rest; nothing may be fed afterwards."""
        emitted = "" if self._held is not None else self._advance(final=True)
        if self._place is Place.FILE_CONTENT:
            self._report.near_misses += count_near_misses("".join(self._before), self._vault)
            return emitted
        if self._held is None:
            return emitted
        held = "".join(self._held)
        whole = "".join(self._before) + held
        if len(whole) > _MAX_JUDGED:
            judged = Judged("it is too long to judge", {})
        else:
            judged = judge_argument(whole, self._tool, places.FREEFORM, self._vault)
            judged = answered(judged, whole, self._tool, places.FREEFORM, self._vault, self._report)
            judged = Judged(judged.reason, {held: tuple(judged.of(whole, self._vault))})  # before it there are none
        return emitted + restore_judged(held, judged, self._vault, self._report, self._tool)

    def _advance(self, *, final: bool) -> str:
        data = self._pending
        parts: list[str] = []
        position = clean = 0
        while True:
            start = data.find("L", position)
            if start < 0:
                start = len(data)
                break
            end = placeholders.match(data, start, self._vault.is_own)
            if end is None:
                short = not final and len(data) - start < placeholders.MAX_LENGTH
                if short and placeholders.may_continue(data[start:]):
                    break
                position = start + 1
                continue
            if self._place is not Place.FILE_CONTENT:
                self._held = [data[start:]]
                break
            value = turn_back(data[start:end], self._vault, self._report, self._tool, in_file=True)
            self._before.append(data[clean:start] + " ")
            parts += (data[clean:start], value or "")
            position = clean = end
        self._before.append(data[clean:start])
        parts.append(data[clean:start])
        self._pending = data[start:] if self._held is None else ""
        return "".join(parts)


def restore_freeform(text: str, tool: str, vault: Vault, report: Report) -> str:
    """Return the whole free-text input of `tool` restored; raises `UnknownPlaceholder`."""
    restorer = FreeformRestorer(vault, tool, report)
    return restorer.feed(text) + restorer.finish()
