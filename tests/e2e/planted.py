"""Values that must not leave, made from seeded templates, and the search for them in every spelling."""

import base64
import html
import json
import random
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick

from localguard.detect.samples import expand


def made(template: str, seed: int) -> tuple[str, str]:
    """A text and the value in it, from a rule file's kind of template (`key=⟦{alnum:36}⟧`)."""
    sample = expand(template, random.Random(seed))
    assert sample.span is not None
    return sample.text.decode(), sample.text[slice(*sample.span)].decode()


def github_token(seed: int) -> str:
    """A token of GitHub's form."""
    return made("⟦gh" + "p_{alnum:36}⟧", seed)[1]


def spellings(value: str) -> dict[str, bytes]:
    """What to search for: the value as it is, escaped, URL-encoded, in HTML, in hex, and in base64 at every alignment."""
    raw = value.encode()
    escaped = json.dumps(value)[1:-1]
    found = {
        "raw": raw,
        "json": escaped.encode(),
        "json in json": json.dumps(escaped)[1:-1].encode(),
        "json without escapes": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "url": quote(value, safe="").encode(),
        "form": quote_plus(value).encode(),
        "html": html.escape(value).encode(),
        "hex": raw.hex().encode(),
    }
    if len(raw) >= 9:
        for shift in range(3):
            # Without the characters at both ends that depend on what stands before and behind.
            whole = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
            core = whole[(8 * shift + 5) // 6 : len(whole) - (1 if (shift + len(raw)) % 3 else 0)]
            found[f"base64 at {shift}"] = core
            found[f"base64url at {shift}"] = core.replace(b"+", b"-").replace(b"/", b"_")
    return found


def seen(values: Iterable[str], text: bytes) -> list[str]:
    """Where a value stands in `text`: which (by its number) and how it is spelled."""
    lowered = text.lower()
    return [
        f"value {number} ({value[:3]}…, {len(value)} characters), {name}"
        for number, value in enumerate(values)
        for name, form in spellings(value).items()
        if form in text or (name in ("hex", "url", "form") and form.lower() in lowered)
    ]


class Search:
    """Finds any of many values, in every spelling, in one pass over a text."""

    def __init__(self, values: Iterable[str]) -> None:
        forms: dict[bytes, str] = {}
        for value in dict.fromkeys(values):
            for name, form in spellings(value).items():
                forms.setdefault(form, f"{value[:3]}… ({len(value)} characters), {name}")
                if name in ("url", "form", "hex"):
                    forms.setdefault(form.lower(), f"{value[:3]}… ({len(value)} characters), {name}, lower case")
        self._names = list(forms.values())
        self._automaton = BytesAhoCorasick(list(forms))

    def in_(self, text: bytes) -> list[str]:
        """What stands in `text`, each once."""
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        return sorted({self._names[index] for index, _, _ in found})
