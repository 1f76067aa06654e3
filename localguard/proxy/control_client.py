"""What command line, terminal UI and tray ask the running guard; plain `http.client`, so that it loads in milliseconds.

The rule of this file: the token is sent only on a connection whose other end has just proved that it knows it. Somebody
else who took the port gets a random number.
"""

import contextlib
import hashlib
import hmac
import http.client
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localguard.errors import LocalguardError

if TYPE_CHECKING:
    from localguard.config.home import Home

NONCE_DIGITS = 64
"""Hexadecimal digits of a challenge's nonce."""

ASKED_BY = "X-LocalGuard-Asked-By"
"""A control call's header: the id of the process that had the caller make it. It can only tighten."""

_MOST_BYTES = 16 * 1024 * 1024


_READ = 256 * 1024
_SILENCE_SECONDS = 40.0  # the guard shows every 15 seconds that it is there


class GuardNotReachable(LocalguardError):
    """No guard answers on the port."""


class GuardNotOurs(LocalguardError):
    """Something answers on the port, but it does not know the control token of this home."""


class GuardAnswered(LocalguardError):
    """The guard refused or could not read a control call. `status` is its HTTP status; the message is the guard's own."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message or f"the guard answered the control call with status {status}")
        self.status = status


def proof(token: str, nonce: str, port: int) -> str:
    """Answer what whoever knows `token` and listens on `port` makes of `nonce`, in hexadecimal.

    The port is in it so that a squatter cannot have the real guard, on another port, answer for it.
    """
    message = f"localguard control challenge\0{port}\0{nonce}".encode()
    return hmac.new(token.encode(), message, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Event:
    """One event of `/-/events`. With its `id` a reader that was away goes on from there."""

    id: str
    name: str
    data: dict[str, Any]


class EventStream:
    """The guard's live events on a connection of their own. `batch` is for one thread, `close` for any."""

    def __init__(self, connection: socket.socket, response: http.client.HTTPResponse, held: object) -> None:
        """`held` is what keeps the connection open."""
        self._socket = connection
        self._response = response
        self._held = held
        self._rest = b""

    def batch(self) -> list[Event]:
        """Wait for events and return those that came; none if the guard only showed that it is there.

        Raises GuardNotReachable once the stream is over, for whatever reason.
        """
        try:
            chunk = self._response.read1(_READ)
        except (OSError, ValueError, http.client.HTTPException):
            chunk = b""
        if not chunk or len(self._rest) > _MOST_BYTES:
            self.close()
            raise GuardNotReachable("the guard no longer sends events")
        *frames, self._rest = (self._rest + chunk).split(b"\n\n")
        return [event for event in map(_event, frames) if event is not None]

    def close(self) -> None:
        """End the stream, also while another thread waits for its events. Twice is fine."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()


class ControlClient:
    """Speaks to the guard of `home` on 127.0.0.1:`port`. Every call makes its own connection; `timeout` is in seconds."""

    def __init__(self, home: "Home", port: int, *, timeout: float = 2.0) -> None:
        self._home = home
        self._port = port
        self._timeout = timeout

    def is_running(self) -> bool:
        """Say whether a guard of this home serves on the port. Never raises."""
        try:
            with self._proven():
                return True
        except LocalguardError:
            return False

    def port_taken(self) -> bool:
        """Say whether anything at all accepts connections on the port. Never raises."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.connect()
        except OSError:
            return False
        connection.close()
        return True

    def status(self) -> dict[str, Any]:
        """Answer what the guard says about itself: version, pid, endpoints, policy, counters.

        Raises GuardNotReachable, GuardNotOurs or GuardAnswered, as all calls here do.
        """
        status: dict[str, Any] = self._call("GET", "/-/api/status")
        return status

    def exchanges(self, limit: int = 50) -> list[dict[str, Any]]:
        """Answer the latest exchanges, oldest first, without any content."""
        exchanges: list[dict[str, Any]] = self._call("GET", f"/-/api/exchanges?limit={limit}")["exchanges"]
        return exchanges

    def stop(self) -> None:
        """Ask the guard to finish what is running and end. Returns as soon as it has agreed."""
        self._call("POST", "/-/api/stop")

    def call(self, method: str, path: str, **given: object) -> dict[str, Any]:
        """Make one call of the control API (`path` below `/-/api`) with a JSON object of `given`, and answer its reply."""
        answer: dict[str, Any] = self._call(method, f"/-/api{path}", json.dumps(given).encode() if given else None)
        return answer

    def call_for(self, pid: int | None, method: str, path: str, given: Mapping[str, object]) -> dict[str, Any]:
        """The same, for the process `pid` that asked for it: what it must not do itself is refused. None: nobody else."""
        headers = {} if pid is None else {ASKED_BY: str(pid)}
        body = json.dumps(dict(given)).encode() if given else None
        answer: dict[str, Any] = self._call(method, f"/-/api{path}", body, headers)
        return answer

    def events(self, last_event: str | None = None) -> EventStream:
        """Follow what the guard does.

        The first event is `ready`: its `resumed` says whether everything since `last_event` follows; if not, what is shown is
        to be read anew.
        """
        with contextlib.ExitStack() as stack:
            connection, token = stack.enter_context(self._proven())
            headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last_event} if last_event else {})
            connected = connection.sock
            assert connected is not None
            try:
                connection.request("GET", "/-/events", headers=headers)
                response = connection.getresponse()
                if response.status != 200:
                    raise GuardAnswered(response.status, _told(response.read(_MOST_BYTES)))
            except (OSError, http.client.HTTPException):
                raise GuardNotReachable(f"what listens on port {self._port} does not answer") from None
            connected.settimeout(_SILENCE_SECONDS)
            return EventStream(connected, response, stack.pop_all())

    def _call(self, method: str, path: str, body: bytes | None = None, more: Mapping[str, str] | None = None) -> Any:
        with self._proven() as (connection, token):
            headers = {"Authorization": f"Bearer {token}", **(more or {})}
            status, answer = self._exchange(connection, method, path, headers, body)
            if status != 200:
                raise GuardAnswered(status, _told(answer))
            return _parsed(answer)

    @contextlib.contextmanager
    def _proven(self) -> Iterator[tuple[http.client.HTTPConnection, str]]:
        try:
            token = self._home.control_token.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise GuardNotReachable(f"no guard of {self._home.root} has been started") from None
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.connect()
        except OSError:
            raise GuardNotReachable(f"nothing listens on port {self._port}") from None
        connection.auto_open = 0  # a connection that is opened again may end somewhere else
        try:
            nonce = secrets.token_hex(NONCE_DIGITS // 2)
            status, body = self._exchange(connection, "GET", f"/-/challenge?nonce={nonce}", {})
            answer = _parsed(body) if status == 200 else {}
            given = answer.get("proof") if isinstance(answer, dict) else None
            if not isinstance(given, str) or not hmac.compare_digest(
                given.encode(), proof(token, nonce, self._port).encode()
            ):
                raise GuardNotOurs(f"what listens on port {self._port} is not the guard of {self._home.root}")
            yield connection, token
        finally:
            connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read(_MOST_BYTES)
        except TimeoutError:
            raise GuardNotReachable(f"what listens on port {self._port} does not answer") from None
        except (OSError, http.client.HTTPException):
            raise GuardNotOurs(f"what listens on port {self._port} does not speak as a guard does") from None


def _event(frame: bytes) -> Event | None:
    """One event of its lines; None for a comment or what is no event of ours."""
    named = dict(line.partition(b": ")[::2] for line in frame.split(b"\n"))
    try:
        data = json.loads(named[b"data"])
        return Event(named[b"id"].decode(), named[b"event"].decode(), data) if isinstance(data, dict) else None
    except (KeyError, ValueError):
        return None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise GuardNotOurs("what listens on the port does not speak as a guard does") from None


def _told(body: bytes) -> str:
    """What a refusal says, or nothing."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
