"""Text made to be slow for the rules and gates themselves costs time in proportion to its length.

`python -m tests.bench.detection --only pumps --every-pump` tries all of them; here stand the general ones and some rules'.
"""

import random
import time

import pytest

from localguard.config.rule_files import read_rules
from localguard.detect.scanner import Scanner
from tests.bench.detection.pumps import GENERAL, Pump, pumps

SMALL = 10_000
LIMIT = 15.0
"""The bench measures against 12; here is room for a shared machine. Quadratic cost would be 100."""
RULES = 15
"""Rules of which one pump each is tried, in a seeded choice."""
ENCODED = ("docker/config-auth", "header/basic", "duffel/token")
"""Rules whose samples, one after the other, were once slow: runs of base64."""
RESOLVED = 0.008
"""Seconds of processor time below which a ratio says nothing: caches and thread switches cost as much."""


def chosen() -> list[Pump]:
    by_rule: dict[str, list[Pump]] = {}
    for pump in list(pumps(read_rules(()), []))[len(GENERAL) :]:
        by_rule.setdefault(pump.name.rsplit("/", 1)[0], []).append(pump)
    chance = random.Random(17)
    rules = chance.sample(sorted(by_rule), RULES)
    runs = [pump for rule in ENCODED for pump in by_rule[rule] if pump.name.endswith("/sample")]
    return (
        [Pump(f"general/{unit!r}", unit) for unit in GENERAL] + [chance.choice(by_rule[rule]) for rule in rules] + runs
    )


def cost(scanner: Scanner, text: bytes) -> float:
    begin = time.thread_time()
    scanner.scan(text)
    return time.thread_time() - begin


@pytest.mark.timeout(300)
def test_ten_times_a_hostile_text_costs_about_ten_times_the_time(scanner: Scanner) -> None:
    slow = []
    for pump in chosen():
        small, large = cost(scanner, pump.text(SMALL)), cost(scanner, pump.text(10 * SMALL))
        for _ in range(3):
            if large <= LIMIT * max(small, RESOLVED):
                break
            small = max(small, cost(scanner, pump.text(SMALL)))
            large = min(large, cost(scanner, pump.text(10 * SMALL)))
        else:
            slow.append((pump.name, round(small, 4), round(large, 4)))
    assert not slow
