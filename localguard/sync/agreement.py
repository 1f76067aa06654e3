"""What a developer agreed to, and how far it was carried out: two small files in the state directory, both without content.

sync.json            the agreement; no file, no sync
sync-progress.json   what the sink holds, and how the last attempt went; may be lost
sync-anchor.txt      the last checkpoint that a collector cosigned, for `audit verify`
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localguard.audit.checkpoint import CheckpointInvalid, read_checkpoint
from localguard.config.home import Home, write_private
from localguard.errors import LocalguardError
from localguard.sync.disclosure import LEVELS, Disclosure

SCHEMES = ("https", "http", "file", "s3", "gs", "az", "otlp+https", "otlp+http")
"""http is for a collector on this machine only."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class AgreementInvalid(LocalguardError):
    """What is to be agreed to, or the file that says what was, cannot be used."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where records go, and what of them."""

    to: str
    level: str
    agreed: str
    """When, RFC 3339."""
    names: bool = False
    exclude: tuple[str, ...] = ()
    since: int = 0
    """Records up to this one stay here."""
    ca_file: str | None = None
    """The only authorities that are believed, instead of the system's."""
    client_cert: str | None = None
    """A PEM file with certificate and key, where the collector asks for one."""
    collector_key: str | None = None
    """The key that a collector's receipts have to be signed with."""

    @property
    def disclosure(self) -> Disclosure:
        """What of a record goes."""
        return Disclosure("findings" if self.level == "findings" else "metadata", self.names, self.exclude)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. Times are RFC 3339; `code` is a word of `SinkRefused` where the sink refuses for good."""

    size: int | None = None
    """Records that the sink holds, from the log's beginning on; None where it has not said yet."""
    sent: str | None = None
    """When something was acknowledged last."""
    problem: str | None = None
    code: str | None = None
    failures: int = 0


def check_address(to: str) -> str:
    """The address as it is used. Raises AgreementInvalid for what is no place to send records to."""
    parts = urlsplit(to)
    if parts.scheme not in SCHEMES:
        raise AgreementInvalid(
            "Records go to https:// (a collector), file://, s3://, gs://, az:// or otlp+https://, not there."
        )
    if parts.scheme in ("http", "otlp+http") and parts.hostname not in LOOPBACK:
        raise AgreementInvalid("Without TLS records go to this machine only: use https://.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise AgreementInvalid("The address holds no user, password, query or fragment.")
    if parts.scheme == "file" and (parts.netloc or not Path(parts.path).is_absolute()):
        raise AgreementInvalid("A directory is written as file:///absolute/path.")
    if parts.scheme != "file" and not parts.hostname:
        raise AgreementInvalid("The address names no host or bucket.")
    return to.rstrip("/")


class Agreements:
    """The files of one home. Blocking."""

    def __init__(self, home: Home) -> None:
        self._file = home.state_dir / "sync.json"
        self._progress = home.state_dir / "sync-progress.json"
        self.anchor_file = anchor_file(home)

    def current(self) -> Agreement | None:
        """What holds now. Raises AgreementInvalid for a file that cannot be read: then nothing is sent."""
        read = _read(self._file)
        if read is None:
            return None
        try:
            agreement = Agreement(**{**read, "exclude": tuple(map(str, read.get("exclude", ())))})
            if agreement.level not in LEVELS or type(agreement.since) is not int or type(agreement.names) is not bool:
                raise ValueError
            check_address(agreement.to)
        except (TypeError, ValueError):
            raise AgreementInvalid(_DAMAGED) from None
        return agreement

    def agree(self, agreement: Agreement) -> None:
        """Remember it durably. Raises OSError."""
        self._progress.unlink(missing_ok=True)
        write_private(self._file, json.dumps(asdict(agreement), indent=1).encode())

    def end(self) -> None:
        """Forget it. What was cosigned stays."""
        self._file.unlink(missing_ok=True)
        self._progress.unlink(missing_ok=True)

    def progress(self) -> Progress:
        """How far it is; from the beginning where nobody knows."""
        try:
            return Progress(**(_read(self._progress) or {}))
        except (TypeError, AgreementInvalid):
            return Progress()

    def note(self, progress: Progress, anchor: bytes | None = None) -> None:
        """Remember how far it is, and what was cosigned. An anchor never moves back. Raises OSError."""
        if anchor is not None and _size(anchor) >= _size(self.anchor()):
            write_private(self.anchor_file, anchor)
        write_private(self._progress, json.dumps(asdict(progress)).encode())

    def anchor(self) -> bytes | None:
        """The last checkpoint that a collector cosigned."""
        try:
            return self.anchor_file.read_bytes()
        except OSError:
            return None


def anchor_file(home: Home) -> Path:
    """Where the last cosigned checkpoint stands."""
    return home.state_dir / "sync-anchor.txt"


def _size(note: bytes | None) -> int:
    try:
        return -1 if note is None else read_checkpoint(note).size
    except CheckpointInvalid:
        return -1


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise AgreementInvalid(_DAMAGED) from None
    if not isinstance(read, dict):
        raise AgreementInvalid(_DAMAGED)
    return read


_DAMAGED = (
    "What was agreed about sync (state/sync.json) cannot be read, so nothing is sent. Run `localguard sync disable`."
)
