"""How long a decision takes, and how long requests feel a new policy. Pure Python: no guard, no network."""

import asyncio
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from localguard.config.home import Home, write_private
from localguard.config.policy_files import PolicyWatcher, load_policy
from localguard.config.policy_parser import parse_policy
from localguard.policy.decide import decide
from localguard.policy.model import EndpointClass, Layer, LayerName, Sensitivity, Work

RULES, WORKSPACES = 100, 50
_ROUNDS = 2_000
_TASKS = ("docs", "incident", "refactoring", None)


def policy_text(name: LayerName, *, allow: bool) -> str:
    """A policy of 100 rules and 50 workspaces in which most fields of `when` are used and hardly any rule matches all of a request."""
    head = ["version = 1", f'default = "{"allow" if name is LayerName.REPOSITORY else "deny"}"']
    if name is LayerName.ORGANISATION:
        head.append('[organisation]\nname = "acme"\nrevision = 1\nexpires = 2099-01-01T00:00:00Z')
    models = '[[models]]\nname = "model-1"\naliases = ["deployed-*"]\n'
    workspaces = [
        f'[[workspaces]]\nname = "workspace-{n}"\nmatch = {{ remotes = ["git.example.com/team-{n}/*"], paths = ["~/w{n}"] }}\n'
        f'sensitivity = "{("public", "internal", "sensitive")[n % 3]}"\n'
        for n in range(WORKSPACES)
    ]
    rules = [
        f'[[rules]]\nid = "r{n}"\neffect = "{("deny", "ask", "allow")[n % 3]}"\n'
        f'when = {{ workspaces = ["workspace-{n % WORKSPACES}"], tasks = ["docs", "incident"], models = ["model-{n}*", "*mini*"], '
        f'classes = ["experimental", "enterprise"], times = ["mon-fri 08:00-18:00 Europe/Berlin"] }}\n'
        f'redact = {{ secret = "redact", attachments = "block" }}\n'
        for n in range(RULES - 1)
    ]
    last = f'[[rules]]\nid = "all"\neffect = "{"allow" if allow else "ask"}"\nredact = {{ pii = "redact" }}\n'
    return "\n".join([*head, models, *workspaces, *rules, last])


def layers() -> list[Layer]:
    """Three layers of that size, all of which allow in the end."""
    return [parse_policy(policy_text(name, allow=True).encode(), f"{name}.toml", name) for name in LayerName]


def decision_microseconds() -> dict[str, float]:
    """CPU microseconds of one decision, best of five rounds: for work that was seen before, and for models never seen."""
    stack = layers()
    chance = random.Random(1)
    work = [
        Work(
            workspace=f"workspace-{chance.randrange(WORKSPACES)}",
            sensitivity=Sensitivity.INTERNAL,
            task=chance.choice(_TASKS),
            endpoint="openai",
            endpoint_class=EndpointClass.HOSTED,
            model=f"model-{chance.randrange(40)}",
            identity="team",
            agent="codex",
            tools=frozenset({"shell", "edit", "read"}),
            findings=frozenset({"EMAIL", "pii"}),
            time=datetime(2026, 11, 27, 10, minute, tzinfo=UTC),
            input_tokens=1000,
        )
        for minute in range(0, 60, 2)
        for _ in range(10)
    ]
    return {"seen": min(_each(stack, work) for _ in range(5)), "new": _each(stack, _unseen(work))}


def _each(stack: list[Layer], work: list[Work]) -> float:
    began = time.process_time()
    for number in range(_ROUNDS):
        decide(stack, work[number % len(work)])
    return (time.process_time() - began) / _ROUNDS * 1e6


def _unseen(work: list[Work]) -> list[Work]:
    from dataclasses import replace

    return [replace(work[n % len(work)], model=f"invented-{n}") for n in range(_ROUNDS)]


async def reload_milliseconds() -> tuple[float, float]:
    """CPU milliseconds to read a policy of that size, and the longest that the event loop was held up meanwhile."""
    with tempfile.TemporaryDirectory(prefix="localguard-bench-") as folder:
        home = Home(Path(folder) / "home")
        home.create()
        home.policy_file.write_text(policy_text(LayerName.USER, allow=True), "utf-8")
        load_policy(home.policy_file)  # pydantic is imported once
        began = time.process_time()
        load_policy(home.policy_file)
        took = (time.process_time() - began) * 1000
        changed = asyncio.Event()
        watcher = PolicyWatcher(home, lambda _: changed.set())
        watcher.load()
        await watcher.start()
        await asyncio.sleep(0.3)
        write_private(home.policy_file, policy_text(LayerName.USER, allow=False).encode())
        longest = 0.0
        while not changed.is_set():
            last = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - last)
        await watcher.close()
        return took, longest * 1000
