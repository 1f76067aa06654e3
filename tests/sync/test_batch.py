"""A batch proves every record that it holds, shows what its level says and nothing else, and does not survive a change."""

import json
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.store import Store
from localguard.sync.batch import BatchInvalid, open_batch
from localguard.sync.disclosure import MAX_SECTION, Disclosure
from tests.audit.samples import INTENT, INTENT_LOCAL, OUTCOME, SetClock
from tests.sync.logs import KEY, reader, write_log

LOCAL_TEXTS = (
    b"github.com/acme",
    b"incident/42",
    b"/src/payments",
    b"rg -n settings",
    b"AGENTS.md",
    b"0123456789abcdef01234567",
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sync") / "audit.db"
    write_log(path, 150)
    return path


def test_batches_follow_each_other_without_gap_and_end_where_the_log_does(path: Path) -> None:
    made, end, root = reader(path, records=64), 0, None
    size = made.size()
    while end < size:
        opened = open_batch(made.batch(end, Disclosure("metadata")).data, KEY.public)
        assert opened.head.first == end + 1
        assert root is None or opened.before == root
        assert [line.seq for line in opened.lines] == list(range(end + 1, opened.head.last + 1))
        end, root = opened.head.last, opened.checkpoint.root
    assert root == made.root(size)


@pytest.mark.parametrize(
    ("level", "open_sections"), [("metadata", ("metadata",)), ("findings", ("metadata", "findings"))]
)
def test_a_level_opens_its_sections_and_no_other(path: Path, level: str, open_sections: tuple[str, ...]) -> None:
    batch = reader(path).batch(0, Disclosure("findings" if level == "findings" else "metadata"))
    for line in open_batch(batch.data).lines:
        for name in ("metadata", "findings", "local"):
            assert (getattr(line, name).text is not None) is (name in open_sections)
    assert not any(text in batch.data for text in LOCAL_TEXTS)
    assert (b'"place":"input[3].output"' in batch.data) is (level == "findings")


def test_local_names_go_as_keyed_digests_where_agreed(path: Path) -> None:
    batch = reader(path).batch(0, Disclosure("metadata", names=True))
    lines = open_batch(batch.data).lines
    assert set(lines[0].names or ()) == {"repository", "branch", "commit"}
    assert set(lines[1].names or ()) == {"command", "file"}
    assert lines[0].names == lines[2].names, "the same names make the same digests"
    assert not any(text in batch.data for text in LOCAL_TEXTS)


@pytest.mark.parametrize("glob", ["private", "priv*", "github.com/me/*"])
def test_of_excluded_work_nothing_but_hashes_goes_in_whatever_record_it_stands(tmp_path: Path, glob: str) -> None:
    path = tmp_path / "audit.db"
    secret = {**INTENT, "workspace": "private", "cost_bucket": "b-1"}
    there = {**INTENT_LOCAL, "repository": "github.com/me/private"}
    with Store.open(path, clock=SetClock()) as store:
        store.append("intent", exchange="a", session="s-a", metadata=secret, local=there)
        store.append("intent", exchange="b", session="s-b", metadata=INTENT, local=INTENT_LOCAL)
        store.append("outcome", exchange="a", session="s-a", metadata=OUTCOME)
        store.append("outcome", exchange="b", session="s-b", metadata=OUTCOME)
        store.append("control", session="s-a", metadata={"event": "session-outcome", "detail": {"result": "accepted"}})
        store.append(
            "control", metadata={"event": "task", "detail": {"workspace": "private"}}, local={"workspace": "private"}
        )
        store.append("control", metadata={"event": "start"})
        if glob.startswith("priv"):
            store.append("control", metadata={"event": "metadata-calls", "calls": [{"workspace": "private"}]})
    batch = reader(path).batch(0, Disclosure("findings", exclude=(glob,)))
    shown = [line.seq for line in open_batch(batch.data).lines if line.metadata.text is not None]
    expected = [2, 4, 7] if glob.startswith("priv") else [2, 4, 6, 7]
    assert shown == expected
    assert b"b-1" not in batch.data
    assert batch.held_back == open_batch(batch.data).head.last - len(expected)


def test_a_question_about_work_whose_intent_has_not_come_may_be_about_excluded_work(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.append("control", exchange="a", metadata={"event": "ask", "detail": {"rule": "user/private-asks"}})
    assert b"private-asks" in reader(path).batch(0, Disclosure("metadata")).data
    assert b"private-asks" not in reader(path).batch(0, Disclosure("metadata", exclude=("private",))).data


def test_pruned_sections_go_as_hashes(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    write_log(path, 3)
    from localguard.audit.retention import Retention

    with Store.open(path, clock=SetClock()) as store:
        store.prune(Retention(), "2030-01-01T00:00:00.000000Z")
    lines = open_batch(reader(path).batch(0, Disclosure("findings")).data).lines
    assert all(line.metadata.text is None for line in lines if line.kind != "checkpoint")


def test_a_section_that_is_too_large_goes_as_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.append("control", metadata={"event": "x", "reason": "a" * MAX_SECTION})
        store.append("control", metadata={"event": "y"})
    batch = reader(path).batch(0, Disclosure("metadata"))
    assert [line.metadata.text is None for line in open_batch(batch.data).lines] == [True, False]
    assert len(batch.data) < 4096


def test_a_batch_is_bounded_in_bytes(path: Path) -> None:
    batch = reader(path, bytes=10_000).batch(0, Disclosure("metadata"))
    assert 5_000 < len(batch.data) < 15_000


def test_a_sign_of_life_holds_the_tree_and_no_record(path: Path) -> None:
    made = reader(path)
    size = made.size()
    opened = open_batch(made.batch(size, Disclosure("metadata")).data)
    assert (opened.lines, opened.checkpoint.size, opened.before) == ((), size, opened.checkpoint.root)


CHANGES: list[Callable[[list[bytes]], object]] = [
    lambda lines: lines.__setitem__(4, lines[4].replace(b"gpt-5", b"gpt-4")),
    lambda lines: lines.__delitem__(5),
    lambda lines: lines.insert(5, lines[4]),
    lambda lines: lines.__setitem__(slice(4, 6), [lines[5], lines[4]]),
    lambda lines: lines.__setitem__(0, lines[0].replace(b'"level":"metadata"', b'"level":"findings"')),
    lambda lines: lines.__setitem__(1, lines[1].replace(b"a", b"b")),
    lambda lines: lines.__setitem__(0, b"[]"),
    lambda lines: lines.__setitem__(0, b"\xff"),
    lambda lines: lines.__setitem__(1, b"{}"),
    lambda lines: lines.clear(),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_change_on_the_way_is_found(path: Path, number: int) -> None:
    lines = reader(path).batch(0, Disclosure("metadata")).data.split(b"\n")
    CHANGES[number](lines)
    with pytest.raises(BatchInvalid):
        open_batch(b"\n".join(lines), KEY.public)


def resigned(data: bytes, change: Callable[[list[dict[str, object]]], object], key: DeviceKey = KEY) -> bytes:
    """A batch whose records were changed by somebody who has the key: signed anew, with the old checkpoint."""
    import hashlib

    head, _, *lines = [orjson.loads(line) for line in data.splitlines()]
    change(lines)
    body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    first = orjson.dumps({**head, "records_sha256": hashlib.sha256(body).hexdigest()})
    return first + b'\n{"signature":"%s"}\n' % key.sign_bytes(b"batch 1", first).hex().encode() + body


RESIGNED: list[tuple[str, Callable[[list[dict[str, object]]], object]]] = [
    ("root", lambda lines: lines[2].update(time="2026-02-01T08:15:00.000000Z")),
    ("root", lambda lines: lines[2].update(metadata={"hash": "00" * 32})),
    ("leaf", lambda lines: lines[2].update(metadata={"hash": "00" * 31})),
    ("leaf", lambda lines: lines[2].update(metadata={"salt": "00" * 16})),
    ("form", lambda lines: lines[2].update(more=1)),
    ("order", lambda lines: lines[2].update(kind="other")),
    ("order", lambda lines: lines.pop()),
    ("root", lambda lines: lines.__setitem__(slice(2, 4), [{**lines[3], "seq": 3}, {**lines[2], "seq": 4}])),
]


@pytest.mark.parametrize(("code", "change"), RESIGNED)
def test_even_with_the_key_records_cannot_differ_from_the_signed_tree(
    path: Path, code: str, change: Callable[[list[dict[str, object]]], object]
) -> None:
    data = reader(path).batch(0, Disclosure("metadata")).data
    assert open_batch(resigned(data, lambda lines: None)).lines
    with pytest.raises(BatchInvalid) as raised:
        open_batch(resigned(data, change))
    assert raised.value.code == code


def test_a_batch_of_another_device_is_refused(path: Path) -> None:
    data = reader(path).batch(0, Disclosure("metadata")).data
    with pytest.raises(BatchInvalid, match="another device"):
        open_batch(data, DeviceKey(bytes(32)).public)


def test_every_line_is_json_that_others_read(path: Path) -> None:
    data = reader(path).batch(0, Disclosure("findings", names=True)).data
    for line in data.splitlines():
        json.loads(line)
