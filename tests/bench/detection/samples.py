"""Labelled texts from templates.

A set is a text file. `%%% group/kind` starts a sample, the lines below it are its text; in `tokens.txt` a line is
`kind :: text` (`\\n` is a line end). `⟦…⟧` is a labelled value, `⟪…⟫` a made-up one that is no secret; in both, `{name:argument}`
draws from `values.Values` and `{name:argument|b64}` encodes what was drawn. Braces elsewhere are text.
"""

import base64
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.detection.values import Values

DEV = Path(__file__).parent / "dev"
TEST = Path(__file__).parent / "test"
_MARKED = re.compile("⟦(.*?)⟧|⟪(.*?)⟫", re.DOTALL)
_DRAWN = re.compile(r"\{([A-Za-z0-9_]+)(?::([^|{}]*))?(\|b64)?\}")
_CARRIERS = (
    "{}",
    "export X={}",
    'x = "{}"',
    "please use {} for this",
    '{{"value": "{}"}}',
    "the one for staging is `{}`, it expires on Friday",
    "curl -H 'Authorization: Bearer {}' https://api.internal/v1",
    "2025-03-04 10:11:12 DEBUG request with {} took 31 ms",
)


@dataclass(frozen=True)
class Sample:
    """One text. `labels` are half-open spans of code points, in order; none for a text in which nothing may be found."""

    set: str
    kind: str
    text: str
    labels: tuple[tuple[int, int], ...]

    @property
    def group(self) -> str:
        return self.kind.split("/")[0]


def samples(directory: Path, style: str, *, variants: int = 3) -> list[Sample]:
    """Every template of the directory's sets, drawn `variants` times; the same in every run."""
    made = []
    for path in sorted(directory.glob("*.txt")):
        for number, (kind, template) in enumerate(_templates(path)):
            for variant in range(variants):
                values = Values(random.Random(f"{style} {path.stem} {kind} {number} {variant}"), style)
                text = _carried(template, number + variant) if path.stem == "tokens" else template
                made.append(expanded(path.stem, kind, text, values))
    return made


def expanded(name: str, kind: str, template: str, values: Values) -> Sample:
    """One sample of a template."""
    text, labels, at = "", [], 0
    for marked in _MARKED.finditer(template):
        text += template[at : marked.start()]
        made = _DRAWN.sub(lambda drawn: _draw(drawn, values), marked[1] if marked[1] is not None else marked[2])
        if marked[1] is not None:
            labels.append((len(text), len(text) + len(made)))
        text += made
        at = marked.end()
    return Sample(name, kind, text + template[at:], tuple(labels))


def _draw(drawn: re.Match[str], values: Values) -> str:
    made = values.draw(drawn[1], drawn[2] or "")
    return base64.b64encode(made.encode()).decode() if drawn[3] else made


def _templates(path: Path) -> Iterator[tuple[str, str]]:
    text = path.read_text("utf-8")
    if path.stem == "tokens":
        for line in text.splitlines():
            if line and not line.startswith("#"):
                kind, _, template = line.partition(" :: ")
                yield kind.strip(), template.strip().replace("\\n", "\n")
        return
    for block in re.split("(?m)^%%% ", text)[1:]:
        kind, _, body = block.partition("\n")
        yield kind.strip(), body.rstrip("\n")


def _carried(template: str, number: int) -> str:
    """A token without surroundings is put into plain ones, which say nothing about it."""
    if _MARKED.fullmatch(template) is None:
        return template
    return _CARRIERS[number % len(_CARRIERS)].format(template)
