"""Break-glass: for some minutes, what is found is sent as it is. Only where every policy that is present says so."""

from collections.abc import Iterable

from localguard.policy.model import Layer, LayerName, Pausing


def pausing_allowed(layers: Iterable[Layer]) -> Pausing:
    """What `layers` allow together: the shortest time, and work that each of them lets be paused.

    The organisation's and the user's policy speak; a repository's says nothing about it. One that is silent allows nothing.
    """
    said = [layer.pause for layer in layers if layer.name is not LayerName.REPOSITORY]
    if not said:
        return Pausing()
    return Pausing(min(one.minutes for one in said), frozenset.intersection(*(one.sensitivity for one in said)))
