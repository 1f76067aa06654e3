"""What tokens cost: a price per kind of token, tiers included, and what an exchange comes to. Exact decimals, in USD.

Prices are for a million tokens. A tier's price holds for all tokens of a request once its input is longer than the tier's
start, as providers bill long contexts (their price pages, read November 2026).
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

_BYTES_PER_TOKEN: Final = 3
"""Code and prose take 3 to 4 bytes a token; what is counted before the provider counts should not be too little."""
_MILLION_DIGITS: Final = 6
NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rate:
    """USD for a million tokens of one kind; `tiers` are (start in input tokens, USD for a million then), ascending."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """The rate of a request with this much input."""
        rate = self.base
        for start, dearer in self.tiers:
            if input_tokens > start:
                rate = dearer
        return rate


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one exchange. `input` is what was neither read from nor written to a cache; `cache_write_1h` is part of `cache_write`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, and where that is from."""

    input: Rate
    output: Rate
    cache_read: Rate
    cache_write: Rate
    cache_write_1h: Rate
    source: str
    """List and version, or the policy's table: what a record says of a cost."""
    known: bool = True
    """False where nobody gave a price for this model, and a high one stands in."""
    per_request: Decimal = NOTHING
    per_hour: Decimal = NOTHING
    """USD for an hour that the exchange takes: the energy of a local model."""

    @property
    def free(self) -> bool:
        """Whether nothing costs anything."""
        rates = (self.input, self.output, self.cache_read, self.cache_write, self.cache_write_1h)
        return not (self.per_request or self.per_hour or any(rate.base or rate.tiers for rate in rates))


def flat(
    source: str,
    *,
    input: Decimal,
    output: Decimal,
    cache_read: Decimal | None = None,
    cache_write: Decimal | None = None,
    known: bool = True,
) -> Price:
    """A price without tiers. Cache reads and writes cost what input costs where they are not given."""
    read = input if cache_read is None else cache_read
    write = input if cache_write is None else cache_write
    return Price(Rate(input), Rate(output), Rate(read), Rate(write), Rate(write), source, known)


UNKNOWN_INPUT: Final = Decimal(30)
UNKNOWN_OUTPUT: Final = Decimal(180)
"""USD for a million tokens of a model that nobody gave a price for: those of the dearest models in general use
(gpt-5.5-pro, November 2026). An unknown model may cost less and is never free."""


@dataclass(frozen=True, slots=True)
class PriceRule:
    """One `[[prices]]` table: these models cost this much, or as much as `like` does in the price list."""

    models: tuple[str, ...]
    endpoints: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    like: str | None = None
    """Name of another model of the price list: what an Azure deployment is a deployment of."""
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    per_request: Decimal = NOTHING
    file: str = ""
    line: int = 0

    def price(self) -> Price:
        """The price of a table that gives one."""
        made = flat(
            f"policy (line {self.line})",
            input=self.input or NOTHING,
            output=self.output or NOTHING,
            cache_read=self.cache_read,
            cache_write=self.cache_write,
        )
        return replace(made, per_request=self.per_request)


@dataclass(frozen=True, slots=True)
class Pricing:
    """`[pricing]`: what stands in where no price is known, and what local models cost."""

    unknown_input: Decimal | None = None
    unknown_output: Decimal | None = None
    local_per_hour: Decimal | None = None
    """USD for an hour of a local model's time: its energy."""
    line: int = 0

    def unknown(self, why: str = "no price is known for this model") -> Price:
        """The price of a model of which none is known."""
        given = self.unknown_input is not None or self.unknown_output is not None
        source = f"{f'policy (line {self.line})' if given else 'localguard default'}: {why}"
        return flat(
            source,
            input=UNKNOWN_INPUT if self.unknown_input is None else self.unknown_input,
            output=UNKNOWN_OUTPUT if self.unknown_output is None else self.unknown_output,
            known=False,
        )

    def local(self) -> Price:
        """The price of a model that computes on this machine."""
        made = flat("local model", input=NOTHING, output=NOTHING)
        if not self.local_per_hour:
            return made
        return replace(made, per_hour=self.local_per_hour, source=f"policy (line {self.line}): energy")


def cost(price: Price, tokens: Tokens, seconds: float = 0.0) -> Decimal:
    """What an exchange costs, in USD, exact but for the time (whole milliseconds)."""
    size = tokens.input + tokens.cache_read + tokens.cache_write
    long = min(tokens.cache_write_1h, tokens.cache_write)
    total = (
        price.input.at(size) * tokens.input
        + price.output.at(size) * tokens.output
        + price.cache_read.at(size) * tokens.cache_read
        + price.cache_write.at(size) * (tokens.cache_write - long)
        + price.cache_write_1h.at(size) * long
    ).scaleb(-_MILLION_DIGITS)
    if price.per_request:
        total += price.per_request
    if price.per_hour:
        total += price.per_hour * int(seconds * 1000) / 3_600_000
    return total


def ceiling(price: Price, input_tokens: int, output_tokens: int) -> Decimal:
    """The most that a request of this size can cost: input at its dearest rate, all output that it allows, a minute of time."""
    dearest = max(
        price.input.at(input_tokens), price.cache_write.at(input_tokens), price.cache_write_1h.at(input_tokens)
    )
    total = (dearest * input_tokens + price.output.at(input_tokens) * output_tokens).scaleb(-_MILLION_DIGITS)
    return total + price.per_request + price.per_hour / 60


def tokens_of(size: int) -> int:
    """How many tokens `size` bytes of text are counted as, where the provider has not counted them."""
    return -(-size // _BYTES_PER_TOKEN)


def spelled(amount: Decimal) -> str:
    """An amount as records spell it: decimal digits without exponent or trailing zeros, `0` for nothing."""
    return format(amount.normalize(), "f") if amount else "0"
