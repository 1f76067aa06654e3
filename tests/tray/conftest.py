"""Sessions that several tests share, and the provider behind their guards."""

import os
from collections.abc import Iterator

import pytest

from tests.provider.server import Provider
from tests.tray.desktop import SESSION, Desktop, lacking


@pytest.fixture(scope="session")
def running_provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """A D-Bus session without a display; where CI is set, it has to be there."""
    if (missing := lacking(*SESSION)) and not os.environ.get("CI"):
        pytest.skip(f"no {missing} here; see packaging/debian.sh")
    with Desktop(tmp_path_factory.mktemp("session") / "home") as desktop:
        desktop.session()
        yield desktop
