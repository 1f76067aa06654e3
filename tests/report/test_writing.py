"""The three ways in which figures are written: the same numbers, hostile text made harmless, nothing loaded or run."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from localguard.report import charts
from localguard.report.document import document
from localguard.report.figures import Figures, Flow
from localguard.report.page import page, policy
from localguard.report.table import table
from tests.report.made_log import Told, told
from tests.report.test_fold import FIGURES, folded

HOSTILE = (
    '"><script>alert(1)</script>',
    "<img src=http://127.0.0.1:9/x onerror=alert(1)>",
    "\x1b]0;title\x07\x1b[31mred",
    "\u202eevil\u2066\u200b",
    "{{ 7 * 7 }}{% include 'x' %}",
    "=cmd|'/c calc'!A1",
    "a\u0301" + "\u0301" * 500,
    "x" * 10_000,
    "]]></style><svg/onload=alert(1)>",
    "&lt;b&gt;'\"`",
)


def hostile(text: str) -> Figures:
    """Figures in which every name is `text`."""
    names = ("agent", "workspace", "task", "cost_bucket", "endpoint", "endpoint_class", "provider", "wire", "model",
             "credential", "sensitivity", "code", "origin", "reason", "next_step", "rule")  # fmt: skip

    def with_it(one: Told) -> Told:
        return one._replace(
            metadata=one.metadata | {name: text for name in names if one.metadata.get(name) is not None},
            findings=[entry | {"type": text, "rule": text, "class": text} for entry in one.findings],
            local=dict.fromkeys(one.local, text),
        )

    return folded([with_it(one) for one in told(80)])


class Seen(HTMLParser):
    """The tags of a page, its text, and what its attributes hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:14]))
def test_hostile_text_stays_text(text: str) -> None:
    html = page(hostile(text))
    seen = Seen(html)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(seen.tags)
    assert set(seen.tags) <= set(Seen(page(FIGURES)).tags)
    for tag, name, value in seen.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style"
        if name in ("href", "src"):
            assert re.match(r"#|data:,$", value), value
    shown = "".join(seen.text) + "".join(value for _, _, value in seen.attributes)
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", shown) is None
    assert re.search(r"x{400}", shown) is None
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", html)
    assert len(html) < 500_000


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:14]))
def test_pictures_are_well_formed_whatever_stands_in_them(text: str) -> None:
    figures = hostile(text)
    for svg in (charts.columns(figures.redactions, text), charts.flows(figures.flows, text)):
        clean = "".join(c if c.isprintable() else "?" for c in svg)
        ET.fromstring(clean)  # made by us a moment ago
        assert "<script" not in svg
        assert "<img" not in svg


def test_a_page_loads_and_runs_nothing() -> None:
    html = page(FIGURES)
    assert "<script" not in html
    assert re.findall(r"https?://", html.replace("http-equiv", "")) == []
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert policy(style[1]).replace("'", "&#39;") in html
    assert "default-src 'none'" in policy(style[1])
    assert "unsafe" not in policy(style[1])


def test_a_page_says_what_the_figures_say() -> None:
    text = re.sub(r"\s+", " ", "".join(Seen(page(FIGURES)).text)).replace("\u2009", "")
    assert f"Exchanges{FIGURES.totals.exchanges}in {FIGURES.totals.sessions} sessions" in text
    for flow in FIGURES.flows[:12]:
        assert flow.source in text
    assert f"localguard explain {FIGURES.refusals[0].exchange}" in text
    assert FIGURES.values[0].fingerprint[:12] in text
    assert FIGURES.values[0].fingerprint not in text


def test_an_empty_period_is_a_page_too() -> None:
    text = "".join(Seen(page(folded([]))).text)
    assert "There are no records of that time." in text
    assert "Nothing left." in text


def test_the_document_holds_every_figure() -> None:
    read = json.loads(document(FIGURES))
    assert read["report"] == 1
    assert read["totals"]["exchanges"] == FIGURES.totals.exchanges
    assert [row["name"] for row in read["redactions"]["by_type"]] == [row.name for row in FIGURES.redactions.by_type]
    assert read["by_bucket"][0]["cost_usd"] == str(FIGURES.by_bucket[0].cost_usd)
    assert read["values"][0]["fingerprint"] == FIGURES.values[0].fingerprint


def test_the_table_adds_up_to_the_figures() -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(table(FIGURES)))))
    replaced = [int(row["value"]) for row in rows if row["section"] == "replaced by type"]
    assert sum(replaced) == FIGURES.totals.replaced
    spent = [row for row in rows if row["section"] == "spent by model" and row["measure"] == "usd"]
    assert {row["name"]: row["value"] for row in spent} == {one.name: str(one.cost_usd) for one in FIGURES.by_model}
    left = [int(row["value"]) for row in rows if row["section"] == "left" and row["measure"] == "exchanges"]
    assert sum(left) == sum(flow.exchanges for flow in FIGURES.flows)


def test_no_cell_of_the_table_is_a_formula() -> None:
    for text in ("=cmd", "+1", "-1", "@x"):
        for row in csv.reader(io.StringIO("\n".join(table(hostile(text))))):
            assert not any(cell.startswith(("=", "+", "@")) or cell == "-1" for cell in row)


def test_flows_beyond_the_largest_are_drawn_together_and_none_is_lost() -> None:
    many = [Flow(f"repo{n}", "hosted", f"endpoint{n % 30}", n + 1, 1, 1) for n in range(100)]
    kept = charts.grouped(many)
    assert sum(flow.exchanges for flow in kept) == sum(flow.exchanges for flow in many)
    assert len({flow.source for flow in kept}) == len({flow.target for flow in kept}) == 10
    assert "repo99" in charts.flows(many, "t")
    assert charts.flows([], "t") == ""


def test_a_long_name_keeps_both_ends() -> None:
    short = charts.shortened("a" * 50 + "/the-end", 20)
    assert len(short) == 20
    assert short.startswith("aaaa")
    assert short.endswith("/the-end")
