"""The agent is not worse off: the same edits, guarded and direct, give the same files, byte for byte."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.agent import Agent
from tests.e2e.edits import EDITS
from tests.e2e.guard import Guard
from tests.e2e.planted import Search, made
from tests.e2e.sdks import Way
from tests.provider.server import Provider


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by name, git's own aside."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_ends_with_the_same_bytes_as_without_a_guard(
    name: str, guard: Guard, provider: Provider, tmp_path: Path
) -> None:
    edit, seed = EDITS[name], list(EDITS).index(name)
    before = edit.content(seed)
    customer = made("⟦jane.{word:6}@{word:7}.io⟧", seed)[1]
    provider.brain = edit.brain
    ended: list[tuple[dict[str, bytes], str, list[str]]] = []
    for way in (Way.direct(provider.url), Way.guarded(guard.url)):
        provider.requests.clear()
        folder = tmp_path / str(len(ended))
        folder.mkdir()
        (folder / edit.file).write_bytes(before.encode())
        agent = Agent(way, folder)
        agent.run(edit.format, f"Please change {edit.file} for {customer}.")
        ended.append((files(folder), agent.told, agent.results))
    direct, guarded = ended
    assert direct[0][edit.file] != before.encode()
    assert guarded == direct
    values = [customer, *edit.values(seed)]
    assert len(values) > len(edit.hidden)
    assert Search(values).in_(b"".join(request.everything for request in provider.requests)) == []
    assert_prefix_stable(provider, edit.format)


def assert_prefix_stable(provider: Provider, format: str) -> None:
    """Each request's history begins with the one before it, byte for byte."""
    member = b'"input":[' if format == "responses" else b'"messages":['
    histories = [request.body.partition(member)[2] for request in provider.content]
    for before, after in pairwise(histories):
        common = before[: before.index(b'],"')] if b'],"' in before else before.rstrip(b"]}")
        assert after.startswith(common[: common.rindex(b"}")])
