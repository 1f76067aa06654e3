"""What agents say about the place of the work is found however they say it."""

import json
import time

import pytest

from localguard.exchange.claims import MOST, NONE, claims_of
from localguard.wire.responses import RESPONSES
from tests.exchange.driver import Workspace

PLACE = "/home/dana/work/payments"
REMOTE = "git@github.com:acme/payments.git"
TURN = json.dumps({"workspaces": {PLACE: {"associated_remote_urls": {"origin": REMOTE}, "has_changes": True}}})
SAID = {
    "Codex": f"<environment_context>\n  <cwd>{PLACE}</cwd>\n  <shell>bash</shell>",
    "Claude Code": f"Here is your environment:\n - Primary working directory: {PLACE}\n - Is a git repository: true",
    "opencode": f"<env>\n  Working directory: {PLACE}\n  Workspace root folder: {PLACE}\n</env>",
    "Cline": f"# Current Working Directory ({PLACE}) Files\nREADME.md",
    "Gemini CLI": f"I'm currently working in the directory: {PLACE}\nHere is the folder structure",
    "Copilot CLI": f"* Git repository root: {PLACE}\n* Operating System: Linux",
    "a variable": f"export CWD='{PLACE}'",
}


@pytest.mark.parametrize("agent", SAID)
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_a_directory_is_found_as_agents_write_it_and_as_json_escapes_it(agent: str, levels: int) -> None:
    text = SAID[agent]
    for _ in range(levels):
        text = json.dumps({"content": text})
    assert claims_of(text.encode()).paths == (PLACE,)


@pytest.mark.parametrize(
    "text", [TURN, json.dumps({"turn": TURN}), f"origin\t{REMOTE} (fetch)", f'remote_url: "{REMOTE}"']
)
def test_a_remote_is_found_in_metadata_and_in_what_git_says(text: str) -> None:
    assert claims_of(text.encode()).remotes == (REMOTE,)


@pytest.mark.parametrize(
    "text", ["", "cwd", "the workspace is tidy/clean", "origin of species", "see /home/dana/x", "cwd:"]
)
def test_other_words_claim_nothing(text: str) -> None:
    assert claims_of(text.encode()) == NONE


def test_claims_are_bounded_in_number_and_time() -> None:
    many = b"".join(b"cwd: /place/%d\n" % number for number in range(10_000))
    assert len(claims_of(many).paths) == MOST
    for hostile in (b"cwd" * 90_000, b"cwd" + b" " * 250_000, b"cwd:/" + b"a/" * 120_000, b"origin " + b"x@" * 120_000):
        start = time.process_time()
        claims_of(hostile)
        assert time.process_time() - start < 0.2


def test_a_request_claims_what_its_headers_and_its_whole_history_claim() -> None:
    workspace = Workspace()
    items = [{"role": "user", "content": SAID["Codex"]}, *({"role": "user", "content": "x" * 3000} for _ in range(9))]
    for more in range(3):
        body = {"model": "m", "input": [*items, *({"role": "user", "content": f"go {n}"} for n in range(more))]}
        workspace.send(RESPONSES, body, headers=[("x-codex-turn-metadata", TURN)])
        assert workspace.reading is not None
        assert workspace.reading.facts.claims.paths == (PLACE,)
        assert workspace.reading.facts.claims.remotes == (REMOTE,)
