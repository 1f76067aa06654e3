"""The switches outlast a restart; a damaged file leaves only local endpoints on."""

import stat
import sys
from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.config.routes_file import RoutesFile
from localguard.policy.routes import RouteMode, Routes


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def test_what_was_written_is_read_again(home: Home) -> None:
    assert RoutesFile(home).read() == (Routes(), None)
    routes = Routes(RouteMode.LOCAL, frozenset({"openai", "ollama"}))
    RoutesFile(home).write(routes)
    assert RoutesFile(home).read() == (routes, None)
    if sys.platform != "win32":
        assert stat.S_IMODE((home.state_dir / "routes.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"mode": "open", "off": []}', '{"mode": "policy", "off": [1]}', '{"mode": "policy"', "\udcff"],
)
def test_a_damaged_file_leaves_only_local_endpoints_on(home: Home, text: str) -> None:
    (home.state_dir / "routes.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    routes, error = RoutesFile(home).read()
    assert routes.mode is RouteMode.LOCAL
    assert error is not None
