"""One placeholder, one decision: turn it back, leave it, or refuse to write it into a file."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from localguard.redact import placeholder as placeholders
from localguard.redact.report import PlaceholderKept, Report, UnknownPlaceholder, Withheld
from localguard.redact.vault import Known, Vault

_RESEMBLES = re.compile(r"lg\\{0,8}_[a-z][a-z0-9_\\]{3,80}", re.IGNORECASE)
_MAX_LOOKUPS = 200  # near misses are counted for people; a text made of them needs no exact count
_ACTIVE = re.compile(r"[^A-Za-z0-9_.,:/@%+=-]|://")


def turn_back(
    placeholder: str,
    vault: Vault,
    report: Report,
    where: str,
    *,
    withhold: str | None = None,
    in_file: bool = False,
    every_class: bool = False,
) -> str | None:
    """Return the value of `placeholder`, an own one, or None where it stays; note either in `report`.

    With a reason to `withhold`, class secret stays and other classes are restored, unless `every_class` stays. Raises `UnknownPlaceholder` if the
    value is not known and the text goes `in_file`, `PlaceholderKept` where it is one that the report keeps.
    """
    known = vault.resolve(placeholder)
    if known is None:
        report.unknown.append(placeholder)
        if in_file:
            raise UnknownPlaceholder(placeholder)
        return None
    if report.keeps(known.type, known.data_class, where):
        if in_file:
            raise PlaceholderKept(placeholder)
        return None
    if withhold is not None and (every_class or known.data_class == "secret"):
        report.withheld.append(Withheld(known.type, known.data_class, where, withhold))
        return None
    report.restored[known.type] += 1
    return known.value


def restore_text(text: str, vault: Vault, turn: Callable[[str], str | None]) -> str:
    """Return `text` with each own placeholder replaced by what `turn` says; None leaves it."""
    parts: list[str] = []
    position = 0
    for start, end in placeholders.find(text, vault.is_own):
        value = turn(text[start:end])
        if value is not None:
            parts += (text[position:start], value)
            position = end
    if not parts:
        return text
    parts.append(text[position:])
    return "".join(parts)


def restore_strings(value: object, restore: Callable[[str], str]) -> object:
    """Return parsed JSON `value` with every string and object key passed through `restore`; the rest is untouched.

    Works without recursion, to any depth.
    """
    if isinstance(value, str):
        return restore(value)
    holder: list[Any] = [value]
    pending: list[tuple[Any, Any]] = [(holder, 0)]  # containers whose item at the key is still the caller's
    while pending:
        container, key = pending.pop()
        old = container[key]
        if isinstance(old, dict):
            new: Any = {restore(name): inner for name, inner in old.items()}
            keys: Iterable[Any] = list(new)
        elif isinstance(old, list):
            new = list(old)
            keys = range(len(new))
        else:
            continue
        container[key] = new
        for inner_key in keys:
            child = new[inner_key]
            if isinstance(child, str):
                new[inner_key] = restore(child)
            elif isinstance(child, dict | list):
                pending.append((new, inner_key))
    result: object = holder[0]
    return result


def known_in(value: object, vault: Vault) -> list[Known]:
    """Return what the own placeholders in parsed JSON `value` stand for, as far as known."""
    found: list[Known] = []

    def collect(text: str) -> str:
        for start, end in placeholders.find(text, vault.is_own):
            known = vault.resolve(text[start:end])
            if known is not None:
                found.append(known)
        return text

    restore_strings(value, collect)
    return found


def is_active(value: str) -> bool:
    """Say whether `value` could change what a command means or where an address leads once it stands there."""
    return _ACTIVE.search(value) is not None


def count_near_misses(text: str, vault: Vault) -> int:
    r"""Return how many spots in `text`, own placeholders taken out, only resemble a placeholder of this workspace.

    Case changed, underscores escaped (`LG\_…`), cut off after at least four characters of the tag, or a damaged check.
    """
    count = lookups = 0
    for spot in _RESEMBLES.finditer(text):
        plain = spot.group().replace("\\", "").upper()
        if placeholders.match(plain, 0, vault.is_own) is not None:
            count += 1
            continue
        tail = plain.rstrip("_").rpartition("_")[2]
        if 4 <= len(tail) <= placeholders.TAG_LENGTH and lookups < _MAX_LOOKUPS:
            lookups += 1
            count += vault.tags_starting(tail[: placeholders.VALUE_TAG_LENGTH])
    return count
