"""Where the switches of the routes are kept over restarts: `state/routes.json`, mode 0600."""

import json
from pathlib import Path

from localguard.config.home import Home, write_private
from localguard.policy.routes import RouteMode, Routes, routes_of


class RoutesFile:
    """The switches of one home. A file that cannot be read leaves only local endpoints on, until it is written again."""

    def __init__(self, home: Home) -> None:
        self._path: Path = home.state_dir / "routes.json"

    def read(self) -> tuple[Routes, str | None]:
        """The switches, and why the file could not be read if so."""
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return Routes(), None
        except (OSError, UnicodeDecodeError) as error:
            return Routes(
                RouteMode.LOCAL
            ), f"routes.json cannot be read ({type(error).__name__}): only local endpoints are on"
        try:
            stored = json.loads(text)
            return routes_of(stored["mode"], stored["off"]), None
        except (ValueError, KeyError, TypeError):
            return Routes(RouteMode.LOCAL), "routes.json is damaged: only local endpoints are on"

    def write(self, routes: Routes) -> None:
        """Keep them. Raises OSError; the old ones are kept then."""
        write_private(self._path, json.dumps({"mode": routes.mode, "off": sorted(routes.off)}).encode())
