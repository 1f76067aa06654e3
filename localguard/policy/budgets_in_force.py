"""Which budgets bind work: the smallest of all layers, those about models under all the names that the models have."""

from dataclasses import replace
from functools import lru_cache

from localguard.policy.layers import smallest_budgets
from localguard.policy.matching import glob_matches
from localguard.policy.model import Budget, Layer


@lru_cache(maxsize=64)
def in_force(layers: tuple[Layer, ...]) -> tuple[Budget, ...]:
    """The budgets that bind work under these layers; one about models counts them under all of their names."""
    aliases = [known for layer in layers for known in layer.models]
    found = []
    for budget in smallest_budgets(layers).values():
        if budget.models is None:
            found.append(budget)
            continue
        more = [name for known in aliases if glob_matches(budget.models, known.name) for name in known.aliases]
        found.append(replace(budget, models=tuple(dict.fromkeys((*budget.models, *more)))))
    return tuple(found)
