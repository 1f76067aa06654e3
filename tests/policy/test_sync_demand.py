"""A demand for sync holds work up until what it says was agreed to, and says what is missing."""

import pytest

from localguard.policy.model import Effect, Layer, LayerName, SyncDemand
from localguard.policy.sync_demand import Agreed, unmet

TO = "https://collector.example"


def layer(level: str = "metadata", to: str | None = None) -> Layer:
    return Layer(LayerName.ORGANISATION, Effect.DENY, sync=SyncDemand(("payments*",), level, to))


@pytest.mark.parametrize(
    ("demanding", "agreed", "words"),
    [
        (layer(), None, "nobody on this machine agreed"),
        (layer(to=TO), Agreed("metadata", "https://other.example"), "go elsewhere"),
        (layer("findings"), Agreed("metadata", TO), "only metadata"),
        (layer(), Agreed("findings", TO, ("pay*",)), "is excluded"),
    ],
)
def test_an_unmet_demand_says_what_is_missing_and_what_to_do(
    demanding: Layer, agreed: Agreed | None, words: str
) -> None:
    found = unmet([demanding], ["tools", "payments-api"], agreed)
    assert found is not None
    assert words in found.reason
    assert "payments-api" in found.reason
    assert "localguard sync enable" in found.next_step


@pytest.mark.parametrize(
    ("demanding", "workspaces", "agreed"),
    [
        (layer(), ["tools"], None),
        (Layer(LayerName.USER, Effect.DENY), ["payments"], None),
        (layer(), ["payments"], Agreed("metadata", TO)),
        (layer(to=TO + "/"), ["payments"], Agreed("findings", TO)),
        (layer(), ["payments"], Agreed("metadata", TO, ("private*",))),
    ],
)
def test_what_is_agreed_to_or_not_demanded_goes(demanding: Layer, workspaces: list[str], agreed: Agreed | None) -> None:
    assert unmet([demanding], workspaces, agreed) is None
