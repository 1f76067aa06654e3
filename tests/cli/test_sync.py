"""`localguard sync`: nothing goes before a yes, exactly what the preview shows goes after it, and nothing after a no."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.audit.queries import Log
from localguard.audit.store import Store
from localguard.cli import background
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from localguard.sync.batch import open_batch
from localguard.sync.directory import check, decompressed
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, SetClock
from tests.cli.conftest import RunLocally


@pytest.fixture
def log(home: Home) -> Home:
    """A home whose log has some records and that no guard runs for."""
    home.create()
    with Store.open(home.audit_db, clock=SetClock()) as store:
        for number in range(4):
            store.note("intent", exchange=f"x{number}", metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL)
            store.note("outcome", exchange=f"x{number}", metadata=OUTCOME, local=OUTCOME_LOCAL)
    return home


@pytest.fixture
def guard(log: Home, port: int) -> Iterator[ControlClient]:
    child = background.start(log, port, None, log.log_dir / "serve.log")
    background.wait_until_running(log, port, child)
    yield ControlClient(log, port)
    child.terminate()
    child.wait(timeout=20)


def batches(root: Path) -> list[bytes]:
    return [decompressed(path.read_bytes()) for path in sorted(root.glob("*/*.zst"))]


def events(home: Home) -> list[dict[str, object]]:
    with Log(home.audit_db) as log:
        told = [one.metadata or {} for one in log.tail(50, kind="control")]
    return [one["detail"] for one in told if one["event"] == "sync-consent"]


def test_without_a_yes_nothing_is_agreed_sent_or_recorded(localguard: RunLocally, log: Home, tmp_path: Path) -> None:
    code, out, _ = localguard("sync", "status")
    assert (code, "no record leaves" in out) == (0, True)
    code, _, _ = localguard("sync", "enable", "--to", (tmp_path / "out").as_uri(), "--level", "metadata")
    assert code == 1, "nobody answered"
    assert localguard("sync", "push")[0] == 2
    assert not (tmp_path / "out").exists()
    assert not (log.state_dir / "sync.json").exists()
    assert not events(log)


@pytest.mark.parametrize("level", ["metadata", "findings"])
def test_what_is_sent_is_what_the_preview_showed(localguard: RunLocally, log: Home, tmp_path: Path, level: str) -> None:
    code, out, _ = localguard("sync", "preview", "--level", level, "-n", "20", "--json")
    assert code == 0
    shown = {line.seq: line for line in open_batch(out.encode()).lines}
    assert len(shown) == 8
    to = (tmp_path / "out").as_uri()
    assert localguard("sync", "enable", "--to", to, "--level", level, "--from-start", "--yes")[0] == 0
    code, out, _ = localguard("sync", "push")
    assert (code, "10 records" in out) == (0, True)
    sent = {line.seq: line for data in batches(tmp_path / "out") for line in open_batch(data).lines}
    assert {seq: line for seq, line in sent.items() if seq in shown} == shown
    assert events(log) == [{"agreed": True, "to": "file://", "level": level, "names": False, "excluded": 0, "since": 0}]


def test_the_preview_names_every_field_and_sends_nothing(localguard: RunLocally, log: Home) -> None:
    code, out, _ = localguard("sync", "preview", "--level", "findings", "--names")
    assert code == 0
    assert "local: not sent, only its hash" in out
    fields = next(line for line in out.splitlines() if line.startswith("Fields of metadata"))
    assert set(INTENT) | set(OUTCOME) <= set(fields.removeprefix("Fields of metadata: ").split(", "))
    assert "Fields of findings: action, class, count, exposed, fingerprint, place, rule, type" in out
    assert "github.com/acme" not in out
    assert "Nothing was sent." in out


def test_by_default_only_records_from_the_consent_on_go(localguard: RunLocally, log: Home, tmp_path: Path) -> None:
    localguard("sync", "enable", "--to", (tmp_path / "out").as_uri(), "--level", "metadata", "--yes")
    localguard("sync", "push")
    [data] = batches(tmp_path / "out")
    consent, checkpoint = open_batch(data).lines
    assert json.loads(consent.metadata.text or b"")["event"] == "sync-consent"
    assert checkpoint.kind == "checkpoint"


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("http://collector.example", "use https"),
        ("ftp://x", "Records go to"),
        ("https://user:word@collector.example", "no user"),
        ("file://relative/path", "absolute"),
        ("s3://", "names no host"),
        ("https://collector.example/?a=b", "query"),
    ],
)
def test_an_address_that_will_not_do_is_wrong_use(localguard: RunLocally, log: Home, to: str, words: str) -> None:
    code, _, err = localguard("sync", "enable", "--to", to, "--level", "metadata", "--yes")
    assert code == 2
    assert words in err


def test_a_damaged_agreement_sends_nothing_and_can_be_ended(localguard: RunLocally, log: Home) -> None:
    (log.state_dir / "sync.json").write_text('{"to": "file:///tmp/x"')
    assert localguard("sync", "push")[0] == 2
    assert "cannot be read" in localguard("sync", "status")[2]
    assert localguard("sync", "disable")[0] == 0
    assert not (log.state_dir / "sync.json").exists()


def test_a_running_guard_sends_records_until_it_is_told_to_stop(
    localguard: RunLocally, guard: ControlClient, log: Home, port: int, tmp_path: Path
) -> None:
    at = ("--port", str(port))
    to = (tmp_path / "out").as_uri()
    assert localguard("sync", "enable", "--to", to, "--level", "metadata", "--yes", "--from-start", *at)[0] == 0
    until = time.monotonic() + 20
    while not (told := guard.call("GET", "/sync")).get("size") and time.monotonic() < until:
        time.sleep(0.05)
    assert told["enabled"]
    assert told["size"] >= 9
    assert told["problem"] is None
    assert localguard("sync", "disable", *at)[0] == 0
    place = next((tmp_path / "out").iterdir())
    seqs = [line.seq for opened in check(place) for line in opened.lines]
    assert seqs == list(range(1, len(seqs) + 1))
    guard.call("POST", "/checkpoint")
    time.sleep(0.2)
    assert [line.seq for opened in check(place) for line in opened.lines] == seqs, "nothing goes after disable"
    assert [event["agreed"] for event in events(log)] == [True, False]
    assert not guard.call("GET", "/sync")["enabled"]
