"""Object storage holds each record once as JSON lines that others read, whatever the store does meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

import duckdb
import pytest
from aiohttp import web

from localguard.config.home import Home
from localguard.sync.agreement import Agreement, AgreementInvalid, Agreements
from localguard.sync.batch import open_batch
from localguard.sync.directory import decompressed
from localguard.sync.objects import object_sink
from localguard.sync.sender import Pace, Sender
from localguard.sync.sink import SinkUnavailable
from tests.sync.logs import KEY, TIME, reader, write_log


class Bucket:
    """As much of S3 as a sink needs: PUT of an object, and listing with a prefix."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.failing = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        name = unquote(request.path.removeprefix("/bucket").lstrip("/"))
        if request.method == "PUT":
            self.objects[name] = await request.read()
            return web.Response(headers={"ETag": '"1"'})
        prefix = request.query.get("prefix", "")
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{TIME}</LastModified><Size>{len(data)}</Size><ETag>1</ETag></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return web.Response(text=f"<ListBucketResult>{found}<IsTruncated>false</IsTruncated></ListBucketResult>")


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    made = Bucket()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{rest:.*}", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "AWS_REGION": "nowhere",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "key",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield made
    await runner.cleanup()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    write_log(home.audit_db, 60)
    return home


def sender(home: Home) -> Sender:
    agreement = Agreement(to="s3://bucket/audit", level="findings", agreed=TIME)
    sink = object_sink(agreement, KEY.public.device)
    made = reader(home.audit_db, records=50)
    return Sender(made, sink, agreement, Agreements(home), now=lambda: TIME, pace=Pace(between=0))


async def test_every_record_is_there_once_and_others_read_it(bucket: Bucket, home: Home, tmp_path: Path) -> None:
    for _ in range(4):  # a new process each time
        assert (await asyncio.to_thread(sender(home).step)).problem is None
    place = f"audit/device={KEY.public.device}/day={TIME[:10]}/"
    assert set(bucket.objects) == {
        f"{place}{first:012}-{last:012}.jsonl.zst" for first, last in ((1, 50), (51, 100), (101, 121))
    }
    opened = [open_batch(decompressed(bucket.objects[name]), KEY.public) for name in sorted(bucket.objects)]
    assert [one.before for one in opened[1:]] == [one.checkpoint.root for one in opened[:-1]]
    for name, data in bucket.objects.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    query = (
        "SELECT kind, count(*), count(DISTINCT seq), any_value(device), min(day) FROM"
        f" read_json('{tmp_path}/audit/**/*.jsonl.zst', hive_partitioning = true, union_by_name = true)"
        " WHERE seq IS NOT NULL GROUP BY kind ORDER BY kind"
    )
    rows = duckdb.connect().execute(query).fetchall()
    assert [(kind, count, distinct) for kind, count, distinct, _, _ in rows] == [
        ("checkpoint", 1, 1),
        ("intent", 60, 60),
        ("outcome", 54, 54),
        ("refusal", 6, 6),
    ]


async def test_a_store_that_fails_is_tried_again_and_holds_everything_once(bucket: Bucket, home: Home) -> None:
    one = sender(home)
    sent = 0
    for failing in (0, 9, 0, 9, 0, 0, 0, 0):
        bucket.failing = failing
        step = await asyncio.to_thread(one.step)
        assert step.problem is None or isinstance(step.problem, SinkUnavailable)
        assert "127.0.0.1" not in str(step.problem)
        sent += step.sent
    assert sent == 121
    lines = [
        line.seq for name in sorted(bucket.objects) for line in open_batch(decompressed(bucket.objects[name])).lines
    ]
    assert lines == list(range(1, 122))


def test_an_address_that_no_object_store_has_is_refused() -> None:
    with pytest.raises(AgreementInvalid):
        object_sink(Agreement(to="nowhere://bucket", level="metadata", agreed=TIME), "d")
