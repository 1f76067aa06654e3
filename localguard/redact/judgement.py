"""The judgement of one tool argument as a whole: what of its placeholders is turned back, and how values are written there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from localguard.redact import placeholder as placeholders
from localguard.redact import places
from localguard.redact.places import Place
from localguard.redact.quoting import Spelled, spell_text, spell_words, written_text
from localguard.redact.report import Report, ValuesWanted
from localguard.redact.turnback import is_active, known_in, restore_strings, restore_text, turn_back
from localguard.redact.vault import Vault

MOST_SHOWN = 1000
"""Characters of an argument that a person is asked about: all of it, as nobody can allow what is not shown."""
MOST_ASKED = 20
"""Arguments of one reply that a person is asked about: who is asked more often does not read what they allow."""
_UNSURE = "it cannot be told how its value would be quoted there"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is done with the placeholders of one argument: `reason` is why its secrets stay, or None.

    `spelled` says, by text, what is written for each own placeholder of it; a text that is not named takes values exactly.
    """

    reason: str | None
    spelled: Mapping[str, Spelled]

    def of(self, text: str, vault: Vault) -> list[str | None]:
        """Return what is written for each own placeholder of `text`, in order; None where it stays."""
        named = self.spelled.get(text)
        if named is not None:
            return list(named)
        known = [vault.resolve(text[start:end]) for start, end in placeholders.find(text, vault.is_own)]
        return [None if one is None else one.value for one in known]


def judge_argument(value: object, tool: str, argument: str, vault: Vault) -> Judged:
    """Return whether the parsed `value` of `argument` reaches beyond this machine, and how values are written into it.

    Judged with its placeholders, and, where a value could change what a command means, once more with the values in.
    """
    place = places.FREEFORM_PLACE if argument == places.FREEFORM else places.place_of(tool, argument)
    reason = places.judge(place, tool, argument, value)
    spelled = _spellings(place, value, vault)
    judged = Judged(reason, spelled)
    if reason is None and any(is_active(known.value) for known in known_in(value, vault)):
        filled = restore_strings(value, lambda text: written_text(text, judged.of(text, vault), vault))
        if places.judge(place, tool, argument, filled) is not None:  # that reason could show part of a value
            judged = Judged("with its value in place it would do something else, or reach beyond this machine", spelled)
    return judged


def _spellings(place: Place, value: object, vault: Vault) -> dict[str, Spelled]:
    """Return how values are written into the texts of a command; texts of other places are not named."""
    if place not in (Place.SHELL, Place.ARGV, Place.COMMANDS):
        return {}
    if isinstance(value, str):
        return {value: spell_text(value, vault)}
    if isinstance(value, dict):
        return _spellings(place, value.get("command", value.get("cmd")), vault)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return {}
    texts = {} if place is Place.ARGV else {item: spell_text(item, vault) for item in value}
    words = {} if place is Place.COMMANDS else spell_words(value, vault)
    for item, spelled in words.items():  # of an array that may be either, what both agree on
        if texts.setdefault(item, spelled) != spelled:
            texts[item] = (None,) * len(spelled)
    return texts


def answered(judged: Judged, value: object, tool: str, argument: str, vault: Vault, report: Report) -> Judged:
    """Return `judged` as a person's answer has it, where one is asked about the secrets that it would withhold.

    Where nobody was asked yet, the report notes what is wanted, and the secrets stay. Asked about are commands and addresses,
    which say by themselves where a value would go; not what other arguments of unknown tools take elsewhere, not what cannot
    be quoted, and never credentials.
    """
    if judged.reason is None or not (report.asks or report.answers):
        return judged
    place = places.FREEFORM_PLACE if argument == places.FREEFORM else places.place_of(tool, argument)
    if place is Place.UNKNOWN or any(known.guarded for known in known_in(value, vault)):
        return judged
    types: list[str] = []

    def collect(text: str) -> str:
        spelled = judged.of(text, vault)
        for (start, end), one in zip(placeholders.find(text, vault.is_own), spelled, strict=True):
            known = vault.resolve(text[start:end])
            if one is not None and known is not None and known.data_class == "secret":
                types.append(known.type)
        return text

    restore_strings(value, collect)
    if not types or "secret" in report.kept:
        return judged
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return judged
    if len(text) > MOST_SHOWN:
        return Judged(
            f"it is too long to be shown to a person, who would have to allow it: {judged.reason}", judged.spelled
        )
    wanted = ValuesWanted(tool, argument, text, judged.reason, tuple(sorted(types)))
    answer = report.answers.get(wanted)
    if answer is None:
        if len(report.answers) + len(report.wanted) >= MOST_ASKED:
            return Judged(f"a person was asked {MOST_ASKED} times in this reply: {judged.reason}", judged.spelled)
        if report.asks:
            report.wanted.append(wanted)
        return judged
    return Judged(None if answer else f"nobody allowed it: {judged.reason}", judged.spelled)


def restore_judged(text: str, judged: Judged, vault: Vault, report: Report, where: str) -> str:
    """Return one whole text of a judged argument with its placeholders turned back as `judged` says."""
    spelled = iter(judged.of(text, vault))
    return restore_text(
        text, vault, lambda found: written(found, next(spelled), vault, report, where, reason=judged.reason)
    )


def written(
    found: str, spelled: str | None, vault: Vault, report: Report, where: str, *, reason: str | None
) -> str | None:
    """Return what is written for the placeholder `found` of a held argument, or None where it stays; note either."""
    if spelled is None:
        turn_back(found, vault, report, where, withhold=reason or _UNSURE, every_class=True)
        return None
    return None if turn_back(found, vault, report, where, withhold=reason) is None else spelled
