"""Whatever is refused has an id that `explain` answers by, also where it never became an exchange."""

import json
import re
import socket
import time

import pytest

from localguard.audit.explain import explain
from localguard.audit.queries import Log
from tests.e2e.guard import Guard

HEAD = "Connection: close\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: codex_cli_rs/0.169.0\r\nContent-Length: 2\r\n"
REFUSED = {
    "a token that is none": ("POST /w/nonsense/openai/v1/chat/completions HTTP/1.1\r\n" + HEAD, "localguard_token_invalid"),
    "a token that nobody made": (
        "POST /w/lgw_" + "a1" * 16 + "/openai/v1/chat/completions HTTP/1.1\r\n" + HEAD,
        "localguard_token_unknown",
    ),
    "an endpoint that there is not": ("POST /nowhere/v1/chat/completions HTTP/1.1\r\n" + HEAD, "localguard_no_endpoint"),
    "no endpoint": ("POST / HTTP/1.1\r\n" + HEAD, "localguard_no_endpoint"),
    "a foreign host": ("POST /openai/v1/x HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n", "localguard_host_refused"),
    "a web page": (
        "POST /openai/v1/x HTTP/1.1\r\nOrigin: http://evil.example\r\n" + HEAD,
        "localguard_origin_refused",
    ),
    "a dot segment": ("POST /openai/%2e%2e/x HTTP/1.1\r\n" + HEAD, "localguard_path_invalid"),
    "an upgrade": ("GET /openai/v1/responses HTTP/1.1\r\nUpgrade: websocket\r\n" + HEAD, "localguard_websocket_unsupported"),
    "CONNECT": ("CONNECT example.com:443 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n", "localguard_connect_unsupported"),
    "two lengths": ("POST /openai/v1/x HTTP/1.1\r\n" + HEAD + "Transfer-Encoding: chunked\r\n", None),
    "no HTTP": ("nonsense\r\n", None),
    "a header that is no text": ("POST /openai/v1/x HTTP/1.1\r\nX-A: \xff\r\n" + HEAD, "localguard_header_invalid"),
}  # fmt: skip


def answered(guard: Guard, text: str) -> tuple[str, str]:
    """The head and the body of the answer to raw bytes."""
    with socket.create_connection(("127.0.0.1", guard.port), timeout=20) as connection:
        connection.sendall(text.replace("{port}", str(guard.port)).encode("latin-1") + b"\r\n{}")
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


def explained(guard: Guard, exchange: str) -> str:
    """What the log says of it, at the latest after two seconds: the agent does not wait for the disk."""
    until = time.monotonic() + 2
    with Log(guard.database) as log:
        while not (records := log.show(exchange)):
            assert time.monotonic() < until
            time.sleep(0.01)
    return str(explain(records))


@pytest.mark.parametrize("what", REFUSED)
def test_every_refusal_carries_an_id_that_explain_answers(guard: Guard, what: str) -> None:
    text, code = REFUSED[what]
    head, body = answered(guard, text)
    found = re.search(r"^X-LocalGuard-Exchange: (\S+)\r?$", head, re.MULTILINE | re.IGNORECASE)
    assert found is not None, head
    error = json.loads(body)["error"]
    assert f"localguard explain {found[1]}" in error["message"]
    said = explained(guard, found[1])
    assert f"refused by the guard ({error.get('code') or error['type']})" in said
    assert code is None or code in said
    assert "Nothing of it was sent." in said
