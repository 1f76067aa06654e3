"""`watcher.py HOME PORT REPORT`: the terminal UI, which writes down now and then how it does."""

import json
import sys
from pathlib import Path

from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from localguard.tui.app import GuardApp
from localguard.tui.connection import Connection


class Watcher(GuardApp):
    """Tells of itself twice a second."""

    def on_mount(self) -> None:
        """Begin; Textual calls the one of `GuardApp`, too."""
        self.set_interval(0.5, self._tell)

    def _tell(self) -> None:
        told = {"first_paint": self.first_paint, "held": len(self.exchanges)}
        Path(sys.argv[3]).write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    client = ControlClient(Home(Path(sys.argv[1])), int(sys.argv[2]))
    Watcher(lambda on_news: Connection(client, on_news)).run()
