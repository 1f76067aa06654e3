"""A workspace's vault and what the claims of this room need to make samples: no sample is a literal."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pytest

from localguard.redact.report import Report
from localguard.redact.vault import Vault

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as `detect` makes it."""

    start: int
    end: int
    type: str = "PASSWORD"
    data_class: str = "secret"
    distinctive: bool = True
    rule: str = "test/sample"


def found(text: bytes, value: str, **fields: object) -> Found:
    """A finding of the first occurrence of `value` in `text`."""
    start = text.index(value.encode())
    return Found(start, start + len(value.encode()), **fields)  # type: ignore[arg-type]


def secret(seed: int = 1, length: int = 24) -> str:
    """A secret that looks like one, the same for the same seed."""
    letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"
    chosen = random.Random(seed)
    return "k7" + "".join(chosen.choice(letters) for _ in range(length - 2))


class Restorer(Protocol):
    def feed(self, text: str) -> str: ...
    def finish(self) -> str: ...


def in_pieces(restorer: Restorer, text: str, sizes: Sequence[int]) -> str:
    """What comes out when `text` goes in cut into pieces of `sizes`, over and over."""
    out: list[str] = []
    position = turn = 0
    while position < len(text):
        size = sizes[turn % len(sizes)]
        out.append(restorer.feed(text[position : position + size]))
        position, turn = position + size, turn + 1
    out.append(restorer.finish())
    return "".join(out)


@pytest.fixture
def vault() -> Vault:
    return Vault(KEY)


@pytest.fixture
def report() -> Report:
    return Report()


@pytest.fixture
def known(vault: Vault) -> Callable[..., str]:
    """Make a value known and return its placeholder."""

    def learn(value: str, type: str = "PASSWORD", data_class: str = "secret", distinctive: bool = True) -> str:
        return vault.placeholder_for(value, type, data_class=data_class, distinctive=distinctive)

    return learn
