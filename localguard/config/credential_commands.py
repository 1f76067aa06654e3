"""Credentials that a program makes: short-lived tokens of Entra, a vault, a cloud's command line.

The program is run without a shell and without input, its output is read and never written down, and what it answered is
kept in memory until shortly before it expires: as its JSON says (`expires_on`, `expiresOn`, `expires_in`, `expiration`), as
the token's own `exp` says, else for five minutes. Whoever can change the policy file can have the guard run a program; that
is the user, or an organisation whose policy the user trusts, never a repository.
"""

import base64
import json
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from localguard.errors import LocalguardError

TIMEOUT: Final = 20.0
"""Seconds for one run: command lines of clouds take some."""
_UNTOLD: Final = 300.0
"""Seconds for which a token of unknown life is kept."""
_EARLY: Final = 60.0
"""Seconds before its end at which a token is fetched anew: a request may wait before it is sent."""
_FAILED: Final = 5.0
"""Seconds for which a failure counts: a program that fails is not started for every request."""
_LONGEST: Final = 64 * 1024
_TOKEN_NAMES: Final = ("token", "access_token", "accessToken", "id_token", "key", "api_key", "apiKey")
_ABSOLUTE: Final = ("expires_on", "expiresOn", "expires_at", "expiration", "expiry")


class CredentialCommandFailed(LocalguardError):
    """A credential's command could not be run, failed, took too long or answered nothing usable. Holds none of its output."""


@dataclass(slots=True)
class _Held:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str | None = None
    until: float = 0.0
    failure: str | None = None


class CredentialCommands:
    """Runs commands and keeps what they answer. Blocking; safe to share between threads. `clock` is seconds since 1970."""

    def __init__(self, *, clock: Callable[[], float] = time.time, timeout: float = TIMEOUT) -> None:
        self._clock = clock
        self._timeout = timeout
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def get(self, command: str) -> str:
        """The credential that this command line answers; one run at a time for each. Raises CredentialCommandFailed."""
        with self._lock:
            held = self._held.setdefault(command, _Held())
        with held.lock:
            now = self._clock()
            if now >= held.until or held.until > now + 10 * 366 * 86_400:
                self._run(command, held)
            if held.token is None:
                raise CredentialCommandFailed(f"The credential command {named(command)} {held.failure}.")
            return held.token

    def held(self) -> list[str]:
        """The credentials that commands answered and that are kept now."""
        with self._lock:
            return [held.token for held in self._held.values() if held.token is not None]

    def _run(self, command: str, held: _Held) -> None:
        held.token, held.failure = None, None
        try:
            held.token, lives = read_answer(self._output(command), self._clock())
            held.until = self._clock() + max(lives - _EARLY, min(lives, _FAILED))
        except CredentialCommandFailed as failure:
            held.failure = str(failure)
            held.until = self._clock() + _FAILED

    def _output(self, command: str) -> str:
        try:
            process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError, IndexError) as error:
            raise CredentialCommandFailed(f"could not be run ({type(error).__name__})") from None
        until = time.monotonic() + self._timeout
        answer = _Answer(process)
        if not answer.complete(self._timeout):
            _end(process)
            raise CredentialCommandFailed("took too long")
        if len(answer.data) > _LONGEST:
            _end(process)
            raise CredentialCommandFailed("answered no single line that could be a credential")
        try:
            status = process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            _end(process)
            raise CredentialCommandFailed("took too long") from None
        if status != 0:
            raise CredentialCommandFailed(f"ended with status {status}")
        try:
            return answer.data.decode()
        except UnicodeDecodeError:
            raise CredentialCommandFailed("answered no text") from None


class _Answer:
    """What a program writes, read as it comes and no further than an answer may be long."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.data = b""
        self._process = process
        self._thread = threading.Thread(target=self._read, name="credential-command", daemon=True)
        self._thread.start()

    def complete(self, seconds: float) -> bool:
        """Whether it ended, or became too long, within this time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while len(self.data) <= _LONGEST and (piece := os.read(output.fileno(), _LONGEST)):
                self.data += piece


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and what it started, as far as that stayed in its group."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def named(command: str) -> str:
    """The program of a command line, without its arguments, for people and records."""
    try:
        return shlex.split(command)[0].replace("\\", "/").rpartition("/")[2][:80]
    except (ValueError, IndexError):
        return "?"


def read_answer(output: str, now: float) -> tuple[str, float]:
    """The credential in what a command answered, one line or a JSON object, and for how many seconds it lives.

    Raises CredentialCommandFailed.
    """
    text = output.strip()
    told: Mapping[str, Any] = {}
    if text.startswith("{"):
        try:
            told = json.loads(text)
        except ValueError:
            raise CredentialCommandFailed("answered JSON that cannot be read") from None
        text = next((told[name] for name in _TOKEN_NAMES if isinstance(told.get(name), str)), "").strip()
    if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise CredentialCommandFailed("answered no single line that could be a credential")
    lives = _life(told, now)
    if lives is None:
        expires = _claimed(text)
        lives = _UNTOLD if expires is None else expires - now
    if lives <= 0:
        raise CredentialCommandFailed("answered a credential that has expired")
    return text, lives


def is_bearer_token(credential: str) -> bool:
    """Whether a credential is a signed web token, which goes as `Authorization: Bearer` to every provider."""
    return credential.count(".") == 2 and credential.startswith("eyJ")


def _life(told: Mapping[str, Any], now: float) -> float | None:
    within = _number(told.get("expires_in"))
    if within is not None:
        return within
    for name in _ABSOLUTE:
        value = told.get(name)
        number = _number(value)
        if number is not None:
            return number - now
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value).timestamp() - now  # without a zone: local time, as `az` writes it
            except (ValueError, OverflowError):
                continue
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _claimed(token: str) -> float | None:
    """When a web token says that it ends; it is not verified, as only its provider can."""
    if not is_bearer_token(token):
        return None
    claims = token.split(".")[1]
    try:
        value = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp")
    except (ValueError, AttributeError):
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
