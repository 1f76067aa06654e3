"""Which `[[prices]]` table is about a model: the organisation's before the user's, the first in file order."""

from collections.abc import Iterable

from localguard.policy.matching import glob_matches
from localguard.policy.model import Endpoint, Layer, LayerName
from localguard.policy.price import PriceRule, Pricing


class PriceTables:
    """The prices that policy gives. A repository gives none: it could make its own work look cheap."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        given = sorted(
            (layer for layer in layers if layer.name is not LayerName.REPOSITORY), key=lambda layer: layer.name.rank
        )
        self._rules = tuple(rule for layer in given for rule in layer.prices)
        self._models = tuple(known for layer in given for known in layer.models)
        self.pricing = next((layer.pricing for layer in given if layer.pricing != Pricing()), Pricing())

    def canonical(self, model: str) -> str:
        """What policy calls a model that an endpoint calls otherwise: a deployment, a dated version."""
        return next((known.name for known in self._models if glob_matches(known.aliases, model)), model)

    def find(self, endpoint: Endpoint, model: str) -> PriceRule | None:
        """The table about this model at this endpoint, or None. `model` may be any of its names."""
        if (known := self._find(endpoint, model)) is not None:
            return known
        return self._find(endpoint, self.canonical(model))

    def _find(self, endpoint: Endpoint, model: str) -> PriceRule | None:
        return next((rule for rule in self._rules if _matches(rule, endpoint, model)), None)


def _matches(rule: PriceRule, endpoint: Endpoint, model: str) -> bool:
    return (
        glob_matches(rule.models, model)
        and (rule.endpoints is None or glob_matches(rule.endpoints, endpoint.name))
        and (rule.kinds is None or endpoint.kind in rule.kinds)
    )
