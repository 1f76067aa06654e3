"""The keys that fingerprints in the log are made with: one a workspace, drawn at random, so that it can be destroyed.

Each stands in a file of its own, `state/fingerprints/<digest of the workspace>`, encrypted under the root key. Once a key is destroyed
nobody can tell any more which value a fingerprint stands for, or try guesses; records and their proofs stay as they are. What this
cannot reach: copies of the file that a backup made, and blocks of a drive that keeps what was overwritten (both need the root key too).
"""

import hmac
import os
import secrets
import sys
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localguard.config.home import exclusively, write_private
from localguard.errors import LocalguardError

KEY_BYTES: Final = 32
_NONCE: Final = 12


class FingerprintKeyDamaged(LocalguardError):
    """The file of a workspace's key cannot be read, decrypted or written. The message says which workspace's it is by digest."""


class FingerprintKeys:
    """The keys in one directory. `lock` is a file that other processes hold while they make or destroy one. Blocking; thread-safe."""

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder = folder
        self._lock = lock

    def key(self, wrapping: bytes, workspace_id: str) -> bytes:
        """The workspace's 32 bytes, drawn now where there are none. `wrapping` is the key that encrypts them. Raises FingerprintKeyDamaged."""
        path = self._path(wrapping, workspace_id)
        try:
            sealed = path.read_bytes() if path.exists() else None
            if sealed is None:
                with exclusively(self._lock):
                    sealed = path.read_bytes() if path.exists() else self._make(wrapping, path)
        except OSError as error:
            raise FingerprintKeyDamaged(f"{path} cannot be read or written ({error.strerror}).") from None
        try:
            return AESGCM(wrapping).decrypt(sealed[:_NONCE], sealed[_NONCE:], path.name.encode())
        except (InvalidTag, ValueError):
            raise FingerprintKeyDamaged(
                f"{path} is damaged. Restore it, or run `localguard audit erase` for its workspace."
            ) from None

    def destroy(self, wrapping: bytes, workspace_id: str) -> bool:
        """Overwrite and remove the workspace's key, durably; False where there was none. Raises FingerprintKeyDamaged."""
        path = self._path(wrapping, workspace_id)
        try:
            with exclusively(self._lock):
                if not path.exists():
                    return False
                with path.open("r+b") as file:
                    file.write(os.urandom(path.stat().st_size))
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
                self._sync_folder()
        except OSError as error:
            raise FingerprintKeyDamaged(f"{path} cannot be removed ({error.strerror}).") from None
        return True

    def _make(self, wrapping: bytes, path: Path) -> bytes:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + AESGCM(wrapping).encrypt(nonce, secrets.token_bytes(KEY_BYTES), path.name.encode())
        write_private(path, sealed)
        return sealed

    def _path(self, wrapping: bytes, workspace_id: str) -> Path:
        digest = hmac.digest(wrapping, b"fingerprints of " + workspace_id.encode("utf-8", "surrogatepass"), "sha256")
        return self._folder / digest[:16].hex()

    def _sync_folder(self) -> None:
        if sys.platform != "win32":
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
