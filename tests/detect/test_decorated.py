import random

import pytest

from localguard.proxy.scan_pool import build_scanner

_SCANNER = build_scanner()


def _pem(seed: int) -> list[str]:
    made = random.Random(seed)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = ["M" + "".join(made.choices(alphabet, k=63)) for _ in range(6)]
    kind = "RSA PRIVATE" + " KEY"
    return [f"-----BEGIN {kind}-----", *body, "AbCd0==", f"-----END {kind}-----"]


@pytest.mark.parametrize("lead", ["{n}: ", "{n}\t", "    {n}→", "{n} | ", "+", "- "])
def test_each_line_of_a_decorated_key_is_a_value_of_its_own(lead: str) -> None:
    lines = _pem(3)
    text = "a\n" + "".join(lead.format(n=n) + line + "\n" for n, line in enumerate(lines, 9)) + "end\n"
    found = [text.encode()[one.start : one.end].decode() for one in _SCANNER.scan(text.encode())]
    assert found == lines[1:-1]


def test_a_plain_key_is_one_value() -> None:
    text = "a\n" + "\n".join(_pem(4)) + "\nend\n"
    [one] = _SCANNER.scan(text.encode())
    assert text.encode()[one.start : one.end].decode() == "\n".join(_pem(4))


def test_a_key_behind_a_yaml_bar_is_one_value() -> None:
    text = "key: |\n" + "\n".join("  " + line for line in _pem(5)) + "\nend: 1\n"
    [one] = _SCANNER.scan(text.encode())
    assert text.encode()[one.start : one.end].decode() == "\n  ".join(_pem(5))
