"""A guard process before a provider that keeps every byte it is sent, and values made at run time."""

import http.client
import json
import os
import random
import re
import shutil
import socket
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
KINDS = {
    "openai": "hosted",
    "anthropic": "hosted",
    "gemini": "hosted",
    "ollama": "local",
    "openai-compatible": "hosted",
}
_RANDOM = random.SystemRandom()
_REPLY = json.dumps(
    {"id": "x1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_REPLY) + _REPLY


class Provider:
    """Keeps what arrives, byte for byte; answers what `answer` says for a request's head, else a short completion."""

    def __init__(self, answer: Callable[[bytes], bytes] = lambda head: ANSWER) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.answer = answer
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._socket.accept()[0],), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = stream.readline()
                    if not line:
                        return
                    head += line
                length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
                body = stream.read(int(length[1])) if length else b""
                self.requests.append(head + body)
                connection.sendall(self.answer(head))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()


class Guarded:
    """A guard process in a home of its own."""

    def __init__(self, home: Path, provider: Provider, rules: str = "") -> None:
        self.home = home
        self.provider = provider
        home.mkdir(mode=0o700)
        self.write_policy(rules)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.start()

    def write_policy(self, rules: str) -> None:
        tables = [
            f'[[endpoints]]\nname = "{kind}"\nkind = "{kind}"\nclass = "{group}"\n'
            f'base_url = "http://127.0.0.1:{self.provider.port}"\n'
            for kind, group in KINDS.items()
        ]
        new = self.home / "policy.toml.new"
        new.write_text("version = 1\n" + "".join(tables) + rules, "utf-8")
        new.replace(self.home / "policy.toml")

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {**kept, "LOCALGUARD_KEYRING": "off", "LOCALGUARD_HOME": str(self.home)}

    def start(self) -> None:
        with (self.home / "guard.out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "localguard.cli.main", "serve", "--home", self.home, "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError):
                self.send("GET", "/-/healthz")
                return
            time.sleep(0.02)
        raise RuntimeError((self.home / "guard.out").read_text("utf-8"))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        finally:
            self.process.kill()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status, and what the provider got of it, all requests together: nothing where the guard refused."""
        before = len(self.provider.requests)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, _ = self.send("POST", path, data, {"Content-Type": "application/json", **(headers or {})})
        return status, b"\n".join(self.provider.requests[before:])

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """`post` for a call without a body."""
        before = len(self.provider.requests)
        status, _, _ = self.send("GET", path, None, headers)
        return status, b"\n".join(self.provider.requests[before:])

    def written(self) -> bytes:
        """Every byte in the home but the policy and the control token."""
        files = [path for path in self.home.rglob("*") if path.is_file() and path.suffix not in (".toml", ".token")]
        return b"\n".join(path.read_bytes() for path in sorted(files))


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_RANDOM.choice(alphabet) for _ in range(count))


def password() -> str:
    """Only its place gives it away."""
    return letters(9) + "7x"


def token() -> str:
    """An issuer's pattern."""
    return "gh" + "p_" + letters(36)


def chat(text: object, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}
