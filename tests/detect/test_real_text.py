"""The claim about the whole scanner that needs much text: the prefilter and its windows lose nothing."""

import random
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from localguard.config.rule_files import read_rules
from localguard.detect.finding import Window
from localguard.detect.scanner import Scanner
from localguard.detect.spans import LONG_LINE
from tests.bench.detection.samples import DEV, samples

ROOTS = (Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("stdlib")))
MEGABYTES = 5.4
SECONDS = 40.0
PLANT_EVERY = 2_000
"""Bytes of real text for each labelled sample that is put between its lines."""


def texts(planted: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Files of this machine in a seeded order, samples planted. Windows end inside of lines too long: such files are left out."""
    chance = random.Random(seed)
    for root in ROOTS:
        kinds = ("*.py", "*.md", "*.json", "*.txt", "METADATA", "*.js", "*.rst", "*.html", "*.h")
        files = sorted(path for kind in kinds for path in root.rglob(kind) if path.is_file())
        random.Random(seed).shuffle(files)
        taken = 0
        for path in files:
            if taken > MEGABYTES / len(ROOTS) * 1e6:
                break
            text = path.read_bytes()[:400_000]
            if text and all(len(line) < LONG_LINE for line in text.split(b"\n")):
                taken += len(text)
                lines = text.splitlines(keepends=True)
                for _ in range(chance.randrange(2 * len(text) // PLANT_EVERY + 1)):
                    lines.insert(chance.randrange(len(lines)), b"\n" + chance.choice(planted) + b"\n\n")
                yield b"".join(lines)


def gated(scanner: Scanner) -> list[bytes]:
    """The samples in which a detector's gate is open wherever it finds something: on text, a rule runs beyond its gate's line."""
    names = [rule.id for rule in read_rules(())]
    names += [gate.name for engine in scanner._engines for gate in engine.gates]
    texts = [sample.text.encode() for sample in samples(DEV, "dev", variants=1)]
    return [text for text in texts if scanner.examine([Window(0, len(text), text, tuple(names))]) == scanner.scan(text)]


@pytest.mark.timeout(300)
def test_prefilter_and_windows_find_on_megabytes_of_real_text_exactly_what_the_whole_text_holds(
    scanner: Scanner,
) -> None:
    planted = gated(scanner)
    assert len(planted) > 800
    size, found, begin = 0, 0, time.thread_time()
    for text in texts(planted, seed=2026):
        findings = scanner.scan(text)
        assert findings == scanner.whole(text)
        size, found = size + len(text), found + len(findings)
    assert size > 5e6
    assert found > 1000  # else the test would say little
    assert time.thread_time() - begin < SECONDS
