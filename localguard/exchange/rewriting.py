"""Putting placeholders into one piece of a body: what of each text is replaced, and the piece's new bytes."""

from collections.abc import Sequence
from typing import TypeVar

from localguard.detect.finding import DataClass, Finding
from localguard.detect.types import TYPE_PRECEDENCE
from localguard.exchange.items import Item, Replaced
from localguard.exchange.memory import Restored, WorkspaceMemory
from localguard.exchange.opaque import check_opaque, opaque_refusal
from localguard.exchange.refused import RequestRefused
from localguard.exchange.split import Piece
from localguard.exchange.texts import Text, Texts
from localguard.redact.redactor import Actions, Replacement, replacements
from localguard.wire.json_edit import Edit, LeafKind, lift, splice

MIN_SWEPT = 8
"""Bytes. No distinctive value is shorter (P4), so a shorter text holds none."""

Span = TypeVar("Span", Finding, Replacement)


def rewrite(
    memory: WorkspaceMemory, piece: Piece, texts: Texts, item: Item, actions: Actions
) -> tuple[bytes, tuple[Replaced, ...]]:
    """The bytes of `piece` as they may leave under `actions`, and what was replaced in them.

    Raises RequestRefused where a value stands in an opaque leaf, or in a number that has to stay one.
    """
    if any(actions.get(data_class) != "allow" for data_class in item.held):
        raise opaque_refusal(piece, signed=False)
    for opaque in texts.opaque:
        check_opaque(memory, piece, opaque, actions)
    found = dict(item.findings)
    replaced: list[Replaced] = []
    edits: dict[int, list[Edit]] = {id(container): [] for container in texts.containers}
    for index, text in enumerate(texts.texts):
        ones = _replacements(memory, piece, text, found.get(index, ()), actions)
        if not ones:
            continue
        leaf = text.leaf
        if leaf.kind is LeafKind.NUMBER:
            lifted = [Edit(leaf.start, leaf.end, b'"' + ones[0].placeholder.encode() + b'"')]
        else:
            made = [Edit(one.start, one.end, one.placeholder.encode()) for one in ones]
            within = text.container
            known = text.text if within.canonical else None
            lifted = made if within.encoded else lift(within.raw, leaf.start, made, known)
        edits[id(text.container)] += lifted
        location = _join(piece.where, text)
        replaced += [replaced_at(memory, text.text[one.start : one.end], one, location) for one in ones]
    for container in reversed(texts.containers[1:]):
        inner = edits[id(container)]
        if inner and container.parent is not None:
            if container.encoded is not None:
                spelled = container.encoded.spell(splice(container.raw, inner))
                inner = [Edit(container.encoded.start, container.encoded.end, spelled)]
            known = container.raw if container.parent.canonical and container.encoded is None else None
            edits[id(container.parent)] += lift(container.parent.raw, container.token, inner, known)
    return splice(piece.raw, edits[id(texts.containers[0])]), tuple(dict.fromkeys(replaced))


def restored_in(memory: WorkspaceMemory, text: Text) -> tuple[Restored, ...] | None:
    """The values that a reply of this process put into this very text, if it is one."""
    return memory.restored.get(memory.digest(b"restored", text.text)) if len(memory.restored) else None


def beside(spans: Sequence[Span], restored: Sequence[Restored]) -> list[Span]:
    """What of `spans` does not touch a restored value."""
    return [span for span in spans if all(span.end <= one.start or span.start >= one.end for one in restored)]


def replaced_at(memory: WorkspaceMemory, value: bytes, one: Replacement, location: str) -> Replaced:
    """What the log says of one replacement of `value`."""
    finding = one.finding
    placeholder = one.placeholder
    known = memory.vault.resolve(placeholder)
    return Replaced(
        type=placeholder[3:-17],
        data_class=str(known.data_class) if known is not None else "secret",
        rule=finding.rule if isinstance(finding, Finding) else "known-value",
        location=location,
        fingerprint=memory.fingerprint(value.decode("utf-8", "replace")),
        sweep=finding is None,
    )


def _replacements(
    memory: WorkspaceMemory, piece: Piece, text: Text, findings: tuple[Finding, ...], actions: Actions
) -> list[Replacement]:
    """What of a text is replaced.

    A text that a reply was turned back into goes upstream as it came: its values get the placeholders that they came
    from, whatever the scanner would make of them now. Of a number all is replaced, or nothing.
    """
    vault = memory.vault
    restored = restored_in(memory, text)
    if restored is None:
        if not findings and len(text.text) < MIN_SWEPT:
            return []
        ones = replacements(text.text, findings, vault, actions, TYPE_PRECEDENCE)
        return _fit_number(memory, piece, text, ones, actions)
    made = replacements(text.text, beside(findings, restored), vault, actions, TYPE_PRECEDENCE)
    made = beside(made, restored)
    for one in restored:
        known = vault.resolve(one.placeholder)
        if known is None or known.guarded or actions.get(known.data_class) != "allow":
            made.append(Replacement(one.start, one.end, one.placeholder, None))
    return sorted(made, key=lambda one: one.start)


def _fit_number(
    memory: WorkspaceMemory, piece: Piece, text: Text, ones: list[Replacement], actions: Actions
) -> list[Replacement]:
    if text.leaf.kind is not LeafKind.NUMBER or not ones:
        return ones
    if not text.free:
        raise RequestRefused(
            400,
            "number_not_replaceable",
            "number-in-schema",
            f"A number at {piece.member or 'the body'} is sensitive, and the API wants a number there.",
            "Send it as text inside a message, or leave it out.",
        )
    if (ones[0].start, ones[0].end) == (0, len(text.text)):
        return ones
    known = memory.vault.resolve(ones[0].placeholder)
    data_class = DataClass(known.data_class) if known is not None else DataClass.SECRET
    whole = Finding(0, len(text.text), ones[0].placeholder[3:-17], data_class, "known-value", False)
    return replacements(text.text, [whole], memory.vault, actions, TYPE_PRECEDENCE)


def _join(where: str, text: Text) -> str:
    location = text.location
    if not location:
        return where
    return f"{where}{location}" if location.startswith("[") or not where else f"{where}.{location}"
