"""Disguised values are found at their original span; what is caught and what is not is said here."""

import base64
import gzip
import hashlib
import random
from collections.abc import Callable
from urllib.parse import quote

import pytest

from localguard.detect.normalise import NormaliseEngine
from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner

TOKENS = [
    expand(template, random.Random(template)).text
    for template in (
        "ghp_{alnum:36}",
        "github_pat_{alnum:22}_{alnum:59}",
        "sk-ant-api03-{b64url:93}AA",
        "glpat-{alnum:20}",
    )
]


def wide(token: bytes) -> bytes:
    return "".join(chr(ord(c) + 0xFEE0) for c in token.decode()).encode()


def bold(token: bytes) -> bytes:
    return "".join(
        chr(0x1D41A + ord(c) - 97) if c.islower() else chr(0x1D400 + ord(c) - 65) if c.isupper() else c
        for c in token.decode()
    ).encode()


CAUGHT: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 url-safe unpadded": lambda t: base64.urlsafe_b64encode(t).rstrip(b"="),
    "base64 twice": lambda t: base64.b64encode(base64.b64encode(t)),
    "hex": lambda t: t.hex().encode(),
    "hex upper": lambda t: t.hex().upper().encode(),
    "percent, every byte": lambda t: "".join(f"%{byte:02X}" for byte in t).encode(),
    "percent, separators": lambda t: quote(t.replace(b"-", b"%2D").replace(b"_", b"%5F"), safe="%").encode(),
    "unicode escapes": lambda t: "".join(f"\\u{byte:04x}" for byte in t).encode(),
    "html entities": lambda t: "".join(f"&#{byte};" for byte in t).encode(),
    "html hex entities": lambda t: "".join(f"&#x{byte:02x};" for byte in t).encode(),
    "octal escapes": lambda t: "".join(f"\\{byte:03o}" for byte in t).encode(),
    "quoted-printable, every byte": lambda t: "".join(f"={byte:02X}" for byte in t).encode(),
    "quoted-printable, soft line break": lambda t: t[:20] + b"=\n" + t[20:],
    "gzip in base64": lambda t: base64.b64encode(gzip.compress(b"the text around " + t + b" and behind it")),
    "zero-width": lambda t: t[:9] + "\u200b".encode() + t[9:],
    "zero-width, everywhere": lambda t: "\u200d".join(t.decode()).encode(),
    "soft hyphen": lambda t: t[:6] + "\u00ad".encode() + t[6:],
    "variation selector": lambda t: t[:6] + "\ufe0f".encode() + t[6:],
    "tag characters": lambda t: t[:6] + "\U000e0041".encode() + t[6:],
    "combining mark": lambda t: t[:6] + "\u0301".encode() + t[6:],
    "right-to-left mark": lambda t: t[:6] + "\u200f".encode() + t[6:],
    "full width": wide,
    "mathematical bold": bold,
}


@pytest.mark.parametrize("disguise", CAUGHT.values(), ids=CAUGHT.keys())
@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_disguised_token_is_found_at_its_original_span(
    scanner: Scanner, token: bytes, disguise: Callable[[bytes], bytes]
) -> None:
    hidden = disguise(token)
    text = b'the value is "' + hidden + b'" there'
    found = [f for f in scanner.scan(text) if f.type != "EMAIL"]
    assert [text[f.start : f.end] for f in found] == [hidden]
    assert found[0].distinctive


def test_a_homoglyph_inside_a_token_does_not_hide_it(scanner: Scanner) -> None:
    token = TOKENS[0][:12].decode() + "а" + TOKENS[0][13:].decode()
    (finding,) = scanner.scan(f"x {token} y".encode())
    assert (finding.start, finding.end) == (2, 2 + len(token.encode()))


@pytest.mark.parametrize("lead", [0, 1, 2, 3, 4, 5])
def test_a_token_inside_a_longer_base64_text_is_covered(scanner: Scanner, lead: int) -> None:
    clear = b"x" * lead + b" " + TOKENS[0] + b" and more text"
    encoded = base64.b64encode(clear)
    (finding,) = scanner.scan(b"data: " + encoded)
    assert base64.b64decode(encoded).find(TOKENS[0]) == lead + 1
    assert 6 + (lead + 1) * 8 // 6 == finding.start
    assert finding.end - 6 >= (lead + 1 + len(TOKENS[0])) * 8 / 6


def test_a_private_key_in_the_base64_of_a_kubernetes_secret_is_found(scanner: Scanner) -> None:
    key = expand("{pem:RSA PRIVATE KEY}", random.Random(5)).text + b"\n"
    encoded = base64.b64encode(key)
    (finding,) = scanner.scan(b"data:\n  tls.key: " + encoded + b"\n")
    assert finding.type == "PRIVATE_KEY"
    assert finding.end - finding.start >= len(encoded) - 4


def test_passwords_in_an_encoded_settings_file_are_found_by_their_keys(scanner: Scanner) -> None:
    line, rest = expand("DB_PASSWORD=⟦{password}⟧", random.Random(6)), b"DB_HOST=db-1.internal\nMODE=production\n"
    encoded = base64.b64encode(rest + line.text + b"\n")
    (finding,) = scanner.scan(b'{"settings": "' + encoded + b'"}')
    assert finding.type == "PASSWORD"
    assert finding.end - finding.start < 24


def test_what_another_gate_opened_is_not_decoded_as_something_else(scanner: Scanner) -> None:
    token = expand("glpat-{alnum:20}", random.Random(3)).text
    text = b'a = "x' + token + b'=41424344" # caf\xcc\x81e'
    assert all(b"encoded" not in finding.rule.encode() for finding in scanner.scan(text))


def test_hashes_keys_and_images_are_not_taken_for_encoded_text(scanner: Scanner) -> None:
    rng = random.Random(10)
    lines = [hashlib.sha256(rng.randbytes(9)).hexdigest().encode() for _ in range(2000)]
    lines += [base64.b64encode(rng.randbytes(64)) for _ in range(2000)]
    lines.append(base64.b64encode(b"\x89PNG\r\n\x1a\n" + rng.randbytes(200_000)))
    encoded = [gate.name for gate in NormaliseEngine([]).gates]
    named = {name for window in scanner.candidates(b"\n".join(lines)) for name in window.gates}
    assert named.isdisjoint(set(encoded) & {"encoded/hex", "encoded/gzip"})
    assert sum("encoded/base64" in window.gates for window in scanner.candidates(b"\n".join(lines))) <= 2


def test_base64_and_foreign_text_without_secrets_is_left_alone(scanner: Scanner) -> None:
    rng = random.Random(9)
    image = base64.b64encode(rng.randbytes(60_000))
    certificate = base64.b64encode(expand("{pem:CERTIFICATE}", rng).text)
    text = b'"' + image + b'" ' + certificate + " größe, Ελληνικά, русский, العَرَبِيَّة, 👩‍👩‍👧 %7B%22a%22%3A1%7D".encode()
    assert scanner.scan(text) == []


def test_a_value_that_may_go_on_in_the_next_string_is_known_by_itself_too(scanner: Scanner) -> None:
    value = expand("{alnum:20}#7", random.Random(8)).text
    before = b'x = ["something_drawn"\n     "something_else",\n'
    text = before + b'password = "' + value + b'"\n       "01"[a],\n]\n'
    (plain, rest) = scanner.scan(text)
    assert text[plain.start : plain.end] == value
    assert plain.distinctive
    assert (rest.start, text[rest.start : rest.end]) == (plain.end, b'"\n       "01')
    assert not rest.distinctive
