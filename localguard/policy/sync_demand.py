"""Sync that a policy demands of work in some workspaces: refused until its developer agreed to it. Pure.

A demand sends nothing by itself. Consent stays the developer's; without it the work does not go to a model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from localguard.policy.matching import glob_matches
from localguard.policy.model import Layer


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a developer agreed to: level, address, and globs of work that is left out."""

    level: str
    to: str
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why work may not go yet, and what its developer can do about it."""

    layer: str
    reason: str
    next_step: str


def unmet(layers: Iterable[Layer], workspaces: Sequence[str], agreed: Agreed | None) -> Unmet | None:
    """The first demand of `layers` about any of these workspaces that what was `agreed` does not meet."""
    for layer in layers:
        demand = layer.sync
        named = [name for name in workspaces if demand is not None and glob_matches(demand.require, name)]
        if demand is None or not named:
            continue
        to = f" --to {demand.to}" if demand.to else ""
        step = (
            f"Look at `localguard sync preview`, then agree with `localguard sync enable{to} --level {demand.level}`."
        )
        about = f"The policy wants records of work in {named[0]} to be synced"
        if agreed is None:
            return Unmet(str(layer.name), f"{about}, and nobody on this machine agreed to that.", step)
        if demand.to is not None and demand.to.rstrip("/") != agreed.to.rstrip("/"):
            return Unmet(str(layer.name), f"{about} to {demand.to}, and they go elsewhere.", step)
        if demand.level == "findings" and agreed.level != "findings":
            return Unmet(str(layer.name), f"{about} with findings, and only metadata was agreed to.", step)
        if any(glob_matches(agreed.exclude, name) for name in named):
            return Unmet(str(layer.name), f"{about}, and it is excluded from sync.", f"{step} Do not exclude it.")
    return None
