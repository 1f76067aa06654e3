"""Key material: what makes placeholders and fingerprints of a workspace, and the keys that the guard adds to requests.

One random root key stands in the operating system's keychain; every workspace key is derived from it (HKDF-SHA256), but for those
of the log's fingerprints, which can be destroyed (`fingerprint_keys`), and
endpoint keys stand in `state/keys.json`, encrypted under it (AES-256-GCM), so that keychains with small entries will do.

Where there is no keychain, the root key stands in `state/master.key`, mode 0600. **That protects by file permissions only**:
it keeps other users of the machine out, and keeps endpoint keys out of a copy or backup of `keys.json` alone; whoever can
read both files, root and every program of the same user included, can read the keys. A keychain does better against copied
disks, and against other programs as far as the platform's keychain asks for consent per program.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from queue import Empty, Queue
from typing import Final, Literal, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from localguard.config.fingerprint_keys import FingerprintKeyDamaged, FingerprintKeys
from localguard.config.home import Home, exclusively, write_private
from localguard.errors import LocalguardError

T = TypeVar("T")
Backend = Literal["keychain", "file"]

DEVICE_KEY: Final = "device key 1"
"""What the key that signs for a home is derived for (`Keys.derived_key`)."""
_SERVICE: Final = "localguard"
_REFUSED: Final = ("keyring.backends.null", "keyring.backends.fail", "keyrings.alt", "keyring.backends.chainer")
"""Back ends that store nothing, or in clear text; of a chain the members are tried one by one."""
ROTATE_AFTER_DAYS: Final = 90
"""After which people are reminded to replace a key."""
_MAX_KEY_LENGTH: Final = 64 * 1024


class KeychainUnavailable(LocalguardError):
    """The keychain that holds the root key is locked, gone or does not answer."""


class KeysDamaged(LocalguardError):
    """`state/keys.json` or one of its entries cannot be read, or it cannot be written."""


class KeyUnknown(LocalguardError):
    """No endpoint key has this name."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An endpoint key in a list: its name and when it was stored (UTC, ISO 8601), never its value."""

    name: str
    created: str
    origin: str | None = None
    """The only origin that the key may be sent to, where one was given."""


@dataclass(slots=True)
class _Document:
    """The content of `keys.json`."""

    backend: Backend
    home_id: str
    check: str
    entries: dict[str, dict[str, str]] = field(default_factory=dict)


def fingerprint_of(key: bytes, value: str) -> str:
    """The fingerprint of a value, 24 hexadecimal digits, under a workspace's `fingerprint_key`."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")[:12].hex()


class Keys:
    """The keys of one home. Blocking (disk, keychain): call from a thread. Safe to share between threads.

    `env` is read for `LOCALGUARD_KEYRING=off`, which keeps the root key in a file. `patience` is how many seconds a keychain
    may take: a locked one may ask the user for a password, a headless one would wait for ever.
    """

    def __init__(self, home: Home, *, env: Mapping[str, str], patience: float = 10.0) -> None:
        self._patience = patience
        self._file = home.state_dir / "keys.json"
        self._root_file = home.state_dir / "master.key"
        self._lock_file = home.state_dir / "keys.lock"
        self._fingerprints = FingerprintKeys(home.state_dir / "fingerprints", self._lock_file)
        self._off = env.get("LOCALGUARD_KEYRING", "").lower() in ("off", "0", "false", "no")
        self._lock = threading.RLock()
        self._root: bytes | None = None
        self._derive = lru_cache(maxsize=1024)(self._derive_uncached)
        self.replaced: str | None = None
        """Why the root key had to be made anew, where one was there before; to be recorded. Placeholders change then."""
        self.lost: tuple[str, ...] = ()
        """Names of endpoint keys that went with the former root key and must be set again."""

    @property
    def backend(self) -> Backend:
        """Where the root key stands. Raises like `workspace_key`."""
        with self._lock:
            self._open()
            return self._read_document().backend

    @property
    def kept_in(self) -> str | None:
        """Where the root key is said to stand, None where there is none yet; does not ask the keychain. Raises KeysDamaged."""
        with self._lock:
            return _PLACES[self._read_document().backend] if self._file.exists() else None

    def workspace_key(self, workspace_id: str) -> bytes:
        """Return the 32 bytes that make placeholders of a workspace; the same for the same id as long as the root lives.

        Raises KeychainUnavailable, KeysDamaged.
        """
        return self._derive(b"localguard placeholder key 1", workspace_id)

    def fingerprint_key(self, workspace_id: str) -> bytes:
        """Return the 32 bytes for fingerprints in the log: drawn at random, not derived, until `erase_fingerprints`. Raises like `workspace_key`."""
        try:
            return self._fingerprints.key(self._sealing(), workspace_id)
        except FingerprintKeyDamaged as error:
            raise KeysDamaged(str(error)) from None

    def erase_fingerprints(self, workspace_id: str) -> bool:
        """Destroy the workspace's `fingerprint_key` for good; the next one is another. False where there was none. Raises like it."""
        try:
            return self._fingerprints.destroy(self._sealing(), workspace_id)
        except FingerprintKeyDamaged as error:
            raise KeysDamaged(str(error)) from None

    def _sealing(self) -> bytes:
        with self._lock:
            return _hkdf(self._open(), b"localguard fingerprint sealing key 1")

    def derived_key(self, purpose: str) -> bytes:
        """Return 32 bytes for a purpose of this home that is no workspace's. Raises like `workspace_key`."""
        return self._derive(b"localguard purpose key 1", purpose)

    def set(self, name: str, value: str, *, now: str, origin: str | None = None) -> None:
        """Store an endpoint key durably, replacing an older one. `now` is UTC in ISO 8601.

        With `origin` (scheme, host and port) the key is given out for that origin only, whatever the policy file says.
        Raises ValueError for an empty or over-long value or one with line breaks, KeychainUnavailable, KeysDamaged.
        """
        if not value or len(value) > _MAX_KEY_LENGTH or any(c in value for c in "\r\n\0"):
            raise ValueError("a key is one line of 1 to 65536 characters")
        with self._lock:
            root = self._open()
            with exclusively(self._lock_file):
                document = self._read_document()
                nonce = secrets.token_bytes(12)
                sealed = AESGCM(_wrapping(root)).encrypt(nonce, value.encode(), _bound(document, name, origin))
                document.entries[name] = {"nonce": _b64(nonce), "sealed": _b64(sealed), "created": now}
                if origin is not None:
                    document.entries[name]["origin"] = origin
                self._write_document(document)

    def get(self, name: str, origin: str | None = None) -> str:
        """Return an endpoint key, to be sent to `origin`. Raises KeyUnknown, KeychainUnavailable, KeysDamaged."""
        with self._lock:
            root = self._open()
            document = self._read_document()
            entry = document.entries.get(name)
            if entry is None:
                raise KeyUnknown(f"There is no key named {name}. Store it with `localguard key set {name}`.")
            bound_to = entry.get("origin")
            if bound_to is not None and bound_to != origin:
                raise KeyUnknown(
                    f"The key {name} was stored for {bound_to} only. Correct the endpoint's base_url, or store it again."
                )
            try:
                opened = AESGCM(_wrapping(root)).decrypt(
                    base64.b64decode(entry["nonce"]),
                    base64.b64decode(entry["sealed"]),
                    _bound(document, name, bound_to),
                )
                return opened.decode()
            except (InvalidTag, ValueError, KeyError, TypeError):
                raise KeysDamaged(
                    f"The key {name} cannot be decrypted. Set it again with `localguard key set {name}`."
                ) from None

    def list(self) -> tuple[StoredKey, ...]:
        """Return all endpoint keys by name, without values; does not ask the keychain. Raises KeysDamaged."""
        with self._lock:
            if not self._file.exists():
                return ()
            entries = self._read_document().entries
            return tuple(
                StoredKey(name, entry.get("created", ""), entry.get("origin"))
                for name, entry in sorted(entries.items())
            )

    def remove(self, name: str) -> None:
        """Forget an endpoint key durably. Raises KeyUnknown, KeysDamaged."""
        with self._lock:
            if not self._file.exists():
                raise KeyUnknown(f"There is no key named {name}.")
            with exclusively(self._lock_file):
                document = self._read_document()
                if document.entries.pop(name, None) is None:
                    raise KeyUnknown(f"There is no key named {name}.")
                self._write_document(document)

    def _derive_uncached(self, info: bytes, name: str) -> bytes:
        with self._lock:
            root = self._open()
        return _hkdf(root, info + b"\0" + name.encode("utf-8", "surrogatepass"))

    def _open(self) -> bytes:
        """Return the root key, making or replacing it where it must be."""
        if self._root is None:
            with exclusively(self._lock_file):
                self._root = self._open_locked()
        return self._root

    def _open_locked(self) -> bytes:
        if not self._file.exists():
            return self._make(secrets.token_hex(8))
        document = self._read_document()
        if document.backend == "keychain" and self._off:
            return self._replace(document, "the keychain is switched off by LOCALGUARD_KEYRING")
        root = self._from_keychain(document.home_id) if document.backend == "keychain" else self._from_file()
        if root is None:
            return self._replace(document, f"it is no longer in the {_PLACES[document.backend]}")
        if not hmac.compare_digest(_check(root), document.check):
            return self._replace(document, f"the one in the {_PLACES[document.backend]} is another")
        return root

    def _replace(self, document: _Document, why: str) -> bytes:
        self.replaced = f"The root key was replaced: {why}."
        self.lost = tuple(sorted(document.entries))
        return self._make(document.home_id)

    def _make(self, home_id: str) -> bytes:
        """Store a new root key in the keychain, or in the file where there is none, then the document that names it."""
        root = secrets.token_bytes(32)
        backend: Backend = "file"
        if not self._off:
            chain = _in_thread(_usable_keychain, self._patience)
            if chain is not None:
                _in_thread(lambda: chain.set_password(_SERVICE, f"root:{home_id}", _b64(root)), self._patience)
                kept = _in_thread(lambda: chain.get_password(_SERVICE, f"root:{home_id}"), self._patience)
                if kept == _b64(root):
                    backend = "keychain"
        if backend == "file":
            _write(self._root_file, root)
        else:
            self._root_file.unlink(missing_ok=True)
        self._write_document(_Document(backend, home_id, _check(root)))
        return root

    def _from_keychain(self, home_id: str) -> bytes | None:
        chain = _in_thread(_usable_keychain, self._patience)
        if chain is None:
            raise KeychainUnavailable(
                "The keychain that holds this guard's root key is not there (no desktop session?). "
                "Log in to the session, or set LOCALGUARD_KEYRING=off to start with a new key in a file."
            )
        value = _in_thread(lambda: chain.get_password(_SERVICE, f"root:{home_id}"), self._patience)
        if value is None:
            return None
        try:
            root = base64.b64decode(value, validate=True)
        except (ValueError, binascii.Error):
            return None
        return root if len(root) == 32 else None

    def _from_file(self) -> bytes | None:
        try:
            root = self._root_file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeysDamaged(f"{self._root_file} cannot be read ({error.strerror}).") from None
        return root if len(root) == 32 else None

    def _read_document(self) -> _Document:
        try:
            raw = json.loads(self._file.read_bytes())
            if raw["version"] != 1 or raw["backend"] not in _PLACES or not isinstance(raw["entries"], dict):
                raise ValueError
            return _Document(raw["backend"], str(raw["home_id"]), str(raw["check"]), raw["entries"])
        except OSError as error:
            raise KeysDamaged(f"{self._file} cannot be read ({error.strerror}).") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise KeysDamaged(
                f"{self._file} is damaged. Restore it, or move it away and set your endpoint keys again."
            ) from None

    def _write_document(self, document: _Document) -> None:
        content = {
            "version": 1,
            "backend": document.backend,
            "home_id": document.home_id,
            "check": document.check,
            "entries": document.entries,
        }
        _write(self._file, json.dumps(content, indent=1).encode())


def _write(path: Path, data: bytes) -> None:
    """Replace a file of the guard's keys; after a failure (KeysDamaged) the old content is in place."""
    try:
        write_private(path, data)
    except OSError as error:
        raise KeysDamaged(f"{path} cannot be written ({error.strerror}).") from None


_PLACES: Final[dict[str, str]] = {"keychain": "keychain", "file": "file state/master.key"}


class Keychain:
    """The two calls of a keyring back end that are used here; errors become KeychainUnavailable."""

    def __init__(self, backend: object) -> None:
        self._backend = backend

    def get_password(self, service: str, name: str) -> str | None:
        """Return an entry, None if there is none."""
        value = self._backend.get_password(service, name)  # type: ignore[attr-defined]
        return None if value is None else str(value)

    def set_password(self, service: str, name: str, value: str) -> None:
        """Store an entry."""
        self._backend.set_password(service, name, value)  # type: ignore[attr-defined]


def _usable_keychain() -> Keychain | None:
    """Return the keychain of this session; None where there is none that keeps secrets secret."""
    import keyring  # 50 ms and a D-Bus connection: only where a key is needed

    chosen = keyring.get_keyring()
    for backend in getattr(chosen, "backends", None) or [chosen]:
        module = type(backend).__module__
        if module.startswith("keyring.backends.") and not module.startswith(_REFUSED):
            return Keychain(backend)
    return None


def _in_thread(call: Callable[[], T], patience: float) -> T:
    """Run a keychain call in a thread of its own; raises KeychainUnavailable when it fails or takes too long.

    A call that hangs keeps its (daemon) thread; the answer is thrown away.
    """
    answers: Queue[tuple[T | None, Exception | None]] = Queue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=run, name="keychain", daemon=True).start()
    try:
        value, error = answers.get(timeout=patience)
    except Empty:
        raise KeychainUnavailable(
            "The keychain does not answer. Unlock it and try again, or set LOCALGUARD_KEYRING=off."
        ) from None
    if error is not None:
        raise KeychainUnavailable(
            f"The keychain refused ({type(error).__name__}). Unlock it and try again, or set LOCALGUARD_KEYRING=off."
        ) from None
    return value  # type: ignore[return-value]  # None only where T allows it


def _hkdf(root: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(root)


def _wrapping(root: bytes) -> bytes:
    return _hkdf(root, b"localguard wrapping key 1")


def _check(root: bytes) -> str:
    """Return what tells this root key from another, and nothing else about it."""
    return hmac.new(root, b"localguard root check 1", hashlib.sha256).hexdigest()[:32]


def _bound(document: _Document, name: str, origin: str | None) -> bytes:
    """Return what an encrypted entry is bound to: it cannot be moved to another name, origin or home."""
    where = "" if origin is None else f"\0{origin}"
    return f"localguard endpoint key 1\0{document.home_id}\0{name}{where}".encode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
