"""Whether a rule does what its own samples say."""

import random
from collections.abc import Iterator

from localguard.detect.rules import Rule
from localguard.detect.samples import Sample, expand
from localguard.detect.scanner import Scanner


def problems_of(rule: Rule, *, seed: int) -> Iterator[str]:
    """A sentence for every sample of `rule` that contradicts it. Sentences quote templates, never made values."""
    rng = random.Random(seed)  # noqa: S311  samples only have to be the same each time
    scanner = Scanner([rule])
    for template, wanted in [*((one, True) for one in rule.match), *((one, False) for one in rule.no_match)]:
        try:
            sample = expand(template, rng)
        except (ValueError, KeyError) as error:
            yield f"the sample {template!r} cannot be made: {error}"
            continue
        spans = [(finding.start, finding.end) for finding in scanner.scan(sample.text)]
        if not wanted and spans:
            yield f"finds something in the no_match sample {template!r}"
        elif wanted and not _is_found(sample, spans):
            yield f"does not find the value of the match sample {template!r}"


def _is_found(sample: Sample, spans: list[tuple[int, int]]) -> bool:
    return bool(spans) if sample.span is None else sample.span in spans
