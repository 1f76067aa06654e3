"""Disguises of a value, and the README's table of which are seen through.

`python -m tests.detect.disguises` prints the table; tests/detect/test_disguises.py keeps the README's equal to it.
"""

import base64
import gzip
import random
from collections.abc import Callable
from urllib.parse import quote

from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner

Disguise = Callable[[str], str]

_SAMPLES = 12
_TOKENS = ("ghp_{alnum:36}", "glpat-{alnum:20}", "sk-ant-api03-{b64url:93}AA", "npm_{alnum:36}")


def _bold(text: str) -> str:
    return "".join(
        chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else c
        for c in text
    )


def _each(form: str) -> Disguise:
    return lambda text: "".join(form.format(ord(c)) for c in text)


def _amid(mark: str) -> Disguise:
    return lambda text: mark.join((text[: len(text) // 2], text[len(text) // 2 :]))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


DISGUISES: dict[str, Disguise] = {
    "base64": lambda t: _b64(t.encode()),
    "base64, URL-safe without padding": lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="),
    "base64 twice": lambda t: _b64(_b64(t.encode()).encode()),
    "gzip in base64": lambda t: _b64(gzip.compress(t.encode(), mtime=0)),
    "hex": lambda t: t.encode().hex(),
    "percent-encoding, every character": _each("%{:02X}"),
    "percent-encoding, as browsers do it": lambda t: quote(t, safe=""),
    "HTML entities": _each("&#{};"),
    "`\\u` escapes": _each("\\u{:04x}"),
    "`\\x` escapes": _each("\\x{:02x}"),
    "octal escapes": _each("\\{:03o}"),
    "quoted-printable, every character": _each("={:02X}"),
    "quoted-printable, a soft line break inside": _amid("=\n"),
    "zero-width space inside": _amid("\u200b"),
    "soft hyphen inside": _amid("\u00ad"),
    "combining mark inside": _amid("\u0301"),
    "variation selector inside": _amid("\ufe0f"),
    "tag character inside": _amid("\U000e0041"),
    "right-to-left mark inside": _amid("\u200f"),
    "full-width letters": lambda t: "".join(chr(ord(c) + 0xFEE0) for c in t),
    "mathematical letters": _bold,
    "a Cyrillic letter inside": lambda t: t.replace("a", "а", 1).replace("e", "е", 1).replace("o", "о", 1),
    "two string literals, joined by +": _amid('" + "'),
    "two string literals on two lines": _amid('"\n    "'),
    "backslash and line break inside": _amid("\\\n"),
    "base32": lambda t: base64.b32encode(t.encode()).decode(),
    "base85": lambda t: base64.b85encode(t.encode()).decode(),
    "backwards": lambda t: t[::-1],
    "letter by letter": lambda t: " ".join(t),
}


def _share(scanner: Scanner, disguise: Disguise, *, by_key: bool) -> float:
    caught = 0
    for seed in range(_SAMPLES):
        rng = random.Random(seed)
        value = expand("{password}" if by_key else _TOKENS[seed % len(_TOKENS)], rng).text.decode()
        hidden = disguise(value)
        raw = f'DB_PASSWORD="{hidden}"\n'.encode() if by_key else f'the value "{hidden}" works\n'.encode()
        start = raw.index(hidden.encode())
        end = start + len(hidden.encode())
        hit: set[int] = set()
        for finding in scanner.scan(raw):
            hit.update(range(finding.start, finding.end))
        caught += hidden != value and len(hit & set(range(start, end))) >= (end - start) // 2
        caught += hidden == value
    return caught / _SAMPLES


def table(scanner: Scanner) -> str:
    """The Markdown table: each disguise, and whether it is seen through for tokens of issuers and for passwords by their key."""
    lines = ["| disguise | issuer's token anywhere | password behind its key |", "|---|---|---|"]
    for name, disguise in DISGUISES.items():
        words = [_word(_share(scanner, disguise, by_key=by_key)) for by_key in (False, True)]
        lines.append(f"| {name} | {words[0]} | {words[1]} |")
    return "\n".join(lines)


def _word(share: float) -> str:
    return "caught" if share == 1 else "not caught" if share == 0 else "partly"


if __name__ == "__main__":
    from localguard.proxy.scan_pool import build_scanner

    print(table(build_scanner()))
