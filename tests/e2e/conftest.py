"""One provider and one guard for all claims that need no guard of their own, and the official SDKs as their clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guard import Guard, policy
from tests.provider.server import Provider


@pytest.fixture(scope="session")
def running_provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


@pytest.fixture
def provider(running_provider: Provider) -> Iterator[Provider]:
    """The provider, as new."""
    running_provider.reset()
    yield running_provider
    running_provider.reset()


@pytest.fixture(scope="session")
def guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard that many claims share: the built-in policy, all endpoints at the provider."""
    home: Path = tmp_path_factory.mktemp("guard") / "home"
    with Guard(home, policy(running_provider.port)) as started:
        yield started
