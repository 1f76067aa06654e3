"""OpenTelemetry logs carry what was agreed to, remember what was acknowledged, and say when a backend does not take it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import opentelemetry.proto.collector.logs.v1.logs_service_pb2 as messages
import pytest
from aiohttp import web

from localguard.config.home import Home
from localguard.sync.agreement import Agreement, Agreements
from localguard.sync.otlp import OtlpSink
from localguard.sync.sender import Pace, Sender, Step
from localguard.sync.sink import SinkRefused, SinkUnavailable
from tests.sync.logs import TIME, reader, write_log


@dataclass
class Backend:
    """Takes logs, and answers as it is told to."""

    url: str = ""
    status: int = 200
    rejected: int = 0
    records: list[dict[str, str]] = field(default_factory=list)
    authorization: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.authorization = request.headers.get("Authorization", "")
        sent = messages.ExportLogsServiceRequest()
        sent.ParseFromString(await request.read())
        if self.status != 200:
            return web.Response(status=self.status, headers={"Retry-After": "7"})
        for resource in sent.resource_logs:
            for record in resource.scope_logs[0].log_records:
                told = {one.key: one.value.string_value or str(one.value.int_value) for one in record.attributes}
                self.records.append({**told, "body": record.body.string_value, "severity": str(record.severity_number)})
        reply = messages.ExportLogsServiceResponse()
        reply.partial_success.rejected_log_records = self.rejected
        return web.Response(body=reply.SerializeToString(), content_type="application/x-protobuf")


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    made = Backend()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/otel/v1/logs", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"otlp+http://127.0.0.1:{runner.addresses[0][1]}/otel"
    yield made
    await runner.cleanup()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    write_log(home.audit_db, 20)
    return home


async def run(home: Home, backend: Backend, level: str = "metadata") -> Step:
    agreement = Agreement(to=backend.url, level=level, agreed=TIME)
    env = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x"}
    sink = OtlpSink(agreement, held=Agreements(home).progress().size, env=env)
    one = Sender(
        reader(home.audit_db, records=15), sink, agreement, Agreements(home), now=lambda: TIME, pace=Pace(between=0)
    )
    while (step := await asyncio.to_thread(one.step)).sent:
        pass
    one.close()
    return step


async def test_each_record_is_a_log_record_with_what_was_agreed_to(home: Home, backend: Backend) -> None:
    assert (await run(home, backend)).problem is None
    assert [one["localguard.seq"] for one in backend.records] == [str(seq) for seq in range(1, 42)]
    assert backend.records[0]["localguard.model"] == "gpt-5"
    assert not any("localguard.findings" in one or "acme" in str(one) for one in backend.records)
    assert {one["severity"] for one in backend.records if one["body"] == "refusal"} == {"13"}
    assert backend.authorization == "Bearer x"
    assert (await run(home, backend)).problem is None
    assert len(backend.records) == 41, "what was acknowledged is not sent again by a new process"


async def test_findings_go_where_they_were_agreed_to(home: Home, backend: Backend) -> None:
    await run(home, backend, "findings")
    assert '"type":"GITHUB_TOKEN"' in backend.records[0]["localguard.findings"]


@pytest.mark.parametrize(
    ("status", "rejected", "error"),
    [
        (503, 0, SinkUnavailable),
        (429, 0, SinkUnavailable),
        (401, 0, SinkRefused),
        (302, 0, SinkRefused),
        (200, 3, SinkRefused),
    ],
)
async def test_what_a_backend_does_not_take_is_not_acknowledged(
    home: Home, backend: Backend, status: int, rejected: int, error: type[Exception]
) -> None:
    backend.status, backend.rejected = status, rejected
    step = await run(home, backend)
    assert isinstance(step.problem, error)
    assert Agreements(home).progress().size is None
    if status == 429:
        assert step.wait >= 7
