"""`python -m tests.bench.detection`: how well the guard detects, on our own sets and on clean code, beside other tools.

Exit code 1 if the guard misses a target. Figures of the speed rows need a quiet machine.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.detection import clean, measures, pumps, speed
from tests.bench.detection.gitleaks import Gitleaks
from tests.bench.detection.samples import DEV, TEST, Sample, samples
from tests.bench.detection.tools import DetectSecrets, LocalGuard, LocalGuardCommand, Presidio, Tool

PARTS = ("sets", "command", "clean", "speed", "pumps")
_OTHERS_MEGABYTES = 1.5
"""The other tools are slow: they get a part of the clean files."""


@dataclass(frozen=True)
class Row:
    """One line of the table; figures by name of the tool."""

    name: str
    better: str
    target: float | None
    figures: dict[str, float | None]

    @property
    def verdict(self) -> str:
        own = self.figures.get(LocalGuard.name)
        if self.target is None or own is None:
            return ""
        return "ok" if (own >= self.target if self.better == ">=" else own <= self.target) else "MISSED"


def main() -> int:
    """Run the parts that were asked for and print the table."""
    options = _options()
    own = LocalGuard()
    others: list[Tool] = [] if options.alone else [DetectSecrets(), Presidio()]
    if options.gitleaks and not options.alone:
        others.append(Gitleaks(options.gitleaks))
    wanted = options.only or PARTS
    rows: list[Row] = []
    roots = options.clean or clean.default_roots()
    runs: dict[str, Callable[[], list[Row]]] = {
        "sets": lambda: _sets(own, others, _samples(options), options.misses),
        "command": lambda: _command(own, _samples(options)),
        "clean": lambda: _clean(own, others, roots, options.megabytes, options.misses),
        "speed": lambda: _speed(own, others),
        "pumps": lambda: _pumps(own, options.every_pump),
    }
    for part, run in runs.items():
        if part in wanted:
            began = time.monotonic()
            rows += run()
            print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    if options.json:
        print(json.dumps([asdict(row) | {"verdict": row.verdict} for row in rows], indent=2))
    else:
        print(table(rows, [own.name, *(tool.name for tool in others)]))
    return int(any(row.verdict == "MISSED" for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; may be repeated")
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="which of the sets")
    parser.add_argument("--heldout", type=Path, metavar="DIR", help="where the sets of the test split are, if not here")
    parser.add_argument("--variants", type=int, default=3, help="how often each template is drawn")
    parser.add_argument(
        "--clean", action="append", type=Path, metavar="DIR", help="clean files instead of this machine's packages"
    )
    parser.add_argument("--megabytes", type=float, default=20.0, help="how much clean text")
    parser.add_argument("--gitleaks", type=Path, metavar="FILE", help="a gitleaks.toml to measure by its rules")
    parser.add_argument("--alone", action="store_true", help="leave the other tools out")
    parser.add_argument("--every-pump", action="store_true", help="all pumps, not a seeded fifth of them")
    parser.add_argument("--misses", action="store_true", help="list the guard's misses and false hits (dev split only)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if options.misses and options.split == "test":
        parser.error("the test split's texts stay unseen: --misses is for the dev split")
    return options


def _samples(options: argparse.Namespace) -> list[Sample]:
    directory = (options.heldout or TEST) if options.split == "test" else DEV
    return samples(directory, options.split, variants=options.variants)


def _sets(own: LocalGuard, others: Sequence[Tool], chosen: Sequence[Sample], misses: bool) -> list[Row]:
    found = {tool.name: measures.found(tool, chosen) for tool in (own, *others)}
    if misses:
        _print_misses(found[own.name])
    return [
        Row(m.name, m.better, m.target, {name: m.of(result) for name, result in found.items()})
        for m in measures.MEASURES
    ]


def _command(own: LocalGuard, chosen: Sequence[Sample]) -> list[Row]:
    command = LocalGuardCommand()
    try:
        different = sum(command.find(sample.text) != own.find(sample.text) for sample in chosen)
    finally:
        command.close()
    return [Row("samples that `localguard scan -` answers otherwise", "<=", 0, {own.name: float(different)})]


def _clean(own: LocalGuard, others: Sequence[Tool], roots: Sequence[Path], megabytes: float, misses: bool) -> list[Row]:
    files = list(clean.texts(roots, megabytes))
    some = list(clean.texts(roots, min(megabytes, _OTHERS_MEGABYTES)))
    made = {own.name: clean.alarms(own, files), **{tool.name: clean.alarms(tool, some) for tool in others}}
    if misses:
        for alarm in made[own.name].alarms:
            print(f"{alarm.span.rule}\t{alarm.path}:{alarm.line}\t{alarm.shape!r}")
    return [
        Row(
            f"clean text: false secrets per MB ({made[own.name].size / 1e6:.1f} MB)", "<=", 1.0, _rates(made, "secret")
        ),
        Row("clean text: false PII other than e-mail per MB", "<=", 2.0, _rates(made, "pii")),
    ]


def _rates(made: dict[str, clean.Alarms], kind: str) -> dict[str, float | None]:
    return {name: alarms.per_megabyte(kind) for name, alarms in made.items()}


def _speed(own: LocalGuard, others: Sequence[Tool]) -> list[Row]:
    alone = speed.speed(own)
    own.compile()
    made = {own.name: speed.speed(own)} | {tool.name: speed.speed(tool, megabytes=0.2, prompts=1) for tool in others}
    return [
        Row("speed: MB/s, cold, one core", "", None, {name: one.rate for name, one in made.items()}),
        Row("speed: the same before the gates are compiled", "", None, {own.name: alone.rate}),
        Row("speed: times a two-pattern re scan", "<=", 10, {name: one.ratio for name, one in made.items()}),
        Row("speed: a 200 KB prompt, ms", "<=", 60, {name: one.prompt_ms for name, one in made.items()}),
    ]


def _pumps(own: LocalGuard, every: bool) -> list[Row]:
    costs = [pumps.measured(own.scanner, pump) for pump in pumps.chosen(own.scanner, every=every)]
    worst = max(costs, key=lambda cost: cost.ratio)
    print(f"{len(costs)} pumps; the worst: {worst.pump.name}", file=sys.stderr)
    return [Row("pumps: worst cost of ten times the text", "<=", pumps.LIMIT, {own.name: worst.ratio})]


def _print_misses(found: measures.Found) -> None:
    for name, kinds in found.misses().items():
        for kind, missed in kinds.items():
            sample, (start, end) = missed[0]
            print(f"MISS {name} {kind} x{len(missed)}: {sample.text[max(0, start - 60) : end + 20]!r}")
    for name, hits in found.false_hits().items():
        for kind, wrong in hits.items():
            sample, span = wrong[0]
            print(f"HIT {name} {kind} x{len(wrong)} {span.rule}: {sample.text[span.start : span.end]!r}")


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The rows under a head, one a line, one column for each tool."""
    lines = [f"{'what':<58} {'target':>8}" + "".join(f" {name:>14}" for name in names) + "  verdict"]
    for row in rows:
        target = "" if row.target is None else f"{row.better} {row.target:g}"
        figures = "".join(f" {_figure(row.figures.get(name)):>14}" for name in names)
        lines.append(f"{row.name:<58} {target:>8}{figures}  {row.verdict}")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
