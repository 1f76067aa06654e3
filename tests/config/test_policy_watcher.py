import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from localguard.config.builtin import builtin_layer
from localguard.config.home import Home, write_private
from localguard.config.policy_files import PolicyInvalid, PolicyWatcher
from localguard.policy.model import Layer


def rule(name: str) -> str:
    return f'version = 1\n[[rules]]\nid = "{name}"\neffect = "allow"\n'


class Watched:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.file = home.policy_file
        self.layers: list[Layer] = []
        self.errors: list[PolicyInvalid] = []
        self.watcher = PolicyWatcher(home, lambda layers: self.layers.append(layers[-1]), self.errors.append)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - any condition, not one event
                await asyncio.sleep(0.02)

    def in_force(self) -> str:
        return self.watcher.layer.rules[0].id


@pytest.fixture
async def watched(home: Home) -> AsyncIterator[Watched]:
    home.policy_file.write_text(rule("first"))
    found = Watched(home)
    found.watcher.load()
    await found.watcher.start()
    await asyncio.sleep(0.3)  # the watching thread needs a moment before it sees changes at once
    yield found
    await found.watcher.close()


async def test_a_change_in_place_is_seen(watched: Watched) -> None:
    watched.file.write_text(rule("second"))
    await watched.until(lambda: watched.in_force() == "second")
    assert [layer.rules[0].id for layer in watched.layers] == ["second"]


async def test_atomic_replacement_is_seen_again_and_again(watched: Watched) -> None:
    for name in ("second", "third", "fourth"):
        write_private(watched.file, rule(name).encode())
        await watched.until(lambda name=name: watched.in_force() == name)  # type: ignore[misc]


async def test_a_half_written_file_keeps_the_last_good_policy_and_says_so(watched: Watched) -> None:
    whole = rule("second")
    watched.file.write_text(whole[: len(whole) // 2])
    await watched.until(lambda: watched.watcher.error is not None)
    assert watched.in_force() == "first"
    assert watched.layers == []
    assert watched.errors[0].file == str(watched.file)
    watched.file.write_text(whole)
    await watched.until(lambda: watched.in_force() == "second")
    assert watched.watcher.error is None


async def test_an_emptied_file_keeps_the_last_good_policy(watched: Watched) -> None:
    watched.file.write_text("")
    await watched.until(lambda: watched.watcher.error is not None)
    assert watched.in_force() == "first"


async def test_a_file_that_grows_while_it_is_written_is_read_once_it_rests(watched: Watched) -> None:
    text = rule("second") + "".join(f'[[rules]]\nid = "more-{n}"\neffect = "deny"\n' for n in range(20))
    parts = text.split("[[rules]]")
    with watched.file.open("w") as file:
        for part in parts:
            file.write(("[[rules]]" if part is not parts[0] else "") + part)
            file.flush()
            await asyncio.sleep(0.02)
    await watched.until(lambda: watched.in_force() == "second")
    assert [len(layer.rules) for layer in watched.layers] == [21]
    assert watched.errors == []


async def test_the_gap_between_deleting_and_writing_anew_never_shows(watched: Watched) -> None:
    watched.file.unlink()
    await asyncio.sleep(0.3)
    watched.file.write_text(rule("second"))
    await watched.until(lambda: watched.in_force() == "second")
    assert [layer.rules[0].id for layer in watched.layers] == ["second"]


async def test_a_file_deleted_for_good_brings_the_built_in_policy_back(watched: Watched) -> None:
    watched.file.unlink()
    await watched.until(lambda: watched.watcher.layer.digest == builtin_layer().digest)


async def test_a_link_is_followed_to_the_directory_that_it_leads_to(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    (elsewhere / "policy.toml").write_text(rule("first"))
    home.policy_file.symlink_to(elsewhere / "policy.toml")
    watched = Watched(home)
    watched.watcher.load()
    await watched.watcher.start()
    await asyncio.sleep(0.3)
    try:
        write_private(home.policy_file, rule("second").encode())
        assert home.policy_file.is_symlink()
        await watched.until(lambda: watched.in_force() == "second")
        os.unlink(home.policy_file)  # noqa: PTH108
        home.policy_file.symlink_to(home.policy_file)
        await watched.until(lambda: watched.watcher.error is not None)
        assert watched.in_force() == "second"
    finally:
        await watched.watcher.close()


def test_a_policy_broken_from_the_start_refuses_until_it_is_mended(home: Home) -> None:
    home.policy_file.write_text("version = 1\nrule = []\n")
    watcher = PolicyWatcher(home, lambda layers: None)
    layer = watcher.load()
    assert layer.rules[0].id == "policy-invalid"
    assert watcher.error is not None
    assert 'Did you mean "rules"?' in watcher.error.message
