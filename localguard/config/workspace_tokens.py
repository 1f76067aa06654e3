"""Workspace tokens: what an agent carries that can carry neither a directory nor a name."""

import hashlib
import hmac
import json
import os
import re
import secrets
import string
import threading
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from localguard.config.home import Home, exclusively, write_private
from localguard.errors import LocalguardError

TOKEN_PREFIX = "lgw_"  # noqa: S105 - the prefix that all tokens share, no token
_TOKEN_LENGTH = 32
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(r"lgw_[0-9A-Za-z]{32}")


class TokensDamaged(LocalguardError):
    """The file of workspace tokens cannot be read; no token is accepted until it is repaired or moved away."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a workspace token stands for: a configured workspace's name or a directory."""

    token_id: str
    """First characters of the token's digest: names the token in lists, reveals nothing of it."""
    workspace: str | None
    directory: str | None
    created: str
    """UTC, ISO 8601."""
    endpoints: tuple[str, ...] | None = None
    """Names of the endpoints that it is good for; None for all."""
    expires: str | None = None
    """UTC, ISO 8601; None for never."""

    def expired(self, now: datetime) -> bool:
        """Whether its time is over; an end that cannot be read is over."""
        try:
            return self.expires is not None and datetime.fromisoformat(self.expires) <= now
        except (ValueError, TypeError):
            return True


class Tokens:
    """Workspace tokens, stored as keyed hashes in `state/tokens.json` (0600); the key stands in `state/token.key` (0600).

    Who can read the state directory cannot recover a token, but can add one: tokens keep work apart, not users of the
    same account. Safe to share between threads; other processes' changes are seen at the next look-up.
    """

    def __init__(self, home: Home) -> None:
        self._file = home.state_dir / "tokens.json"
        self._key_file = home.state_dir / "token.key"
        self._lock_file = home.state_dir / "tokens.lock"
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._bindings: dict[str, Binding] = {}

    def create(
        self,
        *,
        workspace: str | None = None,
        directory: Path | None = None,
        now: str,
        endpoints: tuple[str, ...] | None = None,
        expires: str | None = None,
    ) -> str:
        """Make a token for a configured workspace or a directory, store its hash durably, and return it this once.

        `now` is UTC in ISO 8601. Raises ValueError unless exactly one of the two is given, TokensDamaged.
        """
        if (workspace is None) == (directory is None):
            raise ValueError("a token stands for one workspace or one directory")
        token = TOKEN_PREFIX + "".join(secrets.choice(_BASE62) for _ in range(_TOKEN_LENGTH))
        place = os.path.realpath(directory) if directory is not None else None
        with self._lock, exclusively(self._lock_file):
            digest = self._digest(token)
            self._load()
            self._bindings[digest] = Binding(digest[:10], workspace, place, now, endpoints, expires)
            self._store()
        return token

    def lookup(self, token: str) -> Binding | None:
        """Return what a token stands for, None if it is not known. Takes the same time for every unknown token."""
        if not _TOKEN.fullmatch(token):
            return None
        with self._lock:
            self._load()
            if not self._bindings:
                return None
            digest = self._digest(token)
            found = None
            for known, binding in self._bindings.items():
                if hmac.compare_digest(known, digest):
                    found = binding
            return found

    def list(self) -> tuple[Binding, ...]:
        """Return all bindings, oldest first."""
        with self._lock:
            self._load()
            return tuple(sorted(self._bindings.values(), key=lambda binding: binding.created))

    def revoke(self, token_id: str) -> bool:
        """Forget the token with this id; return whether there was one."""
        with self._lock, exclusively(self._lock_file):
            self._load()
            kept = {digest: binding for digest, binding in self._bindings.items() if binding.token_id != token_id}
            if len(kept) == len(self._bindings):
                return False
            self._bindings = kept
            self._store()
            return True

    def _digest(self, token: str) -> str:
        try:
            key = self._key_file.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) != 32:
            key = secrets.token_bytes(32)
            write_private(self._key_file, key)
        return hmac.new(key, token.encode("ascii"), hashlib.sha256).hexdigest()

    def _load(self) -> None:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            self._seen, self._bindings = None, {}
            return
        signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if signature == self._seen:
            return
        try:
            raw = json.loads(self._file.read_bytes())
            self._bindings = {digest: _binding(entry) for digest, entry in raw["tokens"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TokensDamaged(
                f"{self._file} cannot be read. Move it away and make new tokens with `localguard workspace token`."
            ) from None
        self._seen = signature

    def _store(self) -> None:
        entries = {digest: asdict(binding) for digest, binding in self._bindings.items()}
        write_private(self._file, json.dumps({"version": 1, "tokens": entries}, indent=1).encode())
        found = self._file.stat()
        self._seen = (found.st_mtime_ns, found.st_size, found.st_ino)


def _binding(entry: dict[str, Any]) -> Binding:
    endpoints = entry.get("endpoints")
    return Binding(**{**entry, "endpoints": None if endpoints is None else tuple(map(str, endpoints))})
