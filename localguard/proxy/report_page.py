"""`/-/report`: the report in a browser, made anew at each reload, by a process of its own so that no request waits for it.

Who has the control token gets a link that is good once and for a minute. Opening it sets a cookie for a quarter of an hour and leads
to an address without the link's token, so that neither the history nor a log keeps anything that opens the report again. The cookie
is strict, of this path, unreadable to scripts; pages of other origins, also of other ports, are refused by admission before.
Another user of the machine is refused by the connection itself. What it does not keep out: programs of the same user.
"""

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie

from aiohttp import web

from localguard.config.home import Home
from localguard.proxy.admission import AdmissionRefused, ControlCall
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control
from localguard.proxy.control_models import ReportBody, ReportLink
from localguard.proxy.headers import joined, query_parts

PATH = "/-/report"
_COOKIE = "localguard_report"
_LINK_SECONDS = 60.0
_VIEW_SECONDS = 900.0
_MOST = 16
"""Links, and views, at a time; the oldest gives way."""
_MAKE_SECONDS = 120.0
_MOST_BYTES = 8 * 1024 * 1024
_NICE = 10

HEADERS: Mapping[str, str] = {
    # the page's own policy is stricter still: it names its one style sheet by digest
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ReportPage:
    """Makes links to the report, and shows it to whoever opened one. Lives in one event loop."""

    def __init__(self, home: Home, control: Control, callers: Callers) -> None:
        self._home = home
        self._callers = callers
        self._links: OrderedDict[str, tuple[float, Sequence[str]]] = OrderedDict()
        self._views: OrderedDict[str, tuple[float, Sequence[str]]] = OrderedDict()
        self._making = asyncio.Lock()
        control.offer(
            Call(
                "POST",
                "/report",
                "Make a link to the report, good once and for a minute.",
                self._link,
                takes=ReportBody,
                gives=ReportLink,
            ),
        )
        control.show(PATH.removeprefix("/-"), self.answer)

    def _link(self, given: Arguments) -> Mapping[str, object]:
        asked = given.said(ReportBody)
        told = {"since": asked.since, "to": asked.to, "workspace": asked.workspace, "session": asked.session}
        options = [f"--{name}={value}" for name, value in told.items() if value is not None]
        if asked.verify is not None:
            options.append("--verify" if asked.verify else "--no-verify")
        token = secrets.token_urlsafe(32)
        _keep(self._links, token, (time.monotonic() + _LINK_SECONDS, options))
        return {"path": f"{PATH}?once={token}", "seconds": int(_LINK_SECONDS)}

    async def answer(self, request: web.BaseRequest, call: ControlCall) -> web.StreamResponse:
        """Open a link, or show the report. Raises AdmissionRefused for another user's connection and other methods."""
        if request.method != "GET":
            raise AdmissionRefused(405, "localguard_method_refused", "This address takes GET only.")
        await self._callers.peer_of(request)
        once = [value for name, value in query_parts(call.query) if name == "once"]
        if once:
            return self._open(once[0])
        options = _current(self._views, _cookie(call))
        if options is None:
            return _said(403, "This page opens by a link that is good once: localguard report --open")
        async with self._making:
            return await self._report(options)

    def _open(self, token: str) -> web.StreamResponse:
        options = _current(self._links, token)
        self._links.pop(token, None)
        if options is None:
            return _said(403, "This link was used or is too old. Make another: localguard report --open")
        view = secrets.token_urlsafe(32)
        _keep(self._views, view, (time.monotonic() + _VIEW_SECONDS, options))
        answer = web.Response(status=303, headers={**HEADERS, "Location": PATH})
        answer.set_cookie(_COOKIE, view, max_age=int(_VIEW_SECONDS), path=PATH, httponly=True, samesite="Strict")
        return answer

    async def _report(self, options: Sequence[str]) -> web.StreamResponse:
        command = [sys.executable, "-m", "localguard.cli.main", "report", "--format=html", f"--home={self._home.root}"]
        process = await asyncio.create_subprocess_exec(
            *command,
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._home.root,
        )
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        try:
            async with asyncio.timeout(_MAKE_SECONDS):
                page, said = await process.communicate()
        except TimeoutError:
            return _said(503, "The report took too long. Ask for a shorter time: localguard report --since 7d")
        finally:
            if process.returncode is None:  # the reader has gone, or it took too long
                process.kill()
                await process.wait()
        if process.returncode or len(page) > _MOST_BYTES:
            return _said(503, said.decode("utf-8", "replace")[-2000:] or "The report could not be made.")
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=HEADERS)


def _keep(held: "OrderedDict[str, tuple[float, Sequence[str]]]", key: str, entry: tuple[float, Sequence[str]]) -> None:
    held[key] = entry
    while len(held) > _MOST:
        held.popitem(last=False)


def _current(held: Mapping[str, tuple[float, Sequence[str]]], given: str) -> Sequence[str] | None:
    """What a token stands for, if it is good now; all are compared in constant time."""
    found = [
        entry for key, entry in held.items() if secrets.compare_digest(key.encode(), given.encode("utf-8", "replace"))
    ]
    return found[0][1] if found and found[0][0] > time.monotonic() else None


def _cookie(call: ControlCall) -> str:
    try:
        found = SimpleCookie(joined(call.headers, "cookie") or "").get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _said(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"localguard: {text}\n", headers=HEADERS)
