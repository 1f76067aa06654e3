"""How fast the whole pipeline is, cold and on one core, against a two-pattern scan with Python's `re` in the same run."""

import random
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.corpus import Corpus
from tests.bench.detection.tools import Tool

_PROBES = (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"), re.compile(r"\bAKIA[0-9A-Z]{16}\b"))
"""E-mail and AWS key: the least that a redactor does."""
_CHUNK = 50_000
_PROMPT = 200_000


@dataclass(frozen=True)
class Speed:
    """Rates in MB/s of the tool and of the two probes, and milliseconds for a 200 KB prompt (median)."""

    rate: float
    probe_rate: float
    prompt_ms: float

    @property
    def ratio(self) -> float:
        """Times as long as the probes take."""
        return self.probe_rate / self.rate


def speed(tool: Tool, *, megabytes: float = 2.0, prompts: int = 5) -> Speed:
    """Every text is new to the tool: Python sources with planted secrets. Engines are loaded before the clock starts."""
    corpus = Corpus(random.SystemRandom().randrange(1 << 30))
    tool.find("password = 'x'")
    texts = [corpus.text(_CHUNK) for _ in range(max(1, int(megabytes * 1e6 / _CHUNK)))]
    size = sum(len(text.encode()) for text in texts) / 1e6
    taken = _seconds(lambda: [tool.find(text) for text in texts])
    probed = min(
        _seconds(lambda: [sum(1 for _ in p.finditer(text)) for text in texts for p in _PROBES]) for _ in range(3)
    )
    milliseconds = []
    for _ in range(prompts):
        text = corpus.text(_PROMPT)
        milliseconds.append(1000 * _seconds(lambda text=text: tool.find(text)))  # type: ignore[misc]
    return Speed(size / taken, size / probed, statistics.median(milliseconds) if milliseconds else 0.0)


def _seconds(work: Callable[[], object]) -> float:
    """Processor time of this thread: other programs on the machine do not count."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin
