"""What all tests share: property tests have no deadline, since a busy machine would fail them for its own sake; long files go first."""

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

LONGEST = (
    "tests/proxy/test_kill.py",
    "tests/e2e/test_canary.py",
    "tests/e2e/test_budgets.py",
    "tests/e2e/test_opencode.py",
)
LONG = (
    "tests/e2e/",
    "tests/proxy/",
    "tests/review/",
    "tests/cli/",
    "tests/tui/",
    "tests/tray/",
    "tests/collector/",
)  # rooms whose tests start guards


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes long first, so that no worker is left with a long file when the others are done."""
    items.sort(key=lambda item: (not item.nodeid.startswith(LONGEST), not item.nodeid.startswith(LONG)))
