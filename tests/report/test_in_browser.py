"""The page in a real Chromium: it asks for nothing, says what everything is, can be read in both themes, and prints."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localguard.report.page import page
from tests.report.test_fold import FIGURES
from tests.report.test_writing import hostile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium: sh packaging/debian.sh")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module", params=["as usual", "hostile"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "report.html"
    figures = FIGURES if request.param == "as usual" else hostile("\"><script>fetch('http://127.0.0.1:9')</script>")
    made.write_text(page(figures), "utf-8")
    return made


@pytest.fixture
def opened(browser: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    context = browser.new_context(
        color_scheme=getattr(request, "param", "light"), viewport={"width": 1180, "height": 900}
    )
    tab = context.new_page()
    tab.asked, tab.said = [], []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    context.close()


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Any, file: Path) -> None:
    opened.wait_for_load_state("networkidle")
    assert opened.asked == [file.as_uri()]
    assert opened.said == []


def test_everything_has_a_name(opened: Any) -> None:
    """What a reader without eyes needs: one h1, no level left out, named tables, regions and pictures."""
    found = opened.evaluate(NAMES)
    assert found == {"h1": 1, "skipped": [], "nameless": [], "tables": [], "cells": 0, "lang": "en"}


NAMES = """() => {
  const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1]);
  const name = e => e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ')
    .map(id => document.getElementById(id)?.textContent || '').join(' ').trim();
  return {
    h1: levels.filter(l => l === 1).length,
    skipped: levels.filter((l, i) => i && l > levels[i - 1] + 1),
    nameless: [...document.querySelectorAll('[role=img],[role=region],section,nav,article')].filter(e => !name(e)).map(e => e.outerHTML.slice(0, 80)),
    tables: [...document.querySelectorAll('table')].filter(t => !t.caption?.textContent.trim()).map(t => t.outerHTML.slice(0, 80)),
    cells: [...document.querySelectorAll('th')].filter(t => !t.scope || !t.textContent.trim()).length,
    lang: document.documentElement.lang,
  };
}"""


@pytest.mark.parametrize("opened", ["light", "dark"], indirect=True)
def test_text_and_pictures_stand_out_from_what_they_stand_on(opened: Any) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text (1.4.3), 3 to 1 for what pictures say (1.4.11)."""
    opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    texts, shapes = opened.evaluate(CONTRAST)
    assert len(texts) > 100
    assert min(texts, key=lambda one: one[0])[0] >= 4.5, sorted(texts)[:5]
    assert len(shapes) > 10
    assert min(shapes, key=lambda one: one[0])[0] >= 3, sorted(shapes)[:5]


CONTRAST = """() => {
  const rgb = text => { const p = (text.match(/[\\d.]+/g) || []).map(Number); return [p[0], p[1], p[2], p[3] ?? 1]; };
  const light = c => [0, 1, 2].map(i => c[i] / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const texts = [], shapes = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest('title') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const ink = e.closest('svg') ? style.fill : style.color;
    texts.push([ratio(rgb(ink), ground(e)), node.data.slice(0, 30)]);
  }
  for (const e of document.querySelectorAll('svg.columns rect, svg.flows rect, .legend rect, svg.bar .fill, svg.spark .line, svg.interval .dot, svg.interval .whisker')) {
    const style = getComputedStyle(e);
    shapes.push([ratio(rgb(style.fill === 'none' || e.tagName === 'line' ? style.stroke : style.fill), ground(e)), e.getAttribute('class')]);
  }
  return [texts, shapes];
}"""


def test_nothing_sticks_out_on_a_narrow_screen(opened: Any) -> None:
    opened.set_viewport_size({"width": 360, "height": 740})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_can_be_used_by_keyboard_alone(opened: Any) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.getAttribute('href')") == "#redacted"


def test_it_prints_on_paper(opened: Any) -> None:
    printed = opened.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 14
    opened.emulate_media(media="print", color_scheme="dark")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
