"""`localguard audit`: anchors from files and addresses, and what it hands out."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.parquet import check_parquet
from localguard.audit.queries import Log
from localguard.audit.store import Store
from localguard.audit.verify import verify
from localguard.config.home import Home
from localguard.config.keys import Keys
from tests.audit.samples import INTENT, OUTCOME, SetClock
from tests.cli.conftest import RunLocally

KEY = DeviceKey(bytes(range(32)))


@pytest.fixture
def anchor(home: Home) -> bytes:
    """A log of a checkpoint after two records, and two records after it; the checkpoint."""
    home.create()
    with Store.open(home.audit_db, clock=SetClock()) as store:
        store.sign_with(KEY)
        for exchange in ("x1", "x2"):
            store.append("intent", exchange=exchange, metadata=INTENT).result(10)
            store.append("outcome", exchange=exchange, metadata=OUTCOME).result(10)
            store.checkpoint()
    with Log(home.audit_db) as log:
        first = log.tail(10, kind="checkpoint")[0].metadata
    assert first is not None
    return str(first["note"]).encode()


class _Pages(BaseHTTPRequestHandler):
    pages: dict[str, tuple[int, bytes]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        status, body = self.pages.get(self.path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/anchor")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(anchor: bytes) -> Iterator[str]:
    _Pages.pages = {"/anchor": (200, anchor), "/moved": (302, b"")}
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_anchor_is_read_from_a_file_or_an_address(
    localguard: RunLocally, anchor: bytes, site: str, tmp_path: Path
) -> None:
    (tmp_path / "anchor").write_bytes(anchor)
    for place in (str(tmp_path / "anchor"), f"{site}/anchor"):
        code, out, _ = localguard("audit", "verify", "--anchor", place)
        assert code == 0
        assert "ok   the log extends every anchor" in out
        assert "Unchanged since the checkpoint of 2026-01-31" in out
        assert "Of the 4 records after it this shows only that they are internally consistent." in out


def test_an_anchor_that_cannot_be_had_is_said_and_nothing_is_claimed(
    localguard: RunLocally, anchor: bytes, site: str, tmp_path: Path
) -> None:
    refused = {
        f"{site}/none": "status 404",
        f"{site}/moved": "status 302",
        "http://checkpoints.example/anchor": "begins with https://",
        "https://user@checkpoints.example/anchor": "no credentials",
        "https://127.0.0.1:1/anchor": "cannot be fetched from 127.0.0.1",
        "file:///etc/hostname": "begins with https://",
        str(tmp_path / "none"): "cannot be read",
    }
    for place, said in refused.items():
        code, out, err = localguard("audit", "verify", "--anchor", place)
        assert (code, out) == (2, "")
        assert said in err


def test_parquet_goes_to_a_file_and_is_proven(localguard: RunLocally, anchor: bytes, tmp_path: Path) -> None:
    target = tmp_path / "log.parquet"
    code, out, _ = localguard(
        "audit", "export", "--format", "parquet", "--sections", "metadata", "--output", str(target)
    )
    assert (code, out) == (0, "")
    assert check_parquet(target, KEY.public).records == 5


def test_without_a_guard_the_command_destroys_the_key_itself_and_says_so_in_the_log(
    localguard: RunLocally, home: Home, anchor: bytes
) -> None:
    (home.root / "policy.toml").write_text(
        'version = 1\n[[workspaces]]\nname = "payments"\nmatch = { paths = ["/srv/p"] }\n'
    )
    keys = Keys(home, env={"LOCALGUARD_KEYRING": "off"})
    before = keys.fingerprint_key("payments")
    assert localguard("audit", "erase", "--workspace", "payments")[0] == 1  # nobody says yes
    assert localguard("audit", "erase", "--workspace", "nobody", "--yes")[0] == 2
    assert localguard("audit", "erase", "--yes")[0] == 2  # the current directory is in no workspace
    assert keys.fingerprint_key("payments") == before
    assert localguard("audit", "erase", "--workspace", "payments", "--yes")[0] == 0
    assert keys.fingerprint_key("payments") != before
    with Log(home.audit_db) as log:
        metadata = log.tail(1)[0].metadata
    assert metadata is not None
    assert (metadata["event"], metadata["detail"]["workspace"]) == ("erase", "payments")
    assert verify(home.audit_db, anchors=[anchor]).consistent


def test_the_tail_is_narrowed_by_kind_session_and_time(localguard: RunLocally, home: Home) -> None:
    home.create()
    clock = SetClock()
    with Store.open(home.audit_db, clock=clock) as store:
        for number, session in enumerate(("a", "b", "a")):
            store.append("intent", exchange=f"x{number}", session=session, metadata=INTENT).result(10)
            store.append("outcome", exchange=f"x{number}", session=session, metadata=OUTCOME).result(10)
            clock.move(days=1)

    def seqs(*filters: str) -> list[int]:
        return [json.loads(line)["seq"] for line in localguard("audit", "tail", "--json", *filters)[1].splitlines()]

    assert seqs() == [1, 2, 3, 4, 5, 6]
    assert seqs("--session", "a") == [1, 2, 5, 6]
    assert seqs("--session", "a", "--kind", "intent", "--since", "2026-02-01") == [5]
    assert seqs("--since", "2026-02-01", "-n", "2") == [5, 6]
    assert localguard("audit", "tail", "--since", "yesterday")[0] == 2


@pytest.mark.skipif(os.name != "posix", reason="a terminal")
def test_who_waits_at_a_terminal_sees_a_bar(home: Home, anchor: bytes) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "localguard.cli.main", "audit", "verify"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, timeout=60, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "records" in shown
    assert "100%" in shown
    assert b"Internally consistent: 6 records." in done.stdout


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_whoever_has_an_export_checks_it_by_itself(
    localguard: RunLocally, anchor: bytes, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "log"
    localguard("audit", "export", "--format", kind, "--sections", "metadata", "--output", str(target))
    code, out, _ = localguard("audit", "check", str(target), "--key", KEY.public.encoded())
    assert code == 0
    assert out.startswith("5 records are among the 5 of the checkpoint of 2026-01-31T08:15:00")
    assert json.loads(localguard("audit", "check", str(target), "--json")[1])["device"] == KEY.public.device
    other = DeviceKey(bytes(32)).public.encoded()
    assert "another device" in localguard("audit", "check", str(target), "--key", other)[2]
    assert localguard("audit", "check", str(target), "--key", "nonsense")[0] == 2
    changed = target.read_bytes().replace(b"gpt-5", b"gpt-4")
    target.write_bytes(changed if kind == "jsonl" else target.read_bytes()[:-20])
    assert localguard("audit", "check", str(target))[0] == 1
    for nothing in (b"", b"\xff\n", b"{}\n"):
        target.write_bytes(nothing)
        assert localguard("audit", "check", str(target))[0] == 1
    assert localguard("audit", "check", str(tmp_path / "none"))[0] == 2
