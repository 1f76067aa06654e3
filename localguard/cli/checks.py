"""The checks of `localguard doctor`, each a function from the home and the port to a result. None changes anything."""

import base64
import hashlib
import json
import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from localguard.config.home import Home
from localguard.errors import LocalguardError


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `next_step` is empty where nothing is to be done."""

    name: str
    verdict: Verdict
    said: str
    next_step: str = ""


def run_checks(home: Home, port: int) -> Iterator[Check]:
    """Yield one result a check, in order; a check that breaks is a failed check."""
    for name, check in CHECKS:
        try:
            verdict, said, next_step = check(home, port)
        except LocalguardError as error:
            verdict, said, next_step = Verdict.FAIL, str(error), ""
        except Exception as error:  # its text could hold anything
            verdict, said = Verdict.FAIL, f"the check itself broke ({type(error).__name__})"
            next_step = "Please report this with the output of `localguard --version`."
        yield Check(name, verdict, said, next_step)


_Result = tuple[Verdict, str, str]


def _python(home: Home, port: int) -> _Result:
    said = f"Python {'.'.join(map(str, sys.version_info[:3]))}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < (3, 37):  # STRICT tables
        return Verdict.FAIL, said, "SQLite 3.37 or newer is needed: use a newer Python build."
    return Verdict.OK, said, ""


def _home(home: Home, port: int) -> _Result:
    if not home.root.exists():
        return Verdict.OK, f"{home.root} is not there yet; the guard makes it at its first start", ""
    if sys.platform == "win32":
        return Verdict.OK, str(home.root), ""
    wrong = []
    for path in (home.root, home.rules_dir, home.state_dir, home.log_dir, home.control_token, home.audit_db):
        if not path.exists():
            continue
        found = path.stat()
        if found.st_uid != os.geteuid():
            return Verdict.FAIL, f"{path} belongs to another user", "Choose another home with --home."
        private = path not in (home.root, home.rules_dir)
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO if private else stat.S_IWGRP | stat.S_IWOTH):
            wrong.append(str(path))
    if wrong:
        return Verdict.FAIL, f"others can get at {', '.join(wrong)}", f"Run: chmod go-rwx {' '.join(wrong)}"
    return Verdict.OK, f"{home.root} is this user's alone", ""


def _keys(home: Home, port: int) -> _Result:
    import keyring  # looked at only: opening the keys could replace a lost root key

    file = home.state_dir / "keys.json"
    if not file.exists():
        return Verdict.OK, "no root key yet; the guard makes it when it needs one", ""
    if json.loads(file.read_bytes())["backend"] == "keychain":
        backend = type(keyring.get_keyring())
        if backend.__module__.startswith(("keyring.backends.null", "keyring.backends.fail")):
            said = "the root key is in a keychain, and this session has none"
            return Verdict.FAIL, said, "Log in to the desktop session, or set LOCALGUARD_KEYRING=off for a new key."
        return Verdict.OK, f"the root key is in the keychain ({backend.__module__.rsplit('.', 1)[-1]})", ""
    if not (home.state_dir / "master.key").exists():
        said = "the file with the root key is gone"
        return Verdict.WARN, said, "Start the guard; it makes a new root key and says which keys to set again."
    said = "the root key is in a file, protected by its permissions only"
    return Verdict.WARN, said, "With a desktop keychain, programs that copy the disk cannot read it."


def _key_age(home: Home, port: int) -> _Result:
    from localguard.cli.clock import days_since
    from localguard.config.keys import ROTATE_AFTER_DAYS, Keys

    stored = Keys(home, env=os.environ).list()
    old = [key.name for key in stored if (days_since(key.created) or 0) > ROTATE_AFTER_DAYS]
    if old:
        said = f"stored for more than {ROTATE_AFTER_DAYS} days: {', '.join(old)}"
        return Verdict.WARN, said, f"Make a new one at the provider, then `localguard key rotate {old[0]}`."
    return Verdict.OK, f"{len(stored)} endpoint keys, none older than {ROTATE_AFTER_DAYS} days", ""


def _port(home: Home, port: int) -> _Result:
    from localguard.proxy.control_client import ControlClient

    if ControlClient(home, port).is_running():
        return Verdict.OK, f"the guard of this home serves on {port}", ""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        if not _is_free(family, address, port):
            said = f"another program listens on {address} port {port}"
            return Verdict.FAIL, said, "End it, or use another port: `localguard serve --port 4142`."
    return Verdict.OK, f"{port} is free; no guard runs", ""


def _is_free(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            return probe.connect_ex((address, port)) != 0
    except OSError:  # no IPv6 here
        return True


def _policy(home: Home, port: int) -> _Result:
    from localguard.config.policy_files import PolicyInvalid, load_layers

    try:
        layers = load_layers(home)
    except PolicyInvalid as error:
        return Verdict.FAIL, str(error.problems[0]), "See all problems with `localguard policy check`."
    layer = layers[-1]
    said = f"{layer.file} is valid ({len(layer.rules)} rules, {len(layer.endpoints)} endpoints)"
    if (above := layers[0]).expires is not None:
        said += f"; revision {above.revision} of {above.organisation} holds until {above.expires.isoformat()}"
    return Verdict.OK, said, ""


def _log(home: Home, port: int) -> _Result:
    from localguard.audit.verify import verify

    if not home.audit_db.exists():
        return Verdict.OK, "no log yet; the guard makes it at its first start", ""
    report = verify(home.audit_db)
    if not report.consistent:
        return (
            Verdict.FAIL,
            report.verdict,
            "See the steps with `localguard audit verify`, and keep the file as evidence.",
        )
    return Verdict.OK, f"internally consistent, {report.records} records", ""


def _engines(home: Home, port: int) -> _Result:
    from localguard.proxy.scan_pool import build_scanner

    scanner = build_scanner([home.rules_dir])
    scanner.load()
    made_up = base64.b32encode(hashlib.sha256(b"localguard doctor").digest()).decode()[:36]  # never issued
    if not scanner.scan(f"GITHUB_TOKEN=gh{'p_'}{made_up}\n".encode()):
        return (
            Verdict.FAIL,
            "a token in its simplest form was not found",
            "Reinstall localguard; look at your own rules.",
        )
    return Verdict.OK, "rules and engines load, and find a sample token", ""


def _extras(home: Home, port: int) -> _Result:
    import importlib.util

    from localguard.config.policy_files import load_policy
    from localguard.detect.names_engine import NamesEngine

    names = load_policy(home.policy_file).names
    if names is not None:
        NamesEngine(names.path, names.language, names.entities).load()
    said = (
        "names of persons and places are found by the policy's language model"
        if names
        else ("no language model for names of persons and places")
    )
    step = (
        "" if names else 'For names: get a spaCy pipeline, and give its directory as [names] model = "…" in the policy.'
    )
    if importlib.util.find_spec("pypdf") is None:
        said += "; attached PDFs cannot be read"
        step = "For PDFs: pip install 'localguard[documents]'. " + step
    return Verdict.OK, said, step


def _tray(home: Home, port: int) -> _Result:
    from localguard.tray.backends import look

    found = look(os.environ)
    if found.backend is not None:
        return Verdict.OK, f"an icon can be shown by {found.backend}", ""
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")) and sys.platform == "linux":
        return Verdict.OK, "no desktop here, so no icon in a panel", ""
    return Verdict.WARN, "no icon can be shown in the desktop's panel", found.said


def _environment(home: Home, port: int) -> _Result:
    around = variables_around(os.environ, port)
    if around:
        said = f"{', '.join(around)} in this shell name other addresses than the guard"
        return Verdict.WARN, said, "Start agents with `localguard run -- COMMAND`, or unset the variables."
    return Verdict.OK, "no variable of a known agent points around the guard", ""


def variables_around(environment: Mapping[str, str], port: int) -> list[str]:
    """Return the names of base-URL variables that are set to something else than the guard on this port."""
    from localguard.cli.agent_environment import VARIABLES, points_to_guard

    return [
        variable.name
        for variable in VARIABLES
        if environment.get(variable.name) and not points_to_guard(environment[variable.name], port)
    ]


def _agents(home: Home, port: int) -> _Result:
    from localguard.config.agents import direct_connections

    direct = direct_connections(port)
    if direct:
        said = ", ".join(f"{agent.name} (pid {agent.pid}) is connected to {agent.remote}" for agent in direct)
        return Verdict.WARN, said, "`localguard agents connect NAME`, or start them with `localguard run -- COMMAND`."
    return Verdict.OK, "no running agent is seen to go around the guard", ""


def _around(name: str) -> Callable[[Home, int], _Result]:
    """A check of `checks_around`, loaded when it runs."""

    def check(home: Home, port: int) -> _Result:
        from localguard.cli import checks_around

        verdict, said, next_step = getattr(checks_around, name)(home, port)
        return Verdict(verdict), said, next_step

    return check


CHECKS: tuple[tuple[str, Callable[[Home, int], _Result]], ...] = (
    ("python", _python),
    ("home", _home),
    ("keys", _keys),
    ("key age", _key_age),
    ("port", _port),
    ("policy", _policy),
    ("log", _log),
    ("detectors", _engines),
    ("extras", _extras),
    ("tray", _tray),
    ("clock", _around("clock")),
    ("disk", _around("disk")),
    ("environment", _environment),
    ("agents' settings", _around("pointed")),
    ("agents", _agents),
    ("endpoints", _around("reachable")),
)
"""Name and function, in the order in which they run."""
