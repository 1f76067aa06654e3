"""Hostile texts made from the patterns themselves: ten times the text may cost at most twelve times the time."""

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from localguard.config.rule_files import read_rules
from localguard.detect.prefilter import Gate
from localguard.detect.rules import Rule
from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner

SMALL = 20_000
LARGE = 10 * SMALL
LIMIT = 12.0
GENERAL = (
    b"a", b"0", b"A1b2", b" ", b"\n", b"=", b'"', b"'\\", b"://a:b@", b"a@b.", b"-", b"(", b"{", b"\t\n", b"<a ", b"%41", b"&#", b"\\u",
    b"eyJ", b"eyJhbGciOi.eyJ", b"-----BEGIN ", b"-----BEGIN RSA PRIVATE KEY-----\n", b"password=", b'password = "', b"token: ",
    b"4111 1111 1111 ", b"+49 30 ", b"DE89 3704 ", b"1.2.3.4", b"ab:cd:", b"| password |\n|---|\n", b"key_", b"secret secret ",
    b"QUJD", b"data:;base64,", b"\xc3\xbc", b"\xe2\x80\x8b", b"a.", b"/a", b"user:", b"--password ", b"-p", b'{"a":"{\\"', b"login(\"a\", \"",
)  # fmt: skip


@dataclass(frozen=True)
class Pump:
    """A text unit to repeat, and the pattern that it is meant for."""

    name: str
    unit: bytes

    def text(self, size: int) -> bytes:
        return (self.unit * (size // len(self.unit) + 1))[:size]


@dataclass(frozen=True)
class Cost:
    """Processor seconds for the small and the ten times larger text."""

    pump: Pump
    small: float
    large: float

    @property
    def ratio(self) -> float:
        """Of what exceeds a floor that a clock cannot resolve."""
        return self.large / max(self.small, 0.0005)


def pumps(rules: list[Rule], gates: list[Gate]) -> Iterator[Pump]:
    """General ones, and for each rule: its keywords alone and before characters that patterns like, and its samples whole, cut and joined."""
    yield from (Pump(f"general/{unit!r}", unit) for unit in GENERAL)
    chance = random.Random(5)
    for rule in rules:
        for keyword in rule.keywords:
            word = keyword.encode()
            yield Pump(f"{rule.id}/keyword", word)
            yield Pump(f"{rule.id}/keyword=", word + b' = "')
            yield Pump(f"{rule.id}/keyword and run", word + b"a1" * 200)
            yield Pump(f"{rule.id}/keyword and spaces", word + b" " * 400)
        for template in rule.match[:2]:
            text = expand(template, chance).text
            yield Pump(f"{rule.id}/sample", text)
            yield Pump(f"{rule.id}/sample without its end", text[: max(1, len(text) - 2)])
            yield Pump(f"{rule.id}/half a sample", text[: max(1, len(text) // 2)])
    for gate in gates:
        for literal in sorted(set(re.findall(rb"[A-Za-z_]{4,}", gate.pattern)), key=len)[-3:]:
            yield Pump(f"{gate.name}/literal", literal + b"=")


def chosen(scanner: Scanner, *, every: bool) -> list[Pump]:
    """The pumps of the shipped rules and engines: all of them, or the general ones and a seeded fifth of the others."""
    rules = read_rules(())
    made = list(pumps(rules, [gate for engine in scanner._engines for gate in engine.gates]))
    if every:
        return made
    chance = random.Random(11)
    return [pump for pump in made if pump.name.startswith("general/") or chance.random() < 0.2]


def measured(scanner: Scanner, pump: Pump) -> Cost:
    """Both sizes once, and twice more if the ratio looks bad: a busy machine is no proof."""
    cost = Cost(pump, _seconds(scanner, pump.text(SMALL)), _seconds(scanner, pump.text(LARGE)))
    for _ in range(2):
        if cost.ratio <= LIMIT:
            break
        small = max(_seconds(scanner, pump.text(SMALL)) for _ in range(3))
        cost = Cost(pump, max(cost.small, small), min(cost.large, _seconds(scanner, pump.text(LARGE))))
    return cost


def _seconds(scanner: Scanner, text: bytes) -> float:
    begin = time.thread_time()
    scanner.scan(text)
    return time.thread_time() - begin
