"""Route switches of a real guard: they count at once, outlast a restart, stand in the log and tell the agent what to do."""

from pathlib import Path

import httpx

from tests.e2e.guard import Guard, policy
from tests.provider.server import Provider


def ask(guard: Guard, endpoint: str) -> httpx.Response:
    body = {"model": "stub-1", "messages": [{"role": "user", "content": "hello"}]}
    return httpx.post(f"{guard.url}/{endpoint}/v1/chat/completions", json=body, timeout=60)


def test_what_is_switched_off_is_refused_until_it_is_on_again(provider: Provider, tmp_path: Path) -> None:
    with Guard(tmp_path / "home", policy(provider.port)) as guard:
        port = ("--port", str(guard.port))
        assert ask(guard, "openai").status_code == 200
        assert "openai" in guard.run("route", "set", "openai", "off", *port)
        refused = ask(guard, "openai")
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "localguard_route_off"
        assert "localguard route set openai on" in refused.json()["error"]["message"]
        guard.stop()
        guard.start()
        assert ask(guard, "openai").status_code == 403
        guard.run("route", "set", "openai", "on", *port)
        assert ask(guard, "openai").status_code == 200
        guard.run("route", "set", "local", *port)
        assert [ask(guard, name).status_code for name in ("openai", "azure", "lmstudio")] == [403, 403, 200]
        guard.run("route", "set", "policy", *port)
        assert ask(guard, "azure").status_code == 200
        changes = [
            record.metadata["detail"]
            for record in guard.records("control")
            if record.metadata and record.metadata["event"] == "route"
        ]
        assert changes == [
            {"endpoint": "openai", "on": False},
            {"endpoint": "openai", "on": True},
            {"mode": "local"},
            {"mode": "policy"},
        ]
        assert "No endpoint has this name" in guard.run("route", "set", "nobody", "off", *port)
