"""Redaction may be paused only where every policy that is present says so, and for no longer than each of them says."""

import itertools

from localguard.policy.model import Effect, Layer, LayerName, Pausing, Sensitivity
from localguard.policy.pause import pausing_allowed

PUBLIC, INTERNAL, SENSITIVE = Sensitivity.PUBLIC, Sensitivity.INTERNAL, Sensitivity.SENSITIVE


def layer(name: LayerName, minutes: int = 0, *sensitivity: Sensitivity) -> Layer:
    return Layer(name=name, default=Effect.ALLOW, pause=Pausing(minutes, frozenset(sensitivity)))


def test_silence_allows_nothing() -> None:
    user = layer(LayerName.USER, 30, PUBLIC)
    assert pausing_allowed([]).minutes == 0
    assert pausing_allowed([layer(LayerName.USER)]).minutes == 0
    assert pausing_allowed([layer(LayerName.ORGANISATION), user]).minutes == 0


def test_the_meet_counts_whatever_the_order() -> None:
    layers = [layer(LayerName.ORGANISATION, 15, PUBLIC, INTERNAL), layer(LayerName.USER, 60, INTERNAL, SENSITIVE)]
    for order in itertools.permutations(layers):
        assert pausing_allowed(order) == Pausing(15, frozenset({INTERNAL}))


def test_a_repository_has_no_say() -> None:
    user = layer(LayerName.USER, 30, PUBLIC)
    assert pausing_allowed([user, layer(LayerName.REPOSITORY)]) == user.pause
    assert pausing_allowed([layer(LayerName.USER), layer(LayerName.REPOSITORY, 30, PUBLIC)]).minutes == 0
