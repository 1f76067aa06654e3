"""The report's pictures as SVG: columns over time, flows, shares with their intervals, bars. Pure.

No script, no style attribute (the page's policy forbids both), colours by class only, so that light, dark and print are the style
sheet's matter. Every picture has a title for those who do not see it, and stands beside a table that says the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from localguard.report.figures import OTHERS, Flow, Redactions, Row

SERIES = 6
"""Colours that are told apart; what goes beyond is drawn as one more."""
_WIDTH = 960


def columns(redactions: Redactions, title: str) -> str:
    """Stacked columns of what was replaced by type, one for each slot."""
    rows = stacked(redactions.by_type)
    slots = redactions.slots
    height, top, bottom, left = 240, 12, 26, 46
    totals = [sum(row.counts[i] for row in rows) for i in range(len(slots))]
    most = nice(max(totals, default=0))
    plot = height - top - bottom
    step = (_WIDTH - left - 8) / max(len(slots), 1)
    bar = min(step * 0.78, 54)
    parts: list[str] = []
    for share in (0.0, 0.5, 1.0):
        y = top + plot * (1 - share)
        parts.append(f'<line class="grid" x1="{left}" x2="{_WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(most * share)}</text>'
        )
    for i, slot in enumerate(slots):
        x = left + step * i + (step - bar) / 2
        y = float(top + plot)
        told = ", ".join(f"{row.name} {row.counts[i]}" for row in rows if row.counts[i]) or "nothing replaced"
        drawn = []
        for number, row in enumerate(rows):
            size = plot * row.counts[i] / most if most else 0.0
            if size:
                y -= size
                drawn.append(
                    f'<rect class="s{number + 1}" x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{size:.1f}"/>'
                )
        if drawn:
            parts.append(f"<g><title>{escape(slot_name(slot))}: {escape(told)}</title>{''.join(drawn)}</g>")
    for i in _ticks(len(slots), step):
        x = left + step * i + step / 2
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{escape(_tick(slots[i]))}</text>'
        )
    return _svg(_WIDTH, height, title, parts, "columns")


def stacked(rows: Sequence[Row]) -> list[Row]:
    """The rows that get a colour each, the rest added up."""
    if len(rows) <= SERIES + 1:
        return list(rows)
    rest = rows[SERIES:]
    counts = tuple(map(sum, zip(*(row.counts for row in rest), strict=True)))
    return [*rows[:SERIES], Row(OTHERS, sum(row.total for row in rest), sum(row.exchanges for row in rest), counts)]


def sparkline(counts: Sequence[int], name: str) -> str:
    """A small area of one row over time."""
    most = max(counts, default=0) or 1
    width, height = 120, 24
    if len(counts) == 1:
        counts = (counts[0], counts[0])
    step = width / max(len(counts) - 1, 1)
    points = [f"{i * step:.1f} {height - 2 - (height - 4) * count / most:.1f}" for i, count in enumerate(counts)]
    path = f"M0 {height - 2}L{'L'.join(points)}L{width} {height - 2}Z"
    body = [f'<path class="area" d="{path}"/>', f'<path class="line" d="M{"L".join(points)}"/>']
    return _svg(width, height, f"{name} over time, at most {max(counts, default=0)} at once", body, "spark")


def bar(share: float) -> str:
    """A bar of a table's cell, for the eye only: the number stands beside it."""
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="track" width="100" height="8"/><rect class="fill" width="{100 * min(max(share, 0), 1):.1f}" height="8"/></svg>'
    )


def interval(low: float, share: float, high: float) -> str:
    """A share between 0 and 1 with its interval."""
    x, a, b = (4 + 192 * one for one in (share, low, high))
    body = [
        '<line class="grid" x1="4" x2="196" y1="9" y2="9"/>',
        f'<line class="whisker" x1="{a:.1f}" x2="{b:.1f}" y1="9" y2="9"/>',
        f'<line class="whisker" x1="{a:.1f}" x2="{a:.1f}" y1="4" y2="14"/>',
        f'<line class="whisker" x1="{b:.1f}" x2="{b:.1f}" y1="4" y2="14"/>',
        f'<circle class="dot" cx="{x:.1f}" cy="9" r="4"/>',
    ]
    return _svg(200, 18, f"{share:.0%}, between {low:.0%} and {high:.0%}", body, "interval")


@dataclass(slots=True)
class _Node:
    name: str
    weight: int
    x: float
    y: float = 0.0
    height: float = 0.0
    left: float = 0.0
    """How much of its left and right side is taken by flows already."""
    right: float = 0.0


def flows(all_flows: Sequence[Flow], title: str) -> str:
    """A Sankey diagram of exchanges: repositories, endpoint classes, endpoints. Nodes are as high as many exchanges they stand for."""
    kept = grouped(all_flows)
    if not kept:
        return ""
    names: tuple[Callable[[Flow], str], ...] = (
        lambda flow: flow.source,
        lambda flow: flow.endpoint_class,
        lambda flow: flow.target,
    )
    stages = [_nodes(kept, name, x) for name, x in zip(names, (236.0, 490.0, 744.0), strict=True)]
    total = sum(flow.exchanges for flow in kept)
    most = max(map(len, stages))
    plot = max(180.0, 40.0 * most)
    gap = 16.0
    for nodes in stages:
        room = plot - gap * (len(nodes) - 1)
        smallest = 10.0
        heights = [max(smallest, room * node.weight / total) for node in nodes.values()]
        scale = min(1.0, room / sum(heights))
        heights = [height * scale for height in heights]
        used = sum(heights) + gap * (len(heights) - 1)
        y = 8 + (plot - used) / 2
        for node, size in zip(nodes.values(), heights, strict=True):
            node.y, node.height = y, size
            y += size + gap
    parts: list[str] = []
    for first, second, one, two in ((0, 1, names[0], names[1]), (1, 2, names[1], names[2])):
        for (a, b), weight in sorted(_links(kept, one, two).items(), key=lambda link: -link[1]):
            parts.append(_ribbon(stages[first][a], stages[second][b], weight, f"{a} to {b}"))
    for stage, nodes in enumerate(stages):
        for node in nodes.values():
            parts.append(_drawn(node, stage))
    return _svg(_WIDTH, round(plot + 16), title, parts, "flows")


_CLASSES = ("local", "enterprise", "hosted", "experimental")
_SOURCES, _TARGETS = 9, 9


def grouped(all_flows: Sequence[Flow]) -> list[Flow]:
    """The flows with all but the largest sources and targets taken together, the largest first."""
    sources = _largest(all_flows, lambda flow: flow.source, _SOURCES)
    targets = _largest(all_flows, lambda flow: flow.target, _TARGETS)
    sums: dict[tuple[str, str, str], list[int]] = {}
    for flow in all_flows:
        source = flow.source if flow.source in sources else OTHERS
        target = flow.target if flow.target in targets else OTHERS
        known = sums.setdefault((source, flow.endpoint_class, target), [0, 0, 0])
        for i, count in enumerate((flow.exchanges, flow.bytes, flow.replaced)):
            known[i] += count
    return sorted((Flow(*key, *known) for key, known in sums.items()), key=lambda flow: -flow.exchanges)


def _largest(all_flows: Sequence[Flow], name: Callable[[Flow], str], most: int) -> set[str]:
    weights: dict[str, int] = {}
    for flow in all_flows:
        weights[name(flow)] = weights.get(name(flow), 0) + flow.exchanges
    ranked = sorted(weights, key=lambda one: -weights[one])
    return set(ranked if len(ranked) <= most + 1 else ranked[:most])


def _nodes(kept: Sequence[Flow], name: Callable[[Flow], str], x: float) -> dict[str, _Node]:
    nodes: dict[str, _Node] = {}
    for flow in kept:
        node = nodes.setdefault(name(flow), _Node(name(flow), 0, x))
        node.weight += flow.exchanges
    ordered = sorted(nodes.values(), key=lambda node: (node.name == OTHERS, -node.weight))
    return {node.name: node for node in ordered}


def _links(
    kept: Sequence[Flow], one: Callable[[Flow], str], two: Callable[[Flow], str]
) -> Mapping[tuple[str, str], int]:
    links: dict[tuple[str, str], int] = {}
    for flow in kept:
        pair = one(flow), two(flow)
        links[pair] = links.get(pair, 0) + flow.exchanges
    return links


def _ribbon(a: _Node, b: _Node, weight: int, told: str) -> str:
    one, two = a.height * weight / a.weight, b.height * weight / b.weight
    y1, y2 = a.y + a.right, b.y + b.left
    a.right += one
    b.left += two
    x1, x2 = a.x + 12, b.x
    middle = (x1 + x2) / 2
    path = (
        f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        f"L{x2:.1f} {y2 + two:.1f}C{middle:.1f} {y2 + two:.1f} {middle:.1f} {y1 + one:.1f} {x1:.1f} {y1 + one:.1f}Z"
    )
    kind = a.name if a.name in _CLASSES else b.name
    return f'<path class="ribbon {_class(kind)}" d="{path}"><title>{escape(told)}: {weight} exchanges</title></path>'


def _drawn(node: _Node, stage: int) -> str:
    y = node.y + node.height / 2 + 4
    kind = _class(node.name) if stage == 1 else "place"
    text, anchor = (node.x - 8, "end") if stage == 0 else (node.x + 20, "start")
    return (
        f"<g><title>{escape(node.name)}: {node.weight} exchanges</title>"
        f'<rect class="node {kind}" x="{node.x:.1f}" y="{node.y:.1f}" width="12" height="{node.height:.1f}" rx="2"/>'
        f'<text class="label" x="{text:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(shortened(node.name, 26))}'
        f'<tspan class="count" dx="6">{_short(node.weight)}</tspan></text></g>'
    )


def _class(name: str) -> str:
    return f"c-{name}" if name in _CLASSES else "c-other"


def shortened(text: str, most: int) -> str:
    """The text with its middle left out, if it is too long: repositories are told apart by both ends."""
    if len(text) <= most:
        return text
    head = most // 3
    return f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"


def nice(most: float) -> float:
    """The end of an axis: the next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 by a power of ten."""
    if most <= 2:
        return 2.0 if most else 0.0
    power = 10.0 ** (len(str(int(most))) - 1)
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= most)


def slot_name(slot: str) -> str:
    """How a slot is called in a sentence."""
    return slot.replace("T", " ") + ":00" if "T" in slot else slot


def _tick(slot: str) -> str:
    if "T" in slot:
        return slot[11:13] + ":00" if slot[11:13] != "00" else slot[5:10]
    return slot[5:] if len(slot) == 10 else slot


def _ticks(count: int, step: float) -> Sequence[int]:
    every = max(1, int(-(-52 // step))) if step else 1
    return range(0, count, every)


def _short(number: float) -> str:
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= limit:
            return f"{number / (1e3 if sign == 'k' else limit):.3g}{sign}"
    return f"{number:g}"


def _svg(width: int, height: int, title: str, parts: Sequence[str], kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )
