"""Object storage as a sink (S3-compatible, Google Cloud Storage, Azure), through obstore: one compressed object a batch, with its proofs.

    <prefix>/device=<id>/day=<yyyy-mm-dd>/<first>-<last>.jsonl.zst        day: when the batch was made

DuckDB, Spark, ClickHouse and Athena read them as they are (JSON lines; the first two lines of each are head and signature). Who may write
there is said by the environment, as the provider's own tools read it (`AWS_ACCESS_KEY_ID`, …); no credential is kept here. Without TLS
an endpoint is used on this machine only. An object
that is written twice holds the same records.
"""

import os
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from localguard.audit.checkpoint import read_checkpoint
from localguard.sync.agreement import LOOPBACK, Agreement, AgreementInvalid
from localguard.sync.batch import Batch
from localguard.sync.directory import compressed, file_name, span_of
from localguard.sync.sink import Receipt, SinkUnavailable

_PATIENCE = timedelta(seconds=20)


class ObjectSink:
    """Writes batches of `device` into `bucket`, an obstore store."""

    signs_of_life = False
    pause = 300.0
    """Five minutes: many small objects cost more than they say."""

    def __init__(self, bucket: Any, device: str) -> None:
        self._bucket = bucket
        self._place = f"device={device}"

    def resume(self) -> Receipt | None:
        """The last record of the object that reaches furthest."""
        import obstore

        end: int | None = None
        try:
            for page in obstore.list(self._bucket, prefix=f"{self._place}/"):
                ends = [span[1] for one in page if (span := span_of(str(one["path"]).rpartition("/")[2])) is not None]
                end = max([*ends, *([end] if end is not None else [])], default=None)
        except Exception as error:  # obstore's own errors quote addresses and more
            raise _unavailable(error) from None
        return Receipt(end) if end is not None else None

    def write(self, batch: Batch) -> Receipt:
        """One more object; stores acknowledge what is durable."""
        import obstore

        day = read_checkpoint(batch.head.note).time[:10]
        path = f"{self._place}/day={day}/{file_name(batch.head.first, batch.head.last)}"
        try:
            obstore.put(self._bucket, path, compressed(batch.data))
        except Exception as error:
            raise _unavailable(error) from None
        return Receipt(batch.head.last)

    def close(self) -> None:
        """A request that runs ends by itself, within half a minute."""


def object_sink(agreement: Agreement, device: str) -> ObjectSink:
    """The sink of an `s3://`, `gs://` or `az://` address. Raises AgreementInvalid where obstore is missing or takes no such address."""
    try:
        from obstore.store import from_url
    except ImportError:
        raise AgreementInvalid("Object storage needs the extra `objects`: pip install 'localguard[objects]'.") from None
    clear = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    try:
        bucket = from_url(
            agreement.to,
            client_options={
                "timeout": "30s",
                "connect_timeout": "10s",
                "allow_http": clear.scheme == "http" and clear.hostname in LOOPBACK,
            },
            retry_config={"max_retries": 2, "retry_timeout": _PATIENCE},
        )
    except Exception as error:
        raise AgreementInvalid(f"Object storage does not take this address ({type(error).__name__}).") from None
    return ObjectSink(bucket, device)


def _unavailable(error: Exception) -> SinkUnavailable:
    return SinkUnavailable(f"The object store could not be used ({type(error).__name__}).")
