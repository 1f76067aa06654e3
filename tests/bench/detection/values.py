"""Made-up values for the labelled sets: everything is drawn at run time from a seeded generator.

Two styles, `dev` and `test`, differ in how people's passwords, names and words are formed, so that a rule cannot be fitted
to the one and pass the other by luck. Formats of tokens are facts of their issuers and do not differ.
"""

import base64
import hashlib
import json
import random
import string
import uuid
import zlib
from collections.abc import Callable

from localguard.detect.words import word_set
from tests.bench.detection import identities

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "ALNUM": string.ascii_uppercase + string.digits,
    "lalnum": string.ascii_lowercase + string.digits,
    "alpha": string.ascii_letters,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "b64": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
    "b32": string.ascii_uppercase + "234567",
    "bech": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "bechlower": "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
    "ulid": "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    "nix": "0123456789abcdfghijklmnpqrsvwxyz",
    "crypt": "./" + string.digits + string.ascii_letters,
    "base58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
}
WORDS = {
    "dev": tuple(
        sorted(
            word_set(
                "amber falcon river planet copper summer winter dragon monkey castle silver forest tiger orange pepper rocket "
                "shadow thunder violet yellow banana coffee guitar hammer island jungle kitten ladder magnet needle"
            )
        )
    ),
    "test": tuple(
        sorted(
            word_set(
                "lantern harbor meadow quartz pebble walnut saddle marble beacon canyon ginger velvet anchor bottle cactus "
                "dagger ember fiddle gravel hollow ivory jasper kettle lagoon mitten nectar oyster parrot quiver ribbon"
            )
        )
    ),
}
PEM_HEADS = {
    "RSA PRIVATE KEY": "MIIEpAIBAAKCAQEA",
    "PRIVATE KEY": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC",
    "EC PRIVATE KEY": "MHcCAQEEI",
    "OPENSSH PRIVATE KEY": "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz",
    "DSA PRIVATE KEY": "MIIBuwIBAAKBgQ",
    "ENCRYPTED PRIVATE KEY": "MIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkqhkiG9w0BBQwwHAQI",
    "PGP PRIVATE KEY BLOCK": "lQOYBGX",
}


class Values:
    """Draws values. `draw(name, argument)` answers one `{name:argument}` of a template; unknown names raise KeyError."""

    def __init__(self, chance: random.Random, style: str) -> None:
        self.chance = chance
        self.style = style

    def draw(self, name: str, argument: str) -> str:
        """One value, freshly drawn."""
        if name in ALPHABETS:
            return self.text(ALPHABETS[name], int(argument))
        if name in identities.MAKERS:
            return identities.MAKERS[name](self.chance, argument)
        return _MAKERS[name](self, argument)

    def text(self, alphabet: str, length: int) -> str:
        """Characters of an alphabet; with every class that it has where the length allows, as generators of keys give."""
        for _ in range(20):
            made = "".join(self.chance.choices(alphabet, k=length))
            if length < 12 or _classes(made) == _classes(alphabet):
                break
        return made

    def word(self) -> str:
        return self.chance.choice(WORDS[self.style])

    def password(self, symbols: str) -> str:
        """A password as people or their managers make them, with `symbols` where it has any."""
        chance, word, text = self.chance, self.word, self.text
        sign = chance.choice(symbols)
        if self.style == "dev":
            kind = chance.randrange(6)
            if kind == 0:
                return text(ALPHABETS["alnum"], 1) + text(ALPHABETS["alnum"] + symbols, chance.randint(10, 18)) + "7"
            if kind == 1:
                return word().capitalize() + str(chance.randint(10, 9999)) + sign
            if kind == 2:
                return (
                    word().translate(str.maketrans("aeio", "4310")) + word().capitalize() + str(chance.randint(10, 99))
                )
            if kind == 3:
                return text(ALPHABETS["alnum"], chance.randint(14, 24))
            if kind == 4:
                return word() + str(chance.randint(1, 999))
            return word().capitalize() + sign + word() + text(string.digits, 3)
        kind = chance.randrange(7)
        if kind == 0:
            return "-".join(chance.choices(WORDS["test"], k=3)) + "-" + str(chance.randint(10, 99))
        if kind == 1:
            syllables = "".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(4))
            return syllables.capitalize() + text(string.digits, 2) + sign
        if kind == 2:
            return "-".join(text(ALPHABETS["alnum"], 5) for _ in range(4))
        if kind == 3:
            return text(ALPHABETS["lalnum"], chance.randint(9, 14))
        if kind == 4:
            return word().capitalize() + word().capitalize() + str(chance.randint(10, 2030))
        if kind == 5:
            return text(ALPHABETS["alnum"], 4) + sign + text(ALPHABETS["alnum"], 6) + sign + text(ALPHABETS["alnum"], 5)
        return sign.join((word().capitalize(), word().upper(), text(string.digits, 4)))

    def secret(self) -> str:
        """A generated secret without an issuer's form."""
        alphabets = (
            ("hex", 32),
            ("alnum", 32),
            ("b64url", 43),
            ("alnum", 24),
            ("hex", 40),
            ("hex", 64),
            ("lalnum", 30),
        )
        name, length = self.chance.choice(alphabets)
        return self.text(ALPHABETS[name], length)

    def obfuscated(self, symbols: str, shapes: tuple[str, ...]) -> str:
        """A value whose every character was replaced by a random one of its class, as labelled public corpora do."""
        classes = {"A": string.ascii_uppercase, "a": string.ascii_lowercase, "9": string.digits, "!": symbols}
        return "".join(self.chance.choice(classes[c]) for c in self.chance.choice(shapes))

    def bytes(self, length: int) -> bytes:
        return self.chance.randbytes(length)

    def pem(self, kind: str, joint: str = "\n") -> str:
        body = PEM_HEADS[kind] + self.text(ALPHABETS["b64"], 64 * 12)
        lines = [body[i : i + 64] for i in range(0, 64 * 12, 64)]
        return joint.join(
            [f"-----BEGIN {kind}-----", *lines, self.text(ALPHABETS["b64"], 22) + "==", f"-----END {kind}-----"]
        )


_OBFUSCATED_PASSWORDS = (
    "aaaaaa99",
    "Aaaaaaa9",
    "aaaaaaaa",
    "Aaaaaa!99",
    "aaaaaaaaa999",
    "AaaaaAaaa99!",
    "aaa9aa99aAA",
    "aaaaaaa9!",
)
_OBFUSCATED_WORDS = ("aaaaaa99", "Aaaaaaa9", "aaaaaaaa", "aaaaaaaaaa9", "AaaaaAaaa99", "a9aaa9AA9aa", "99aaaa")
_OBFUSCATED_TOKENS = (
    "a9aa9A9aAA9a9aaAA9aa9A9aa",
    "9a9aa99a9aaa9a9a99aaa99a9a9aaa99",
    "A9AAA9A99AA9A9A9AAA9",
    "aAaA99aAaAaAAa9aA9aAAaAaA9aAaaAa",
)


def _jwt(values: Values) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()

    head = part({"alg": values.chance.choice(("HS256", "RS256")), "typ": "JWT"})
    body = part({"sub": values.text(string.digits, 10), "iat": values.chance.randint(1_600_000_000, 1_800_000_000)})
    return f"{head}.{body}.{values.text(ALPHABETS['b64url'], 43)}"


def _basic(values: Values) -> str:
    return base64.b64encode(f"{values.word()}:{values.password('!-_.')}".encode()).decode()


def _smtp_plain(values: Values) -> str:
    return base64.b64encode(f"\0{values.word()}\0{values.password('!-_.')}".encode()).decode()


def _github(values: Values, prefix: str) -> str:
    """GitHub and npm: 30 characters and the CRC-32 of them in six base62 digits."""
    body = values.text(BASE62, 30)
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return prefix + body + digits.rjust(6, "0")


def _azure(values: Values) -> str:
    alnum = ALPHABETS["alnum"]
    return f"{values.text(alnum, 3)}8Q~{values.text(alnum + '-_.', 34)}"


def _sas(values: Values) -> str:
    return base64.b64encode(values.bytes(32)).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def _wif(values: Values) -> str:
    """A Bitcoin private key, mainnet, compressed: base58 with its double SHA-256 checksum."""
    return base58check(b"\x80" + values.bytes(32) + b"\x01")


def base58check(payload: bytes) -> str:
    """Base58Check of bytes."""
    data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, made = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        made = ALPHABETS["base58"][digit] + made
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + made


def _registry(_: Values, name: str) -> str:
    """Hosts of package registries, put together here because none may stand in the repository."""
    top = {
        "npm": ("registry", "npmjs", "org"),
        "pypi": ("upload", "pypi", "org"),
        "yarn": ("registry", "yarnpkg", "com"),
    }
    return ".".join(top[name])


def _basename(values: Values) -> str:
    return values.word() + values.chance.choice(("", "-", ".")) + values.text(string.ascii_lowercase, 3)


_MAKERS: dict[str, Callable[[Values, str], str]] = {
    "pw": lambda v, _: v.password("!#%*-_=+.?@"),
    "pwsh": lambda v, _: v.password("-_.+%="[:4]),
    "pwurl": lambda v, _: v.password("-_.~"),
    "secret": lambda v, _: v.secret(),
    "phrase": lambda v, _: " ".join(v.chance.choices(WORDS[v.style], k=5)),
    "word": lambda v, _: v.word(),
    "user": lambda v, _: v.word() + v.text(string.ascii_lowercase, 2),
    "corp": lambda v, _: v.text(string.ascii_lowercase, 7) + v.chance.choice((".io", ".de", ".net", ".co")),
    "uuid": lambda v, _: str(uuid.UUID(bytes=v.bytes(16), version=4)),
    "b64pad": lambda v, n: base64.b64encode(v.bytes(int(n))).decode(),
    "b64urlpad": lambda v, n: base64.urlsafe_b64encode(v.bytes(int(n))).decode(),
    "jwt": lambda v, _: _jwt(v),
    "basic": lambda v, _: _basic(v),
    "smtpplain": lambda v, _: _smtp_plain(v),
    "ghcrc": _github,
    "az": lambda v, _: _azure(v),
    "sas": lambda v, _: _sas(v),
    "wif": lambda v, _: _wif(v),
    "btc": lambda v, _: base58check(b"\0" + v.bytes(20)),
    "reg": _registry,
    "djkey": lambda v, _: v.text(string.ascii_lowercase + string.digits + "!@#$%^&*(-_=+)", 50),
    "salt": lambda v, _: v.text(string.ascii_letters + string.digits + "!@#$%^&*()-_[]{}<>~+=,.;:|", 64),
    "pem": lambda v, kind: v.pem(kind),
    "pemjson": lambda v, kind: v.pem(kind, "\\n") + "\\n",
    "pemindent": lambda v, kind: v.pem(kind, "\n    "),
    "pemcut": lambda v, kind: "\n".join(v.pem(kind).splitlines()[:7]),
    "pemtail": lambda v, kind: "\n".join(v.pem(kind).splitlines()[5:]),
    "apr1": lambda v, _: f"$apr1${v.text(ALPHABETS['crypt'], 8)}${v.text(ALPHABETS['crypt'], 22)}",
    "bcrypt": lambda v, _: f"$2b$12${v.text(ALPHABETS['crypt'], 53)}",
    "sha512crypt": lambda v, _: f"$6${v.text(ALPHABETS['crypt'], 16)}${v.text(ALPHABETS['crypt'], 86)}",
    "obf": lambda v, _: v.obfuscated("!-_.#", _OBFUSCATED_PASSWORDS),
    "obfw": lambda v, _: v.obfuscated("", _OBFUSCATED_WORDS),
    "obfurl": lambda v, _: v.obfuscated("", _OBFUSCATED_WORDS),
    "obftok": lambda v, _: v.obfuscated("", _OBFUSCATED_TOKENS),
    "email": lambda v, _: (
        f"{_basename(v)}@{v.text(string.ascii_lowercase, 8)}.{v.chance.choice(('com', 'io', 'de', 'org', 'co.uk'))}"
    ),
    "emailplus": lambda v, _: f"{v.word()}+{v.word()}@{v.text(string.ascii_lowercase, 8)}.com",
}


def _classes(text: str) -> set[int]:
    """Which of the classes digit, upper and lower case a text has."""
    return {0 if c.isdigit() else 1 if c.isupper() else 2 for c in text if c.isalnum()}
