"""An organisation's policy from an address, on a real guard: in force at once, and still when the address is gone."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from localguard.config.signing import new_key, read_key, signed
from tests.config.test_organisation import policy as company_policy
from tests.e2e.guard import Guard, policy
from tests.e2e.test_asking import said, send
from tests.provider.server import Provider


class Address(BaseHTTPRequestHandler):
    """Serves one policy."""

    data = b""

    def do_GET(self) -> None:
        found = self.path == "/v1/policy"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(self.data) if found else 0))
        self.end_headers()
        self.wfile.write(self.data if found else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Address) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_it_is_in_force_at_once_and_outlasts_its_address(
    running_provider: Provider, provider: Provider, address: HTTPServer, tmp_path: Path
) -> None:
    key = tmp_path / "signing.pem"
    public = new_key(key)
    Address.data = signed(company_policy(3, more='reason = "Not before the audit."\n'), read_key(key))
    url = f"http://127.0.0.1:{address.server_port}"
    with Guard(tmp_path / "home", policy(running_provider.port)) as guard:
        assert said(send(guard, "hello")) == "200"
        told = guard.run("policy", "trust", str(public), "--name", "acme", "--from", url)
        assert "acme, revision 3, was fetched" in told
        for _ in range(50):
            refused = said(send(guard, "hello"))
            if refused.startswith("403"):
                break
        assert "Not before the audit." in refused
        assert guard.status()["policy"]["organisation"]["revision"] == 3
        assert f"fetched from {url}" in guard.run("policy", "trust")
        address.shutdown()
        guard.stop()
        guard.start()  # with nobody at the address
        assert "Not before the audit." in said(send(guard, "hello"))
        events = [record.metadata or {} for record in guard.records("control")]
        changes = [one["detail"] for one in events if one["event"] == "policy-change"]
        assert ("acme", 3) in [(one.get("organisation"), one.get("revision")) for one in changes]
        assert "not fetched any more" in guard.run("policy", "trust", "--from", "none")
