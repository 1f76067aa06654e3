"""Who may speak to the guard at all, and what address a request names.

The rule of this file: pure judgement over the head of a request. A web page, a rebound host name or a path that means one
thing here and another upstream gets a refusal before anything else looks at the request.

It does not say whose process is at the other end of the connection: that is `config.peer`'s matter.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_plus, unquote_to_bytes

from localguard.errors import LocalguardError
from localguard.proxy import headers as fields
from localguard.proxy.headers import Headers

LOCAL_TOKEN = re.compile(r"lgw_[A-Za-z0-9_-]{8,200}")
"""What a local workspace token looks like; it is never a provider's key and never goes upstream."""

TOKEN_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
"""Header names (lower case) where a local token may stand instead of a provider's key."""

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Methods that go upstream. Not TRACE: it would echo credentials."""

_ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_TARGET = re.compile(r"[\x21-\x7e]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_DEEPEST_ESCAPE = 4


class AdmissionRefused(LocalguardError):
    """The request may not pass. `status` is the HTTP status, `code` starts with `localguard_`; the text holds no value."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one request as it arrived: `target` is the raw request target, headers in wire order."""

    method: str
    target: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request to an endpoint.

    `path` is the raw rest of the path ("" or starting with "/") and `query` the raw query without "?" (None if there is
    none): both go upstream byte for byte. `headers` are the request's without local tokens and `X-LocalGuard-*`.
    """

    endpoint: str
    path: str
    query: str | None
    workspace_token: str | None = field(repr=False)
    task: str | None
    headers: Headers = field(repr=False)

    @property
    def target(self) -> str:
        """The path with its query."""
        return self.path if self.query is None else f"{self.path}?{self.query}"


@dataclass(frozen=True, slots=True)
class ControlCall:
    """A request to the guard itself, below `/-/`: `path` is "/healthz", "/api/status", … and `query` the raw query."""

    path: str
    query: str | None
    headers: Headers = field(repr=False)


class Admission:
    """Judges request heads for a guard on `port`.

    `extra_hosts` are further names to be known by (`host.docker.internal`, with or without port); `extra_origins` further
    origins whose pages may call (`vscode-file://vscode-app`), none by default: an editor's window is a web page too.
    """

    def __init__(self, port: int, *, extra_hosts: Iterable[str] = (), extra_origins: Iterable[str] = ()) -> None:
        names = ["127.0.0.1", "localhost", "[::1]", *(host.lower() for host in extra_hosts)]
        with_port = [name for name in names if re.search(r":\d+$", name)]
        bare = [name for name in names if name not in with_port]
        self._hosts = frozenset([*with_port, *bare, *(f"{name}:{port}" for name in bare)])
        own = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")]
        self._origins = frozenset([*own, *(origin.lower() for origin in extra_origins)])

    def admit(self, head: Head) -> Admitted | ControlCall:
        """Check host, origin, method and path, and split the address. Raises AdmissionRefused."""
        self._check_host(head)
        self._check_origin(head)
        path, query = self._split_target(head)
        check_path(path)
        refuse_upgrade(head.headers)
        segments = path.split("/")[1:]
        if segments[0] == "-":
            return ControlCall("/" + "/".join(segments[1:]), query, head.headers)
        return _address(head, segments, query)

    def _check_host(self, head: Head) -> None:
        hosts = [value for name, value in head.headers if name.lower() == "host"]
        if len(hosts) != 1:
            raise AdmissionRefused(400, "localguard_host_invalid", "The request needs exactly one Host header.")
        if hosts[0].lower() not in self._hosts:
            raise AdmissionRefused(
                403,
                "localguard_host_refused",
                "The Host header names another machine or port than this guard. "
                "Use http://127.0.0.1 with the guard's port as base URL.",
            )

    def _check_origin(self, head: Head) -> None:
        for name, value in head.headers:
            lowered = name.lower()
            if lowered == "origin" and value.lower() not in self._origins:
                raise AdmissionRefused(
                    403, "localguard_origin_refused", "Requests from web pages are not accepted (Origin header)."
                )
            if lowered == "sec-fetch-site" and value.lower() not in ("none", "same-origin"):
                raise AdmissionRefused(
                    403,
                    "localguard_origin_refused",
                    "Requests from web pages are not accepted (Sec-Fetch-Site header).",
                )

    def _split_target(self, head: Head) -> tuple[str, str | None]:
        if head.method not in METHODS and head.method != "CONNECT":
            raise AdmissionRefused(405, "localguard_method_refused", "The guard does not pass this HTTP method on.")
        if head.method == "CONNECT":
            raise AdmissionRefused(
                501,
                "localguard_connect_unsupported",
                "The guard does not accept CONNECT. Set the agent's base URL to the guard instead of HTTPS_PROXY.",
            )
        target = head.target
        if not target.startswith("/"):
            scheme, separator, rest = target.partition("://")
            authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
            if not separator or scheme.lower() != "http" or authority.lower() not in self._hosts:
                raise AdmissionRefused(
                    403,
                    "localguard_target_refused",
                    "The request is addressed to another host. Set the agent's base URL to the guard, not its HTTP proxy.",
                )
            target = rest[len(authority) :]
            if not target.startswith("/"):
                target = "/" + target
        path, separator, query = target.partition("?")
        if not _TARGET.fullmatch(target) or "#" in target:
            raise _bad_path("holds characters that must be percent-encoded")
        return path, query if separator else None


def check_path(path: str) -> None:
    """Refuse a raw path that two readers may understand differently.

    Refused: `//`, dot segments and backslashes and control characters (also percent-encoded, up to four times over), broken
    escapes. `%2F` is allowed: model names hold slashes. Raises AdmissionRefused.
    """
    if "//" in path:
        raise _bad_path("has an empty segment; look for a doubled or trailing slash in the base URL")
    if _BAD_ESCAPE.search(path):
        raise _bad_path("has a broken percent-encoding")
    decoded = path.encode("ascii")
    for _ in range(_DEEPEST_ESCAPE):
        if b"\\" in decoded or _CONTROL.search(decoded):
            raise _bad_path("holds a backslash or a control character")
        if any(segment.partition(b";")[0] in (b".", b"..") for segment in decoded.split(b"/")):
            raise _bad_path("holds a dot segment")
        again = unquote_to_bytes(decoded)
        if again == decoded:
            return
        decoded = again
    raise _bad_path("is percent-encoded too many times over")


def refuse_upgrade(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse a WebSocket upgrade with 426, on which agents fall back to POST. Other upgrades (h2c) are ignored."""
    upgrade = fields.joined(headers, "upgrade") or ""
    if any(option.strip().lower().split("/")[0] == "websocket" for option in upgrade.split(",")):
        raise AdmissionRefused(
            426,
            "localguard_websocket_unsupported",
            "WebSocket is not supported here. Send the request as an HTTP POST.",
        )


def _address(head: Head, segments: list[str], query: str | None) -> Admitted:
    tokens: list[str] = []
    tasks: list[str] = []
    if segments[0] == "w":
        if len(segments) < 2 or not LOCAL_TOKEN.fullmatch(segments[1]):
            raise AdmissionRefused(
                400, "localguard_token_invalid", "The address below /w/ does not start with a workspace token."
            )
        tokens.append(segments[1])
        segments = segments[2:]
        if segments[:1] == ["t"]:
            if len(segments) < 2:
                raise AdmissionRefused(400, "localguard_task_invalid", "The address names no task after /t/.")
            tasks.append(segments[1])
            segments = segments[2:]
    kept = []
    for name, value in head.headers:
        lowered = name.lower()
        if lowered == fields.WORKSPACE.lower():
            tokens.append(value)
        elif lowered == fields.TASK.lower():
            tasks.append(value)
        elif lowered.startswith(fields.OWN_PREFIX):
            continue
        elif lowered in TOKEN_HEADERS and LOCAL_TOKEN.fullmatch(token := fields.bare_credential(value)):
            tokens.append(token)
        else:
            kept.append((name, value))
    query, in_query = _without_local_keys(query)
    tokens += in_query
    endpoint = segments[0] if segments else ""
    if not _ENDPOINT.fullmatch(endpoint):
        raise AdmissionRefused(
            404,
            "localguard_no_endpoint",
            "The address names no endpoint. Use /<endpoint>/…, see `localguard endpoint list`.",
        )
    rest = "".join(f"/{segment}" for segment in segments[1:])
    return Admitted(endpoint, rest, query, _one_token(tokens), _one_task(tasks), tuple(kept))


def _without_local_keys(query: str | None) -> tuple[str | None, list[str]]:
    # `?key=` is where Google's clients put the key; the raw spelling of all other parameters stays
    if query is None or "lgw_" not in unquote_plus(query):
        return query, []
    kept, tokens = [], []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if fields.is_credential_parameter(name) and LOCAL_TOKEN.fullmatch(unquote_plus(value)):
            tokens.append(unquote_plus(value))
        else:
            kept.append(part)
    return "&".join(kept) if kept else None, tokens


def _one_token(tokens: list[str]) -> str | None:
    if any(not LOCAL_TOKEN.fullmatch(token) for token in tokens):
        raise AdmissionRefused(
            400, "localguard_token_invalid", "X-LocalGuard-Workspace does not hold a workspace token."
        )
    if len(set(tokens)) > 1:
        raise AdmissionRefused(400, "localguard_token_conflict", "The request carries two different workspace tokens.")
    return tokens[0] if tokens else None


def _one_task(tasks: list[str]) -> str | None:
    if any(not _TASK.fullmatch(task) for task in tasks):
        raise AdmissionRefused(
            400, "localguard_task_invalid", "The task category may hold letters, digits and . _ : - only, 64 at most."
        )
    if len(set(tasks)) > 1:
        raise AdmissionRefused(400, "localguard_task_conflict", "The request names two different task categories.")
    return tasks[0] if tasks else None


def _bad_path(what: str) -> AdmissionRefused:
    return AdmissionRefused(400, "localguard_path_invalid", f"The address {what}.")
