"""The organisation's policy: whose signatures count, and which revision was accepted last.

`state/trust.json` (0600) holds the pinned keys and, by organisation, the newest revision that was in force. An older one, or
another text under the same revision, is refused; so is a missing file once one was accepted. What this does not protect
against: who can write the state directory can pin a key of their own or remove the file, as they can stop the guard.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from localguard.config.home import Home, exclusively, write_private
from localguard.config.policy_problems import PolicyInvalid, PolicyProblem
from localguard.config.signing import PublicKey, check_signature, content_of, signer_of
from localguard.errors import LocalguardError
from localguard.policy.model import Layer, LayerName


class TrustDamaged(LocalguardError):
    """The file of trusted keys cannot be read; no organisation's policy counts, and nothing is allowed, until it can."""


class KeyNotTrusted(LocalguardError):
    """No pinned key has this id."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """A pinned key."""

    id: str
    public: str
    name: str
    added: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The newest revision of an organisation's policy that was in force."""

    revision: int
    digest: str
    """SHA-256 of what the signature covers."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the organisation's policy is fetched from: a collector, which serves it below `/v1/policy`."""

    url: str
    """Scheme, host, port and path prefix, without a slash at its end."""
    ca_file: str | None = None
    """PEM file of certificate authorities trusted for it, beside the system's."""


@dataclass(slots=True)
class _Document:
    keys: dict[str, Trusted] = field(default_factory=dict)
    accepted: dict[str, Accepted] = field(default_factory=dict)
    source: Source | None = None


class Trust:
    """The pinned keys of one home. Blocking; safe between processes."""

    def __init__(self, home: Home) -> None:
        self._file = home.state_dir / "trust.json"
        self._lock = home.state_dir / "trust.lock"

    def pinned(self) -> tuple[Trusted, ...]:
        """Return the pinned keys, oldest first. Raises TrustDamaged."""
        return tuple(sorted(self._read().keys.values(), key=lambda key: key.added))

    def accepted(self) -> Mapping[str, Accepted]:
        """Return the newest accepted revision by organisation. Raises TrustDamaged."""
        return self._read().accepted

    def pin(self, key: PublicKey, *, name: str, now: str) -> Trusted:
        """Trust a key from now on; one that is trusted already gets the new name. Raises TrustDamaged, OSError."""
        made = Trusted(key.id, str(key), name, now)
        self._change(lambda document: document.keys.__setitem__(key.id, made))
        return made

    def unpin(self, key_id: str) -> None:
        """Trust a key no longer. With the last key goes the memory of accepted policies. Raises KeyNotTrusted."""

        def remove(document: _Document) -> None:
            if document.keys.pop(key_id, None) is None:
                raise KeyNotTrusted("No trusted key has this id. `localguard policy trust` lists them.")
            if not document.keys:
                document.accepted.clear()
                document.source = None

        self._change(remove)

    def accept(self, organisation: str, revision: int, digest: str) -> None:
        """Remember durably that this revision was in force."""
        made = Accepted(revision, digest)
        if self.accepted().get(organisation) != made:
            self._change(lambda document: document.accepted.__setitem__(organisation, made))

    def source(self) -> Source | None:
        """Return where new revisions are fetched from, None where they are rolled out as a file. Raises TrustDamaged."""
        return self._read().source

    def follow(self, source: Source | None) -> None:
        """Fetch new revisions from there from now on, or from nowhere. Raises TrustDamaged, OSError."""
        self._change(lambda document: setattr(document, "source", source))

    def _change(self, change: Callable[[_Document], None]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusively(self._lock):
            document = self._read()
            change(document)
            entries = {
                "version": 1,
                "keys": [asdict(key) for key in document.keys.values()],
                "accepted": {name: asdict(one) for name, one in document.accepted.items()},
                **({"source": asdict(document.source)} if document.source is not None else {}),
            }
            write_private(self._file, json.dumps(entries, indent=1).encode())

    def _read(self) -> _Document:
        try:
            raw = json.loads(self._file.read_bytes())
            keys = {entry["id"]: Trusted(**entry) for entry in raw["keys"]}
            accepted = {name: Accepted(**entry) for name, entry in raw["accepted"].items()}
            source = Source(**raw["source"]) if raw.get("source") is not None else None
        except FileNotFoundError:
            return _Document()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TrustDamaged(
                f"{self._file} cannot be read. Move it away and pin the keys again with `localguard policy trust`."
            ) from None
        return _Document(keys, accepted, source)


def load_organisation(home: Home, read: Callable[[Path], bytes]) -> Layer | None:
    """Return the organisation's layer, None where there is none and never was one; `read` reads a policy file safely.

    Raises PolicyInvalid for a file that is not signed by a trusted key, that is older than what was accepted, that is not
    there any more, or that is no policy. What was accepted is remembered before it counts.
    """
    path, trust = home.organisation_file, Trust(home)
    try:
        accepted = trust.accepted()
    except TrustDamaged as damaged:
        raise _invalid(path, str(damaged)) from None
    try:
        data = read(path)
    except FileNotFoundError:
        if not accepted and not path.is_symlink():
            return None
        raise _invalid(
            path,
            "The organisation's policy was in force and its file is not there any more. Put it back, or end it with "
            "`localguard policy trust --remove KEY-ID`.",
        ) from None
    return _accepted(path, trust, data)


def store_fetched(home: Home, data: bytes, now: datetime) -> Layer | None:
    """Put a policy that was fetched in the place of the file, once it is verified; None where it is what is there.

    Raises PolicyInvalid as `load_organisation` does, and for one that has expired: the file stays what it was. Raises OSError.
    """
    path, trust = home.organisation_file, Trust(home)
    with exclusively(home.state_dir / "organisation.lock"):  # two that fetch at once must not put the older one back
        with suppress(OSError):
            if path.read_bytes() == data:
                return None
        known = _trusted(path, trust)
        layer = _verified(data, path, known)
        if layer.expires is not None and layer.expires <= now:
            raise _invalid(path, f"Revision {layer.revision} expired on {layer.expires.isoformat()}.")
        digest = _check_revision(path, trust, layer, data)
        write_private(path, data)
        trust.accept(layer.organisation or "", layer.revision, digest)
    return layer


def _accepted(path: Path, trust: Trust, data: bytes) -> Layer:
    """The layer of a policy that may be in force, remembered as accepted. Raises PolicyInvalid."""
    layer = _verified(data, path, _trusted(path, trust))
    digest = _check_revision(path, trust, layer, data)
    try:
        trust.accept(layer.organisation or "", layer.revision, digest)
    except (OSError, TrustDamaged) as error:
        raise _invalid(path, f"It cannot be remembered which revision is in force ({type(error).__name__}).") from None
    return layer


def _trusted(path: Path, trust: Trust) -> Mapping[str, Trusted]:
    try:
        return {key.id: key for key in trust.pinned()}
    except TrustDamaged as damaged:
        raise _invalid(path, str(damaged)) from None


def _check_revision(path: Path, trust: Trust, layer: Layer, data: bytes) -> str:
    """Return the digest of a policy that is no older than what was in force. Raises PolicyInvalid."""
    before = trust.accepted().get(layer.organisation or "")
    digest = hashlib.sha256(content_of(data)).hexdigest()
    if before is not None and layer.revision < before.revision:
        raise _invalid(
            path, f"This is revision {layer.revision}, and {before.revision} was in force: older ones are refused."
        )
    if before is not None and layer.revision == before.revision and digest != before.digest:
        raise _invalid(path, f"Another text was in force as revision {before.revision}. A change needs a new revision.")
    return digest


def _verified(data: bytes, path: Path, known: Mapping[str, Trusted]) -> Layer:
    from localguard.config.policy_parser import parse_policy  # pydantic: only where there is a file

    try:
        signer = known.get(signer_of(data))
        if signer is None:
            raise _invalid(
                path, "No trusted key signed this. Pin the organisation's key with `localguard policy trust KEY`."
            )
        check_signature(data, PublicKey.of_text(signer.public))
    except PolicyInvalid:
        raise
    except LocalguardError as error:
        raise _invalid(path, str(error)) from None
    return parse_policy(data, str(path), LayerName.ORGANISATION)


def _invalid(path: Path, message: str) -> PolicyInvalid:
    return PolicyInvalid([PolicyProblem(str(path), 1, "", message)])
