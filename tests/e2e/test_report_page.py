"""`/-/report` opens by a link that is good once; without one nobody sees anything."""

import http.client
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.audit.queries import Log
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from localguard.proxy.report_page import HEADERS
from tests.e2e.guard import Guard, policy
from tests.report.made_log import told, write


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard whose log has a month behind it."""
    home: Path = tmp_path_factory.mktemp("reported") / "home"
    Home(home).create()
    write(home / "state" / "audit.db", told(60))
    with Guard(home, policy(1)) as started:
        yield started


def link(guard: Guard, **asked: object) -> str:
    path: str = ControlClient(Home(guard.home), guard.port).call("POST", "/report", since="2026-01-01", **asked)["path"]
    return path


def get(guard: Guard, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, text


def test_a_link_opens_the_report_once_and_leaves_its_token_behind(guard: Guard) -> None:
    path = link(guard)
    status, headers, _ = get(guard, path, Sec_Fetch_Site="none")
    assert (status, headers["location"]) == (303, "/-/report")
    cookie = headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/-/report", "Max-Age=900"} <= set(cookie.split("; "))
    token = path.partition("once=")[2]
    assert token not in cookie
    again, _, said = get(guard, path)
    assert again == 403
    assert "used or is too old" in said
    for _ in range(2):  # reloading is fine
        status, headers, page = get(guard, headers.get("location", "/-/report"), Cookie=cookie.partition(";")[0])
        assert status == 200
        assert "<h1>What left this machine" in page
        assert token not in page
        for name, value in HEADERS.items():
            assert headers[name.lower()] == value


def test_without_a_link_there_is_nothing_to_see(guard: Guard) -> None:
    for headers in ({}, {"Cookie": "localguard_report=guess"}, {"Cookie": 'localguard_report="\x7f; ; ='}):
        status, _, said = get(guard, "/-/report", **headers)
        assert status in (400, 403)
        assert "acme" not in said
    assert get(guard, "/-/report?once=guess")[0] == 403
    assert get(guard, "/-/report", "POST")[0] in (400, 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=lambda headers: next(iter(headers.values())),
)
def test_a_web_page_cannot_use_a_link_nor_a_view(guard: Guard, headers: dict[str, str]) -> None:
    path = link(guard)
    assert get(guard, path, **headers)[0] == 403
    status, given, _ = get(guard, path)
    assert status == 303  # the refused try did not use it up
    cookie = given["set-cookie"].partition(";")[0]
    assert get(guard, "/-/report", Cookie=cookie, **headers)[0] == 403


def test_what_is_asked_for_is_what_is_shown_and_options_stay_values(guard: Guard) -> None:
    path = link(guard, workspace="--output=/tmp/x", verify=False)
    _, given, _ = get(guard, path)
    status, _, page = get(guard, "/-/report", Cookie=given["set-cookie"].partition(";")[0])
    assert status == 200
    assert "workspace <bdi>--output=/tmp/x</bdi>" in page
    assert "There are no records of that time." in page


def test_a_report_that_cannot_be_made_says_why(guard: Guard) -> None:
    path = ControlClient(Home(guard.home), guard.port).call("POST", "/report", since="soon")["path"]
    _, given, _ = get(guard, path)
    status, headers, said = get(guard, "/-/report", Cookie=given["set-cookie"].partition(";")[0])
    assert status == 503
    assert headers["content-type"].startswith("text/plain")
    assert "--since is a number of hours" in said


def test_no_token_and_no_cookie_is_written_down(guard: Guard) -> None:
    path = link(guard)
    _, given, _ = get(guard, path)
    secrets = [path.partition("once=")[2].encode(), given["set-cookie"].partition("=")[2].partition(";")[0].encode()]
    with Log(guard.database) as log:
        assert log.tail(10)
    for file, text in guard.files().items():
        assert not any(secret in text for secret in secrets), file


def test_a_browser_shows_it_keeps_no_token_and_asks_for_nothing_else(guard: Guard) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium: sh packaging/debian.sh")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        asked: list[str] = []
        said: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        address = guard.url + link(guard)
        for _ in range(2):
            tab.goto(address)
            assert tab.locator("h1").inner_text() == "What left this machine, and what did not"
            assert tab.url == f"{guard.url}/-/report"
            assert tab.evaluate("document.cookie") == ""
            address = tab.url  # reloading needs no link
        assert asked == [asked[0], f"{guard.url}/-/report", f"{guard.url}/-/report"]
        assert "once=" in asked[0]
        assert said == []
        browser.close()
