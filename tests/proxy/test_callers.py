"""Who calls: kept for a second per process, and never longer."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localguard.config.builtin import builtin_layer
from localguard.config.home import Home
from localguard.config.lineage import Forebear
from localguard.config.peer import Peer
from localguard.config.workspace_tokens import Tokens
from localguard.proxy import callers
from localguard.proxy.admission import AdmissionRefused, Admitted
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.control import ControlRefused
from localguard.proxy.tasks import DeclaredTasks


class Transport:
    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1 if name == "sockname" else 2)


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Place:
    """A guard's callers, one connection to it, and a clock."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(callers, "time", self.clock)
        self.tokens = Tokens(home)
        self.callers = Callers(self.tokens, DeclaredTasks())
        self.callers._finder = SimpleNamespace(peer_of=lambda local, remote: None)  # type: ignore[assignment]
        self.policy = PolicyState.of(builtin_layer())
        self.transport = Transport()

    async def locate(self, *, token: str | None = None, agent: str = "codex/1.0", task: str | None = None) -> Any:
        request: Any = SimpleNamespace(transport=self.transport, headers={"User-Agent": agent})
        endpoint = next(iter(self.policy.endpoints))
        return await self.callers.locate(request, Admitted(endpoint, "/v1/x", None, token, task, ()), self.policy)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    home = Home.locate({}, str(tmp_path))
    home.create()
    return Place(home, monkeypatch)


async def test_requests_of_one_kind_are_one_caller_s_for_a_second(place: Place) -> None:
    first = await place.locate()
    assert await place.locate() is first
    place.clock.now += 1.0
    assert await place.locate() is not first


async def test_another_agent_task_or_token_on_the_same_connection_is_another_caller(
    place: Place, tmp_path: Path
) -> None:
    token = place.tokens.create(directory=tmp_path, now="2026-01-31T08:15:00Z")
    first = await place.locate()
    assert (await place.locate(agent="claude-cli/2.0")).agent != first.agent
    assert (await place.locate(task="incident")).task == "incident"
    assert (await place.locate(token=token)).attribution == "token"
    assert await place.locate() is first


async def test_a_revoked_token_counts_for_a_second_at_most(place: Place, tmp_path: Path) -> None:
    token = place.tokens.create(directory=tmp_path, now="2026-01-31T08:15:00Z")
    await place.locate(token=token)
    place.tokens.revoke(place.tokens.list()[0].token_id)
    place.clock.now += 1.0
    with pytest.raises(AdmissionRefused, match="not known"):
        await place.locate(token=token)


async def test_a_new_policy_counts_at_once(place: Place) -> None:
    first = await place.locate()
    place.policy = PolicyState.of(builtin_layer())
    assert await place.locate() is not first


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git" / "objects").mkdir(parents=True)
    (root / ".git" / "refs").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return root


async def test_a_repository_s_policy_that_changed_counts_within_a_second(place: Place, repository: Path) -> None:
    token = place.tokens.create(directory=repository, now="2026-01-31T08:15:00Z")
    before = await place.locate(token=token)
    (repository / ".localguard.toml").write_text('version = 1\ndefault = "deny"\n')
    place.clock.now += 1.0
    assert len((await place.locate(token=token)).layers) == len(before.layers) + 1


async def test_what_a_connection_remembers_is_bounded(place: Place) -> None:
    for number in range(100):
        await place.locate(agent=f"codex/{number}")
    assert len(place.callers._connections[place.transport].located) == callers._MAX_KINDS  # type: ignore[index]


async def test_the_connections_of_one_process_are_looked_at_together(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    of_peer = place.policy.workspaces.of_peer

    def counted(peer: Any) -> Any:
        looks.append(peer)
        return of_peer(peer)

    monkeypatch.setattr(place.policy.workspaces, "of_peer", counted)
    transports = [Transport() for _ in range(5)]

    async def ask(transport: Transport) -> Any:
        request: Any = SimpleNamespace(transport=transport, headers={})
        endpoint = next(iter(place.policy.endpoints))
        return await place.callers.locate(request, Admitted(endpoint, "/v1/x", None, None, None, ()), place.policy)

    found = await asyncio.gather(*map(ask, transports))
    assert all(one == found[0] for one in found)
    assert len(looks) == 1
    place.clock.now += 2.0
    await ask(transports[0])
    assert len(looks) == 2


async def test_another_process_is_another_caller(place: Place) -> None:
    peers = iter([Peer(pid, 1, True, None, None, f"agent{pid}") for pid in (10, 11)])
    place.callers._finder = SimpleNamespace(peer_of=lambda local, remote: next(peers))  # type: ignore[assignment]
    first = await place.locate()
    place.transport = Transport()
    assert (await place.locate()).peer != first.peer


async def test_below_an_agent_nobody_is_a_person_even_before_this_guard_has_seen_a_request(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (Forebear(700, 300.0, "sh"), Forebear(60, 20.0, "python3", supervises=True))
    monkeypatch.setattr(callers, "lineage", lambda pid: line)
    place.callers._finder = SimpleNamespace(peer_of=lambda local, remote: Peer(700, 1, True, None, None, "sh"))  # type: ignore[assignment]
    request: Any = SimpleNamespace(transport=place.transport, headers={})
    with pytest.raises(ControlRefused, match="An agent cannot pause the guard"):
        await place.callers.only_persons(request, "pause the guard")
