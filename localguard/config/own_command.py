"""How this installation's `localguard` is started by other programs."""

import sys
from pathlib import Path


def own_command() -> tuple[str, ...]:
    """The script beside this Python, else the module: neither depends on `PATH`."""
    script = Path(sys.executable).with_name("localguard.exe" if sys.platform == "win32" else "localguard")
    return (str(script),) if script.exists() else (sys.executable, "-m", "localguard.cli.main")
