"""A commit's trailers name the sessions at work in its work tree, and nothing local."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from localguard.audit.commit_work import Work, trailers, work_in
from localguard.audit.queries import Log
from localguard.audit.store import Store
from tests.audit.samples import INTENT, INTENT_LOCAL, SetClock

POLICY = "ab" * 32


def test_the_newest_sessions_models_classes_and_policies_are_named_once() -> None:
    work = [Work(f"s-{number // 2}", "/r", "gpt-5", "hosted", POLICY) for number in range(10)]
    assert trailers(work) == [
        "Agent-Session: s-0",
        "Agent-Session: s-1",
        "Agent-Session: s-2",
        "Agent-Model: gpt-5",
        "Agent-Endpoint-Class: hosted",
        "Agent-Policy: abababababababab",
    ]
    assert trailers([]) == []


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("/data/models/secret-project/qwen.gguf", "qwen.gguf"),
        ("C:\\models\\secret-project\\qwen.gguf", "qwen.gguf"),
        ("~/secret-project/qwen", "qwen"),
        ("org/model:7b-q4", "org/model:7b-q4"),
        ("a\nSigned-off-by: somebody", None),
        ("x" * 500, None),
        ("", None),
    ],
)
def test_a_model_that_is_a_file_is_named_without_its_place(model: str, told: str | None) -> None:
    assert trailers([Work(None, "/r", model, None, None)]) == ([f"Agent-Model: {told}"] if told else [])


@pytest.mark.parametrize("session", ["/src/secret", "a b", "a\nX: y", "x" * 200, "\x1b[2J", ""])
def test_a_session_id_that_may_say_anything_is_left_out(session: str) -> None:
    assert trailers([Work(session, "/r", "m", "Sec ret", "/src")]) == ["Agent-Model: m"]


def test_only_the_last_half_hour_of_this_work_tree_counts(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    clock = SetClock()
    with Store.open(tmp_path / "audit.db", clock=clock) as store:
        for session, place in (("s-old", root), ("s-link", tmp_path / "link"), ("s-other", tmp_path), ("s-new", root)):
            local = {**INTENT_LOCAL, "root": str(place)}
            store.append("intent", exchange=session, session=session, metadata=INTENT, local=local).result()
            clock.move(minutes=20)
    now = clock() - timedelta(minutes=20)
    with Log(tmp_path / "audit.db") as log:
        assert [one.session for one in work_in(log, root, now - timedelta(minutes=15))] == ["s-new", "s-link"]
        assert [one.session for one in work_in(log, root, now.astimezone(UTC))] == ["s-new"]
        assert work_in(log, root, datetime(2027, 1, 1, tzinfo=UTC)) == []
