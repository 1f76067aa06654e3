"""`localguard collector` and `fleet` as an operator uses them, with TLS, client certificates and a real guard that syncs."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from localguard.cli import background
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from tests.cli.conftest import COMMAND, RunLocally
from tests.collector.conftest import postgres
from tests.collector.postgres import Postgres

__all__ = ["postgres"]


@pytest.fixture
def guard(home: Home, port: int) -> Iterator[ControlClient]:
    home.create()
    child = background.start(home, port, None, home.log_dir / "serve.log")
    background.wait_until_running(home, port, child)
    yield ControlClient(home, port)
    child.terminate()
    child.wait(timeout=20)


@pytest.fixture
def place(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, localguard: RunLocally
) -> Iterator[Path]:
    """An empty database, named by the environment, and a directory with keys and certificates."""
    name = f"cli_{os.getpid()}_{time.monotonic_ns()}"
    subprocess.run(["psql", "-q", postgres.url(), "-c", f"CREATE DATABASE {name}"], check=True, timeout=30)
    monkeypatch.setenv("LOCALGUARD_DATABASE", postgres.url(name))
    monkeypatch.setenv("LOCALGUARD_COLLECTOR_KEY", str(tmp_path / "collector.key"))
    place = tmp_path / "tls"
    place.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(place / "ca.pem")
    server = authority.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(place / "server.pem")
    authority.issue_cert("device@example.org").private_key_and_cert_chain_pem.write_to_path(place / "client.pem")
    trustme.CA().cert_pem.write_to_path(place / "other-ca.pem")
    assert localguard("collector", "init")[0] == 0
    yield place
    subprocess.run(["psql", "-q", postgres.url(), "-c", f"DROP DATABASE {name} WITH (FORCE)"], check=False, timeout=30)


@pytest.fixture
def collector(place: Path) -> Iterator[str]:
    """A collector process that asks for client certificates; its address."""
    served = subprocess.Popen(
        [
            *COMMAND,
            "collector",
            "serve",
            "--port",
            "0",
            "--tls-cert",
            str(place / "server.pem"),
            "--client-ca",
            str(place / "ca.pem"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert served.stderr is not None
    line = served.stderr.readline()
    assert line.startswith("Collector on port "), line
    yield f"https://127.0.0.1:{line.split()[-1].rstrip('.')}"
    served.send_signal(signal.SIGTERM)
    assert served.wait(timeout=20) == 0


def token(localguard: RunLocally) -> str:
    code, out, _ = localguard("collector", "device", "enrol", "--team", "payments", "--name", "laptop")
    assert code == 0
    return out.strip()


def test_a_guard_syncs_over_tls_and_the_operator_sees_it(
    localguard: RunLocally, guard: ControlClient, collector: str, place: Path, home: Home, port: int
) -> None:
    at = ("--port", str(port))
    files = ("--ca-file", str(place / "ca.pem"), "--client-cert", str(place / "client.pem"))
    enable = ("sync", "enable", "--to", collector, "--level", "metadata", "--yes", "--from-start", *at)
    once = token(localguard)
    for wrong, words in (
        (("--token", once), "certificate"),
        (("--token", once, "--ca-file", str(place / "other-ca.pem")), "certificate"),
        (("--token", once, "--ca-file", str(place / "ca.pem")), "collector"),
        (("--token", "lge_wrong", *files), "token"),
        (files, "not enrolled"),
    ):
        code, _, err = localguard(*enable, *wrong)
        assert code == 1
        assert words in err
    assert not guard.call("GET", "/sync")["enabled"]
    assert localguard(*enable, "--token", once, *files)[0] == 0
    until = time.monotonic() + 20
    while not guard.call("GET", "/sync").get("size") and time.monotonic() < until:
        time.sleep(0.05)
    code, out, _ = localguard("collector", "device", "list", "--json")
    [device] = json.loads(out)
    assert (device["name"], device["team"], device["silent"], device["unverified"]) == (
        "laptop",
        "payments",
        False,
        None,
    )
    assert device["records"] >= 2
    code, out, _ = localguard("collector", "verify")
    assert (code, "ok" in out) == (0, True)
    code, out, _ = localguard("audit", "verify")
    assert code == 0
    assert "Unchanged since the checkpoint" in out
    code, out, _ = localguard("fleet", "report", "--json")
    assert (code, json.loads(out)["machines"]) == (0, [])
    assert localguard("fleet", "report")[0] == 0
    assert localguard("collector", "device", "revoke", device["device"])[0] == 0
    assert localguard("collector", "device", "revoke", "0" * 16)[0] == 2
    guard.call("POST", "/keys/example", action="set")
    guard.call("POST", "/sync/push")
    until = time.monotonic() + 20
    while guard.call("GET", "/sync")["code"] != "revoked" and time.monotonic() < until:
        time.sleep(0.05)
    assert guard.call("GET", "/sync")["code"] == "revoked"


def test_what_cannot_be_served_is_said(localguard: RunLocally, place: Path, tmp_path: Path) -> None:
    assert localguard("collector", "init")[0] == 0, "twice is fine"
    assert localguard("collector", "serve", "--host", "0.0.0.0")[0] == 2
    (tmp_path / "collector.key").write_bytes(b"short")
    assert localguard("collector", "serve")[0] == 2
    assert localguard("collector", "device", "list", "--database", "postgresql:///none?host=/nowhere")[0] == 3
    assert localguard("collector", "grant", "nobody")[0] == 2
    file = tmp_path / "policy.toml"
    file.write_text("version = 1\n")
    assert localguard("collector", "policy", str(file))[0] == 2
