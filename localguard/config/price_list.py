"""Prices of models as genai-prices lists them: the list that is installed, never one that is fetched.

Reading the list takes a quarter of a second and 12 MB, so it is read when it is first asked, in the caller's thread.
What cannot be read or says something that is no price is no price: the caller then has a high one stand in.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from localguard.policy.price import NOTHING, Price, Rate

if TYPE_CHECKING:
    from genai_prices.types import Provider

_BY_KIND: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure-openai": "azure",
    "foundry": "azure",
    "gemini": "google",
}
"""Kinds of endpoints to the list's names of providers; Azure's falls back on OpenAI's, Anthropic's and others'."""
_BY_NAME: Final = (
    "openai",
    "anthropic",
    "google",
    "mistral",
    "x-ai",
    "deepseek",
    "moonshotai",
    "meta",
    "zai",
    "minimax",
    "cohere",
    "openrouter",
)
"""Whose models these may be where the address says nothing: a company's gateway, in this order."""
_LONGEST_NAME: Final = 200
_FRESH: Final = 60.0
"""Seconds. Some prices change with the hour of the day."""
_REMEMBERED: Final = 512


class PriceList:
    """The list. Safe to share between threads; `find` is quick once `load` has returned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._providers: dict[str, Provider] | None = None
        self._known: OrderedDict[tuple[str, str, str], tuple[float, Price | None]] = OrderedDict()
        self.version = ""
        self.damage: str | None = None
        """Why the list, or a price in it, cannot be used: the name of the error."""

    @property
    def loaded(self) -> bool:
        """Whether the list was read."""
        return self._providers is not None

    def load(self) -> None:
        """Read the list, once. Never raises: a list that cannot be read is empty, and `damage` says so."""
        with self._lock:
            if self._providers is not None:
                return
            try:
                from genai_prices import __version__
                from genai_prices.data_snapshot import get_snapshot

                self._providers = {provider.id: provider for provider in get_snapshot().providers}
                self.version = __version__
            except Exception as error:  # whatever is wrong with it
                self._providers = {}
                self.damage = type(error).__name__

    def find(self, kind: str, base_url: str, model: str, at: datetime) -> Price | None:
        """The price of a model at an endpoint of this kind and address, at a time; None where the list has none."""
        self.load()
        key = (kind, base_url, model)
        now = at.timestamp()
        with self._lock:
            held = self._known.get(key)
            if held is not None and 0 <= now - held[0] < _FRESH:
                return held[1]
            found = self._find(kind, base_url, model, at)
            self._known[key] = (now, found)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _find(self, kind: str, base_url: str, model: str, at: datetime) -> Price | None:
        if not self._providers or not model or len(model) > _LONGEST_NAME:
            return None
        names = [model, model.rpartition("/")[2]] if "/" in model else [model]
        try:
            everyone = list(self._providers.values())
            for provider, how in self._candidates(kind, base_url):
                for name in names:
                    found = provider.find_model(name.lower(), all_providers=everyone)
                    if found is not None:
                        source = f"genai-prices {self.version}: {provider.id}/{found.id}{how}"
                        return _price(found.get_prices(at), source)
        except Exception as error:  # a price list that is damaged is one that knows nothing
            self.damage = type(error).__name__
        return None

    def _candidates(self, kind: str, base_url: str) -> "Iterable[tuple[Provider, str]]":
        assert self._providers is not None
        by_address = [one for one in self._providers.values() if re.match(one.api_pattern, base_url)]
        if by_address:
            return [(one, "") for one in by_address]
        named = self._providers.get(_BY_KIND.get(kind, ""))
        if named is not None:
            return [(named, "")]
        return [(self._providers[name], " (by its name)") for name in _BY_NAME if name in self._providers]


def _price(listed: object, source: str) -> Price | None:
    """What the list says, if it prices text; ValueError for what is no price."""
    input = _rate(listed, "input_mtok")
    output = _rate(listed, "output_mtok")
    requests = _rate(listed, "requests_kcount")
    if input is None:
        return None
    write = _rate(listed, "cache_write_mtok") or input
    return Price(
        input=input,
        output=output or input,
        cache_read=_rate(listed, "cache_read_mtok") or input,
        cache_write=write,
        cache_write_1h=_rate(listed, "cache_write_1h_mtok") or write,
        source=source,
        per_request=requests.base / 1000 if requests else NOTHING,
    )


def _rate(listed: object, name: str) -> Rate | None:
    value = getattr(listed, name, None)
    if value is None:
        return None
    if isinstance(value, Decimal):
        return Rate(_checked(value))
    return Rate(_checked(value.base), tuple((int(tier.start), _checked(tier.price)) for tier in value.tiers))


def _checked(value: object) -> Decimal:
    if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
        raise ValueError("not a price")
    return value
