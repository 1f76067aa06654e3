"""OpenTelemetry logs as a sink, over HTTP (OTLP 1.x, `POST /v1/logs`, binary protobuf; opentelemetry.io/docs/specs/otlp, read November 2026).

One log record for each record: its kind is the body, and disclosed metadata its attributes. There are no proofs: the leaf hash stands
with each record, but a backend that takes logs says nothing of what it holds, so what was acknowledged is remembered here, and
a batch whose acknowledgement was lost comes twice (attributes `localguard.device` and `localguard.seq` tell). Headers for the backend's
own authentication are read from `OTEL_EXPORTER_OTLP_HEADERS`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from localguard import __version__
from localguard.sync.agreement import Agreement, AgreementInvalid
from localguard.sync.batch import Batch, Line, open_batch
from localguard.sync.https import TIMEOUT, Connection
from localguard.sync.sink import Receipt, SinkRefused, SinkUnavailable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WARNING, _INFORMATION = 13, 9
"""Severity numbers: refusals and failures, and everything else."""
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_MOST_TEXT = 4_000


class OtlpSink:
    """Sends batches as log records. `held`: how many records were acknowledged before."""

    signs_of_life = False
    pause = 30.0

    def __init__(
        self, agreement: Agreement, *, held: int | None, env: Mapping[str, str], timeout: float = TIMEOUT
    ) -> None:
        try:
            import opentelemetry.proto.collector.logs.v1.logs_service_pb2 as messages
        except ImportError:
            raise AgreementInvalid("OpenTelemetry needs the extra `otlp`: pip install 'localguard[otlp]'.") from None
        self._messages: Any = messages
        self._parts = urlsplit(agreement.to)
        self._connection = Connection(self._parts, agreement, "The OpenTelemetry backend", timeout)
        self._held = held
        self._headers = _headers(env.get("OTEL_EXPORTER_OTLP_HEADERS", ""))

    def resume(self) -> Receipt | None:
        """What was acknowledged, as far as this machine remembers."""
        return Receipt(self._held) if self._held is not None else None

    def write(self, batch: Batch) -> Receipt:
        """Export one batch. Raises SinkRefused where the backend takes only a part of it, or none for good."""
        opened = open_batch(batch.data)
        request = self._messages.ExportLogsServiceRequest()
        resource = request.resource_logs.add()
        _put(
            resource.resource,
            {"service.name": "localguard", "service.version": __version__, "localguard.device": opened.head.device},
        )
        scope = resource.scope_logs.add()
        scope.scope.name = "localguard.audit"
        for line in opened.lines:
            _fill(scope.log_records.add(), line)
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": f"localguard/{__version__}", **self._headers}
        path = self._parts.path.rstrip("/") + "/v1/logs"
        status, after, raw = self._connection.exchange("POST", path, request.SerializeToString(), headers)
        if status in _AGAIN or status >= 500 or status < 200:
            raise SinkUnavailable(f"The OpenTelemetry backend answered with status {status}.", after)
        if status != 200:
            raise SinkRefused("backend", f"The OpenTelemetry backend refused with status {status}.")
        self._check(raw)
        self._held = batch.head.last
        return Receipt(batch.head.last)

    def close(self) -> None:
        """Cut the connection."""
        self._connection.close()

    def _check(self, raw: bytes) -> None:
        answer = self._messages.ExportLogsServiceResponse()
        try:
            answer.ParseFromString(raw)
        except Exception:
            raise SinkUnavailable("What answers there speaks no OTLP.") from None
        if answer.partial_success.rejected_log_records:
            count = answer.partial_success.rejected_log_records
            raise SinkRefused("backend", f"The OpenTelemetry backend took all but {count} records of a batch.")


def _fill(made: Any, line: Line) -> None:
    moment = datetime.fromisoformat(line.time)
    made.time_unix_nano = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    made.body.string_value = line.kind
    content = orjson.loads(line.metadata.text) if line.metadata.text is not None else {}
    failed = line.kind == "refusal" or content.get("state") in ("failed", "cut")
    made.severity_number = _WARNING if failed else _INFORMATION
    attributes: dict[str, Any] = {"localguard.seq": line.seq, "localguard.leaf": line.leaf_hash.hex()}
    attributes |= {f"localguard.{name}": value for name, value in content.items()}
    if line.findings.text is not None:
        attributes["localguard.findings"] = orjson.loads(line.findings.text)
    for kind, digests in (line.names or {}).items():
        attributes[f"localguard.names.{kind}"] = digests
    _put(made, attributes)


def _put(made: Any, attributes: Mapping[str, Any]) -> None:
    """Attributes as OTLP types them: texts, numbers and truths as they are, all else as JSON; null is left out."""
    for name, value in attributes.items():
        if value is None or value == [] or value == {}:
            continue
        entry = made.attributes.add()
        entry.key = name
        if isinstance(value, bool):
            entry.value.bool_value = value
        elif isinstance(value, int):
            entry.value.int_value = value
        else:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            entry.value.string_value = text[:_MOST_TEXT]


def _headers(text: str) -> dict[str, str]:
    """`name=value` pairs, separated by commas, percent-encoded, as the OpenTelemetry specification writes them."""
    pairs = (one.partition("=") for one in text.split(",") if "=" in one)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs if name.strip()}
