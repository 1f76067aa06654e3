"""History that a provider holds: how requests name it, and what replies say of it.

What a model will read and this process did not see go out was never scanned or decided on, so it is refused
(design section 4). Named by a body's member, by the address, or by an item that stands for another one.

Not history, and so allowed: a stored prompt (`prompt.id`) and an assistant (`assistant_id`). They name a template that
somebody put at the provider; its text is not part of this work and nothing more of this machine leaves by naming it.
What the request puts into it (`prompt.variables`) is scanned like every other leaf. Files named by id are attachments.

Sources: OpenAI API reference (Responses, Conversations, Assistants), Gemini API reference (cached contents,
interactions), read November 2026.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

import orjson

from localguard.exchange.split import Piece
from localguard.wire.format import mapping, objects
from localguard.wire.responses import RESPONSES

PREVIOUS_RESPONSE = "previous_response_id"
_MEMBERS = (
    PREVIOUS_RESPONSE,
    "conversation",
    "previous_interaction_id",
    "thread_id",
    "cachedContent",
    "cached_content",
)
_COLLECTIONS = ("threads", "conversations")
_READING = ("GET", "HEAD", "OPTIONS", "DELETE")
_MAX_ID = 1024


class Held(NamedTuple):
    """History that a request names: by which member (or `path`), and under which id; empty for what is no plain id."""

    member: str
    id: str


def named_by_members(members: Mapping[str, bytes]) -> Iterator[Held]:
    """What the top-level members of a body name."""
    for name in _MEMBERS:
        raw = members.get(name)
        if raw is not None and raw.strip() != b"null":
            yield Held(name, _id(raw))


def named_by_path(method: str, path: str) -> Iterator[Held]:
    """What an address that is written to names: `/threads/{id}/…`, `/conversations/{id}/…`."""
    if method in _READING:
        return
    segments = [unquote(segment) for segment in path.split("/")]
    for collection, name in itertools.pairwise(segments):
        if collection in _COLLECTIONS and name not in ("", "runs"):
            yield Held("path", name)


def named_by_items(format: str, piece: Piece, value: object) -> tuple[str, ...]:
    """Ids of the items that stand in a piece of a Responses request for items that the provider holds."""
    if format != RESPONSES.name or piece.member not in ("", "input"):
        return ()
    value = mapping(value).get("input") if piece.member == "" else value
    return tuple(
        str(item["id"])
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, dict) and "id" in item and (item.get("type") == "item_reference" or item.keys() == {"id"})
    )


def ids_of_reply(value: Mapping[str, object]) -> Iterator[str]:
    """Ids under which the provider may hold what a whole reply, or one event of a streamed one, is about."""
    name = value.get("name")
    for one in (value.get("id"), value.get("thread_id"), name):
        if isinstance(one, str) and (one is not name or one.startswith("cachedContents/")):
            yield one
    item = value.get("item")
    for _, output in objects([item] if isinstance(item, dict) else value.get("output")):
        if isinstance(output.get("id"), str):
            yield output["id"]


def _id(raw: bytes) -> str:
    if len(raw) > _MAX_ID:
        return ""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    value = value.get("id") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""
