"""Secrets that no issuer's format betrays, in the places where people and programs put them; and what looks like them.

`⟦pw⟧` is a value to be found, made by the generator of that name; `⟨hex40⟩` is made in the same way and must be left
alone. Every line of the lists is a template of its own; `\\n` in it is a line break.
"""

import base64
import random
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from localguard.detect.words import word_set

_LOWER, _UPPER, _DIGIT = string.ascii_lowercase, string.ascii_uppercase, string.digits
_ALNUM = string.ascii_letters + _DIGIT
_NOUNS = sorted(
    word_set("""
    falcon copper marble velvet tundra pickle saddle walnut cobalt harbor meteor pepper rocket tulip badger cactus
    dragon engine ginger hammer island jungle kettle lantern magnet nectar orchid parrot quartz ribbon
""")
)
_SEASONS = ("Summer", "Winter", "Autumn", "Spring", "Berlin", "Monday", "Dragon", "Falcon", "Welcome", "Chelsea")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, and the byte spans of the values in it that are secret."""

    text: bytes
    spans: tuple[tuple[int, int], ...]


def _some(rng: random.Random, alphabet: str, length: int) -> str:
    while True:
        text = "".join(rng.choice(alphabet) for _ in range(length))
        classes = [any(c in kind for c in text) for kind in (_LOWER, _UPPER, _DIGIT) if set(kind) & set(alphabet)]
        if (all(classes) or length < 8) and text[0] not in "+/-_" and text[-1] not in "+/-_":
            return text


def _weak(rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: rng.choice(_NOUNS) + str(rng.randint(1, 999)),
            lambda: rng.choice(_SEASONS) + str(rng.randint(2015, 2025)) + "!",
            lambda: rng.choice(_SEASONS) + "@" + str(rng.randint(10, 9999)),
            lambda: rng.choice(_NOUNS).title() + "-" + rng.choice(_NOUNS).title() + str(rng.randint(10, 99)),
        )
    )()


def _strong(rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: _some(rng, _ALNUM, rng.randint(10, 20)),
            lambda: _some(rng, _ALNUM, 6) + rng.choice("!*+.@_-") + _some(rng, _ALNUM, 6),
            lambda: "-".join(rng.choice(_NOUNS) for _ in range(3)) + "-" + str(rng.randint(10, 99)),
            lambda: _some(rng, _ALNUM, 4) + "#" + _some(rng, _ALNUM, 5) + "!",
        )
    )()


def _token(rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: _some(rng, _ALNUM, rng.randint(24, 44)),
            lambda: _some(rng, "0123456789abcdef", 32),
            lambda: _some(rng, _ALNUM + "-_", 43),
            lambda: base64.b64encode(rng.randbytes(33)).decode(),
        )
    )()


def _letters(rng: random.Random) -> str:
    """Letters that make no word, as keyboards and generators of short passwords give them."""
    return "".join(rng.choice("qzxvkwjfhgbtd") + rng.choice(_LOWER) for _ in range(rng.randint(4, 6)))


def _chosen(rng: random.Random) -> str:
    """What people choose: two capitalised words, a word and a number, a word that is spelled with digits."""
    word, other = rng.sample(_NOUNS, 2)
    return rng.choice(
        (
            lambda: f"{word.title()}{other.title()}{rng.choice('!$%&*@?')}{rng.randint(10, 999)}",
            lambda: f"{word.title()}{rng.randint(100, 9999)}",
            lambda: f"{word}{rng.randint(10, 999)}{rng.choice('!$*@?')}",
            lambda: word.replace("e", "3").replace("a", "4").replace("o", "0").replace("l", "1") + "7!",
        )
    )()


GENERATORS: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "pw": lambda rng: (_weak if rng.random() < 0.4 else _strong)(rng),
    "strong": _strong,
    "dotted": lambda rng: (
        rng.choice(_NOUNS).title() + rng.choice(".@-_=") + rng.choice(_NOUNS) + str(rng.randint(100, 999))
    ),
    "letters": _letters,
    "mark14": lambda rng: _some(rng, _ALNUM, 7) + rng.choice("!%*+=?") + _some(rng, _ALNUM, 6),
    "chosen": _chosen,
    "listed": lambda rng: "-".join(rng.sample(_NOUNS, 3)),
    "words": lambda rng: " ".join(rng.sample(_NOUNS, rng.randint(4, 6))),
    "alnum": lambda rng: _some(rng, _ALNUM, rng.randint(12, 18)),
    "tok": _token,
    "opaque": lambda rng: _some(rng, _ALNUM, rng.randint(24, 40)),
    "hex32": lambda rng: _some(rng, "0123456789abcdef", 32),
    "hex40": lambda rng: _some(rng, "0123456789abcdef", 40),
    "hex64": lambda rng: _some(rng, "0123456789abcdef", 64),
    "hex7": lambda rng: _some(rng, "0123456789abcdef", 7),
    "b64pw": lambda rng: base64.b64encode(_strong(rng).encode()).decode(),
    "b64tok": lambda rng: base64.b64encode(_token(rng).encode()).decode(),
    "b64_32": lambda rng: base64.b64encode(rng.randbytes(32)).decode(),
    "b64_64": lambda rng: base64.b64encode(rng.randbytes(64)).decode(),
    "basic": lambda rng: base64.b64encode(f"ci:{_strong(rng)}".encode()).decode(),
    "uuid": lambda rng: str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
    "ulid": lambda rng: "01" + _some(rng, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24),
    "upper9": lambda rng: _some(rng, _UPPER + "234567", 9),
    "pin": lambda rng: str(rng.randint(100000, 999999)),
    "bcrypt": lambda rng: "$2" + "b$12$" + _some(rng, _ALNUM + "./", 53),
    "shadow": lambda rng: "$6$" + _some(rng, _ALNUM, 12) + "$" + _some(rng, _ALNUM + "./", 86),
    "apr1": lambda rng: "$apr1$" + _some(rng, _ALNUM, 8) + "$" + _some(rng, _ALNUM + "./", 22),
    "marked": lambda rng: _some(rng, _ALNUM, 10) + rng.choice("&|:$") + _some(rng, _ALNUM, 20),
    "ended": lambda rng: _some(rng, _ALNUM, 30) + rng.choice("-="),
    "digits25": lambda rng: _some(rng, _DIGIT[1:], 25),
    "digits8": lambda rng: _some(rng, _DIGIT[1:], 8),
    "backslash": lambda rng: "\\",
    "base32": lambda rng: _some(rng, _UPPER + "234567", 32),
    "salt": lambda rng: _some(rng, _ALNUM + "!#%^*()-+=|:;?.", 64),
    "user": lambda rng: rng.choice(("admin", "root", "deploy", "svc_report", "jenkins", "app")),
}


def make(template: str, rng: random.Random) -> Labelled:
    """The template with its generators run. `KeyError` for an unknown one."""
    out, spans, rest = b"", [], template.replace("\\n", "\n").replace("\\t", "\t")
    while rest:
        places = [place for place in (rest.find("⟦"), rest.find("⟨")) if place >= 0]
        if not places:
            break
        at = min(places)
        secret = rest[at] == "⟦"
        name, _, after = rest[at + 1 :].partition("⟧" if secret else "⟩")
        out += rest[:at].encode()
        value = GENERATORS[name](rng).encode()
        if secret:
            spans.append((len(out), len(out) + len(value)))
        out, rest = out + value, after
    return Labelled(out + rest.encode(), tuple(spans))
