"""Figures as one page of HTML that needs nothing else: no script, no request, light and dark by the reader's choice. Pure.

The template escapes everything that is put into it; only `charts`, which escapes by itself, is put in as it is. The page's own policy
(a `meta` tag, and the same as a header where a guard serves it) lets a browser load nothing and run nothing but its one style sheet.
"""

import base64
import hashlib
from collections.abc import Sequence
from decimal import Decimal
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from localguard.report import charts
from localguard.report.figures import Figures, Spent, Verification

_ROWS = 12
"""Of one table; the documents have more."""


def page(figures: Figures) -> str:
    """The whole page."""
    files = resources.files("localguard.report")
    style = files.joinpath("page.css").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "number": number,
        "money": money,
        "size": size,
        "day": day,
        "moment": moment,
        "percent": percent,
    }
    template = environment.from_string(files.joinpath("page.html").read_text("utf-8"))
    redactions = figures.redactions
    return template.render(
        f=figures,
        policy=policy(style),
        style=Markup(style),  # noqa: S704  # the package's own file
        rows=_ROWS,
        columns=_picture(charts.columns(redactions, _of_columns(figures))),
        stacked=charts.stacked(redactions.by_type),
        flows=_picture(charts.flows(figures.flows, _of_flows(figures))),
        sparkline=lambda row: _picture(charts.sparkline(row.counts, row.name)),
        bar=lambda count, most: _picture(charts.bar(count / most if most else 0)),
        interval=lambda line: _picture(charts.interval(line.low, line.accepted_share, line.high)),
        slot_name=charts.slot_name,
        attention=attention(figures),
        badge=badge(figures.verification),
        spent=sum((row.cost_usd for row in figures.by_bucket), Decimal(0)),
        tables=(
            ("type", redactions.by_type),
            ("workspace", redactions.by_workspace),
            ("agent", redactions.by_agent),
            ("endpoint class", redactions.by_class),
        ),
        spending=(("bucket", figures.by_bucket), ("model", figures.by_model), ("workflow", figures.by_task)),
        tokens=tokens,
    )


def policy(style: str) -> str:
    """The content security policy of a page with this style sheet: nothing is loaded, nothing runs, nobody frames or posts."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def attention(figures: Figures) -> Sequence[tuple[str, str]]:
    """What somebody should look at, and where in the page it is told of, the gravest first."""
    totals, found = figures.totals, []
    if not figures.verification.good:
        found.append(("The log is not what was written.", "log"))
    if totals.exposed:
        found.append(
            (f"{_many(totals.exposed, 'value')} had gone out before {_it(totals.exposed)} known: rotate.", "values")
        )
    if figures.looked.paused:
        found.append((f"{_many(figures.looked.paused, 'exchange')} went out unredacted during a pause.", "coverage"))
    if totals.withheld:
        found.append(
            (f"{_many(totals.withheld, 'placeholder')} stayed in commands and addresses that reach out.", "redacted")
        )
    personal = sum(key.exchanges for key in figures.keys if key.identity == "personal")
    if personal:
        found.append((f"{_many(personal, 'exchange')} used a personal key.", "keys"))
    guessed = sum((row.guessed_usd for row in figures.by_model), Decimal(0))
    if guessed:
        found.append((f"{money(guessed)} USD are of models that nobody priced.", "spent"))
    return found


def badge(verification: Verification) -> tuple[str, str]:
    """How the state of the log is marked, and in which words."""
    if not verification.good:
        return "bad", "log NOT consistent"
    return {
        "records": ("good", "log consistent"),
        "checkpoint": ("good", "newest checkpoint holds"),
        "nothing": ("", "log not verified"),
    }[verification.looked_at]


def tokens(row: Spent) -> int:
    """All tokens of a row."""
    return sum(count for kind, count in row.tokens.items() if kind != "reasoning")


def number(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u2009")


def money(value: Decimal) -> str:
    """Dollars: cents from a dollar on, four digits below."""
    return number(value.quantize(Decimal("0.01"))) if value >= 1 or not value else f"{value:.4f}"  # type: ignore[arg-type]


def size(value: int) -> str:
    """Bytes in the unit that a person would use."""
    amount = float(value)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def percent(share: float) -> str:
    """A share of one."""
    return f"{share:.0%}" if share in (0, 1) or 0.005 <= share <= 0.995 else f"{share:.1%}"


def day(time: str) -> str:
    """The day of a record's time."""
    return time[:10]


def moment(time: str) -> str:
    """The minute of a record's time."""
    return time[:16].replace("T", " ")


def _of_columns(figures: Figures) -> str:
    redactions = figures.redactions
    types = ", ".join(f"{row.name} {row.total}" for row in charts.stacked(redactions.by_type))
    return f"Values replaced for each {redactions.step}, by type: {types or 'none'}"


def _of_flows(figures: Figures) -> str:
    total = sum(flow.exchanges for flow in figures.flows)
    return f"Where {total} exchanges went: from repositories through endpoint classes to endpoints; the table beside it has the numbers"


def _picture(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704  # `charts` escapes


def _many(count: int, one: str) -> str:
    return f"{number(count)} {one if count == 1 else one + 's'}"


def _it(count: int) -> str:
    return "it was" if count == 1 else "they were"
