"""Secrets that only their place gives away are covered whole, as often as promised; what looks like them is left alone.

The shares below are what the lists in `contexts/` reach with twelve seeds each, rounded down: a change that loses some
of them fails here.
"""

import random
from pathlib import Path

import pytest

from localguard.detect.finding import DataClass
from localguard.detect.scanner import Scanner
from tests.detect.context_samples import Labelled, make

CONTEXTS = Path(__file__).parent / "contexts"
COVERED = {
    "alone": 0.95,
    "assignments": 0.98,
    "code": 0.95,
    "commands": 0.97,
    "files": 0.94,
    "headers_logs": 0.97,
    "inline": 0.75,
    "letters": 0.93,
    "prose": 0.95,
    "spoken": 0.93,
    "told": 0.94,
}
SURROUNDINGS = (
    ("", ""),
    ("", "\n"),
    ("Please look at this:\n\n", "\n\nthanks"),
    ("some text\n```\n", "\n```\n"),
)


def labelled(name: str, seeds: int = 4) -> list[tuple[str, Labelled]]:
    templates = [line for line in (CONTEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines() if line]
    texts = []
    for template in templates:
        for seed in range(seeds):
            made = make(template, random.Random(f"{template}{seed}"))
            before, after = (part.encode() for part in SURROUNDINGS[seed % 4])
            shift = len(before)
            spans = tuple((start + shift, end + shift) for start, end in made.spans)
            texts.append((template, Labelled(before + made.text + after, spans)))
    return texts


@pytest.mark.parametrize("name", COVERED)
def test_values_are_covered_whole_where_only_their_place_gives_them_away(scanner: Scanner, name: str) -> None:
    total, missed = 0, []
    for template, sample in labelled(name):
        found = scanner.scan(sample.text)
        for start, end in sample.spans:
            total += 1
            if not any(f.start <= start and end <= f.end for f in found):
                missed.append((template, sample.text[start:end]))
    assert 1 - len(missed) / total >= COVERED[name], missed


@pytest.mark.parametrize("name", ["traps", "traps_signatures", "traps_code"])
def test_what_looks_like_a_secret_is_left_alone(scanner: Scanner, name: str) -> None:
    hit = [
        (template, sample.text[finding.start : finding.end], finding.rule)
        for template, sample in labelled(name)
        for finding in scanner.scan(sample.text)
        if finding.data_class is DataClass.SECRET
    ]
    assert hit == []
