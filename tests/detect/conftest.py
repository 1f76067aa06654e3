"""One scanner with all rules and engines for the whole room: loading it takes a second."""

import pytest

from localguard.detect.scanner import Scanner
from localguard.proxy.scan_pool import build_scanner


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    built = build_scanner()
    built.load()
    return built
