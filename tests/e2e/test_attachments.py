"""Attached documents through a real guard: looked through, and sent or refused as the policy's `attachments` says."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.detect.documents import docx, pdf
from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

BLOCK = """
[[rules]]
id = "no-blind-attachments"
effect = "allow"
redact = { attachments = "block" }
[[rules]]
id = "no-tokens-to-the-other-model"
effect = "deny"
when = { models = ["stub-2"], findings = ["GITHUB_TOKEN"] }
reason = "Tokens do not go to this model, redacted or not."
"""
SECRET = github_token(51)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


@pytest.fixture(scope="module")
def blocking(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("blocking") / "home"
    with Guard(home, policy(running_provider.port, BLOCK)) as started:
        yield started


def anthropic(guard: Guard, data: bytes, media: str = "application/pdf", model: str = "stub-1") -> httpx.Response:
    source = {"type": "base64", "media_type": media, "data": base64.b64encode(data).decode()}
    body = {
        "model": model,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "document", "source": source}]}],
    }
    return httpx.post(f"{guard.url}/anthropic/v1/messages", json=body, timeout=30)


def openai(guard: Guard, data: bytes) -> httpx.Response:
    file: dict[str, Any] = {
        "filename": "x.docx",
        "file_data": "data:application/octet-stream;base64," + base64.b64encode(data).decode(),
    }
    body = {"model": "stub-1", "messages": [{"role": "user", "content": [{"type": "file", "file": file}]}]}
    return httpx.post(f"{guard.url}/openai/v1/chat/completions", json=body, timeout=30)


def test_a_clean_document_passes_byte_for_byte_where_blind_ones_are_blocked(
    blocking: Guard, provider: Provider
) -> None:
    data = pdf("nothing to hide")
    assert anthropic(blocking, data).status_code == 200
    assert base64.b64encode(data) in provider.last.body
    assert openai(blocking, docx(["nothing to hide"])).status_code == 200


@pytest.mark.parametrize(
    "data",
    [pdf(f"token {SECRET}"), pdf("x", picture=True), PNG, b"%PDF-1.7 broken" + bytes(64)],
    ids=["hit", "picture", "png", "broken"],
)
def test_a_hit_a_picture_and_what_cannot_be_read_are_blocked(blocking: Guard, provider: Provider, data: bytes) -> None:
    provider.requests.clear()
    refused = anthropic(blocking, data)
    assert refused.status_code == 403
    assert "attachments" in refused.json()["error"]["message"]
    assert provider.content == []


def test_a_secret_cut_into_runs_by_word_is_found_in_the_document(blocking: Guard, provider: Provider) -> None:
    assert openai(blocking, docx(["token ", SECRET[:9], SECRET[9:]])).status_code == 403


def test_a_hit_in_a_document_counts_for_rules_about_findings(blocking: Guard, provider: Provider) -> None:
    refused = anthropic(blocking, pdf(f"token {SECRET}"), model="stub-2")
    assert refused.status_code == 403
    assert "Tokens do not go" in json.dumps(refused.json())


def test_where_attachments_are_allowed_a_document_passes_and_is_recorded(guard: Guard, provider: Provider) -> None:
    reply = anthropic(guard, pdf(f"token {SECRET}"))
    assert reply.status_code == 200
    intent = next(one for one in guard.records() if one.exchange == reply.headers["X-LocalGuard-Exchange"])
    assert intent.metadata is not None
    assert intent.metadata["attachments"] == {"application/pdf": 1}
