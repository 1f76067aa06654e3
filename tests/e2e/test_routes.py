"""Route switches of a real guard: they count at once, outlast a restart, stand in the log and tell the agent what to do."""

from pathlib import Path

from tests.e2e.guard import Guard, policy
from tests.e2e.test_asking import said, send
from tests.provider.server import Provider


def ask(guard: Guard, endpoint: str) -> str:
    """What an agent is told, which is another process than the one that switches."""
    return said(send(guard, "hello", endpoint=endpoint))


def test_what_is_switched_off_is_refused_until_it_is_on_again(provider: Provider, tmp_path: Path) -> None:
    with Guard(tmp_path / "home", policy(provider.port)) as guard:
        port = ("--port", str(guard.port))
        assert ask(guard, "openai") == "200"
        assert "openai" in guard.run("route", "set", "openai", "off", *port)
        refused = ask(guard, "openai")
        assert refused.startswith("403")
        assert "localguard_route_off" in refused
        assert "localguard route set openai on" in refused
        guard.stop()
        guard.start()
        assert ask(guard, "openai").startswith("403")
        guard.run("route", "set", "openai", "on", *port)
        assert ask(guard, "openai") == "200"
        guard.run("route", "set", "local", *port)
        assert [ask(guard, name)[:3] for name in ("openai", "azure", "lmstudio")] == ["403", "403", "200"]
        guard.run("route", "set", "policy", *port)
        assert ask(guard, "azure") == "200"
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
