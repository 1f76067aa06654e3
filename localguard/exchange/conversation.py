"""Which conversation a request belongs to, where its client names no session: told by how the conversation began.

What is told apart are the system's words and the first of the user. They come again on every turn; marks that move from
turn to turn (`cache_control`) and ids are no part of them.
"""

from collections.abc import Iterable

from localguard.wire.format import mapping, texts

_SYSTEM_MEMBERS = ("system", "instructions", "systemInstruction", "system_instruction")
ITEM_MEMBERS = ("messages", "input", "contents")
_SYSTEM_ROLES = ("system", "developer")
_NO_TEXT = frozenset({"cache_control", "id", "name", "role", "status", "type"})


def opening(member: str, value: object) -> tuple[str, str] | None:
    """Who speaks (`instructions` of the whole, `system` or `user`) in a body's member, or in one item of it, and what is said; else None.

    Of a whole body (no member): the user, with the system's words before.
    """
    if not member:
        return _opening_of_body(value) if isinstance(value, dict) else None
    if member in _SYSTEM_MEMBERS:
        return "instructions", "\n".join(texts(value, _NO_TEXT))
    if member not in ITEM_MEMBERS:
        return None
    if isinstance(value, str):
        return "user", value
    role = mapping(value).get("role", "user" if member == "contents" else None)
    if role in _SYSTEM_ROLES:
        return "system", "\n".join(texts(value, _NO_TEXT))
    return ("user", "\n".join(texts(value, _NO_TEXT))) if role == "user" else None


def leading(openings: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Those of a body's openings, in order, that tell its conversation: the first of each, the system's before the user's."""
    first: dict[str, str] = {}
    for speaker, said in openings:
        if speaker != "system" or "user" not in first:
            first.setdefault(speaker, said)
    return tuple(first.items())


def started_by(openings: Iterable[tuple[str, str]]) -> str | None:
    """What tells a conversation: the instructions, else the system's words before the user's first, and those."""
    first = dict(leading(openings))
    return f"{first.get('instructions') or first.get('system')}\n{first['user']}" if "user" in first else None


def _opening_of_body(body: dict[str, object]) -> tuple[str, str] | None:
    openings: list[tuple[str, str]] = []
    for name in (*_SYSTEM_MEMBERS, *ITEM_MEMBERS):
        value = body.get(name)
        items = value if isinstance(value, list) and name in ITEM_MEMBERS else [value]
        openings += [said for item in items if item is not None and (said := opening(name, item))]
    started = started_by(openings)
    return None if started is None else ("user", started)
