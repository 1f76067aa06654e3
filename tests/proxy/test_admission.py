"""Who may speak to the guard, and what an address means."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.proxy.admission import Admission, AdmissionRefused, Admitted, ControlCall, Head, check_path
from tests.proxy.conftest import Guard

ADMISSION = Admission(4141)
OWN = ("Host", "127.0.0.1:4141")
TOKEN = "lgw_" + secrets.token_urlsafe(24)
OTHER = "lgw_" + secrets.token_urlsafe(24)


def admit(
    target: str, *headers: tuple[str, str], method: str = "POST", host: str | None = "127.0.0.1:4141"
) -> Admitted:
    hosts = [] if host is None else [("Host", host)]
    admitted = ADMISSION.admit(Head(method, target, (*hosts, *headers)))
    assert isinstance(admitted, Admitted)
    return admitted


def refused(
    target: str, *headers: tuple[str, str], method: str = "POST", host: str | None = "127.0.0.1:4141"
) -> AdmissionRefused:
    with pytest.raises(AdmissionRefused) as caught:
        admit(target, *headers, method=method, host=host)
    assert caught.value.code.startswith("localguard_")
    return caught.value


# Host (DNS rebinding)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4141", "localhost:4141", "[::1]:4141", "LOCALHOST:4141", "127.0.0.1", "localhost", "[::1]"]
)
def test_this_machine_is_admitted_by_its_names(host: str) -> None:
    assert admit("/openai/v1/models", host=host).endpoint == "openai"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:4141", "127.0.0.1:4142", "localhost:80", "127.0.0.1.evil.example:4141", "", ":4141",
        "4141", "127.0.0.1:", "127.0.0.1:04141", "user@127.0.0.1:4141", "127.0.0.1:4141,evil.example", "localhost.:4141",
        "127.0.0.2:4141", "0.0.0.0:4141", "[::]:4141", "::1", "127.0.0.1:4141 ", "127.1:4141", "2130706433:4141",
        "lоcalhost:4141", "127.0.0.1:4141/",
    ],
)  # fmt: skip
def test_other_hosts_are_refused(host: str) -> None:
    assert refused("/openai/v1/models", host=host).status == 403


def test_none_and_two_hosts_are_refused() -> None:
    assert refused("/openai/v1/models", host=None).status == 400
    assert refused("/openai/v1/models", OWN).status == 400


def test_a_configured_name_is_admitted() -> None:
    admission = Admission(4141, extra_hosts=["host.docker.internal", "box:9000"])
    for host in ("host.docker.internal", "host.docker.internal:4141", "box:9000"):
        admission.admit(Head("GET", "/openai/v1/models", (("Host", host),)))
    for host in ("box", "box:4141", "host.docker.internal:9000"):
        with pytest.raises(AdmissionRefused):
            admission.admit(Head("GET", "/openai/v1/models", (("Host", host),)))


# Web pages


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://evil.example:4141", "null", "", "http://localhost", "http://localhost:3000",
        "https://127.0.0.1:4141", "http://127.0.0.1:4141.evil.example", "http://127.0.0.1:4141/", "file://",
        "vscode-file://vscode-app", "chrome-extension://abc", "http://127.0.0.1:4141 https://evil.example",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_origin_is_refused(origin: str, method: str) -> None:
    assert refused("/openai/v1/chat/completions", ("Origin", origin), method=method).status == 403


def test_own_and_configured_origins_are_admitted() -> None:
    assert admit("/openai/x", ("Origin", "http://localhost:4141")).endpoint == "openai"
    admission = Admission(4141, extra_origins=["vscode-file://vscode-app"])
    admission.admit(Head("POST", "/openai/x", (OWN, ("Origin", "vscode-file://vscode-app"))))


def test_one_of_two_origins_is_enough_to_refuse() -> None:
    refused("/openai/x", ("Origin", "http://localhost:4141"), ("origin", "https://evil.example"))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "", "none, cross-site"])
def test_cross_site_fetches_are_refused(site: str) -> None:
    assert refused("/openai/x", ("Sec-Fetch-Site", site)).status == 403


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_fetches_of_no_page_or_an_own_page_are_admitted(site: str) -> None:
    assert admit("/openai/x", ("Sec-Fetch-Site", site)).endpoint == "openai"


@pytest.mark.parametrize("path", ["/-/healthz", "/-/api/status", "/-/challenge", "/-/events"])
def test_pages_and_rebound_names_are_kept_from_the_control_addresses_too(path: str) -> None:
    refused(path, ("Origin", "https://evil.example"), method="GET")
    refused(path, method="GET", host="evil.example:4141")


async def test_a_simple_cross_site_post_gets_nothing(guard: Guard) -> None:
    page = b"Host: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"
    answer = await guard.ask(b"POST /openai/v1/chat/completions HTTP/1.1\r\n" + page)
    assert (answer.status, answer.code) == (403, "localguard_origin_refused")
    assert not any(name.startswith("access-control-") for name, _ in answer.headers)
    assert guard.seen == []


async def test_a_preflight_gets_no_permission(guard: Guard) -> None:
    asks = b"Host: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    answer = await guard.ask(b"OPTIONS /openai/v1/chat/completions HTTP/1.1\r\n" + asks)
    assert answer.status == 403
    assert not any(name.startswith("access-control-") for name, _ in answer.headers)


# Addresses


@pytest.mark.parametrize(
    ("target", "endpoint", "path", "query"),
    [
        ("/openai/v1/chat/completions", "openai", "/v1/chat/completions", None),
        ("/anthropic/v1/messages?beta=true", "anthropic", "/v1/messages", "beta=true"),
        ("/my-gw.eu_1/x", "my-gw.eu_1", "/x", None),
        ("/openai", "openai", "", None),
        ("/openai/", "openai", "/", None),
        ("/openai?", "openai", "", ""),
        ("/openai/v1/models/a%2Fb%20c", "openai", "/v1/models/a%2Fb%20c", None),
        ("/gemini/v1beta/models/x:streamGenerateContent?alt=sse", "gemini", "/v1beta/models/x:streamGenerateContent", "alt=sse"),
        ("/azure/openai/deployments/d/chat/completions?api-version=2024-10-21", "azure", "/openai/deployments/d/chat/completions", "api-version=2024-10-21"),
        ("/openai/v1/a?x=1?y=%2e%2e//&&z", "openai", "/v1/a", "x=1?y=%2e%2e//&&z"),
        ("/openai/w/-/t", "openai", "/w/-/t", None),
        ("/openai/...", "openai", "/...", None),
        ("/openai/v1/100%25", "openai", "/v1/100%25", None),
        ("http://127.0.0.1:4141/openai/v1/models?a=b", "openai", "/v1/models", "a=b"),
        ("HTTP://localhost:4141/openai/v1/models", "openai", "/v1/models", None),
    ],
)  # fmt: skip
def test_an_address_names_endpoint_and_raw_rest(target: str, endpoint: str, path: str, query: str | None) -> None:
    admitted = admit(target)
    assert (admitted.endpoint, admitted.path, admitted.query) == (endpoint, path, query)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/x", "//openai/v1", "/openai//v1", "/openai/v1//", "/openai/../x", "/openai/v1/..", "/openai/./x", "/.", "/..",
        "/openai/%2e%2e/x", "/openai/%2E%2e", "/openai/.%2e/x", "/openai/%2e", "/openai/%252e%252e/x", "/openai/..%2fx",
        "/openai/..%252fx", "/openai/a%2f..%2fb", "/openai/..;a/x", "/openai/%00", "/openai/a%0d%0ab", "/openai/%7f", "/openai/a\\b",
        "/openai/a%5cb", "/openai/..%5c..%5cx", "/openai/%zz", "/openai/%", "/openai/%2", "/openai/x#y", "/openai/é", "/openai/x y",
        "/openai/x\x7f", "/openai/%25252525252525252e", "/openai/x?a=é",
    ],
)  # fmt: skip
def test_ambiguous_paths_are_refused(target: str) -> None:
    error = refused(target)
    assert (error.status, error.code) == (400, "localguard_path_invalid")


@pytest.mark.parametrize("target", ["/", "/%6fpenai/v1", "/_/x", "/open%20ai/x", "/" + "a" * 65 + "/x", "/:x/y"])
def test_a_path_without_an_endpoints_name_is_refused(target: str) -> None:
    assert refused(target).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/openai/v1", "https://127.0.0.1:4141/openai", "http://evil.example:4141/openai",
        "http://127.0.0.1:4141@evil.example/openai", "http://user@127.0.0.1:4141/openai", "ftp://127.0.0.1:4141/x", "*", "openai/v1", "",
        "http:///openai", "http:/127.0.0.1:4141/openai", "http://127.0.0.1:4141\\@evil.example/",
    ],
)  # fmt: skip
def test_foreign_targets_are_refused(target: str) -> None:
    assert refused(target).status == 403


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "PRI", "PROPFIND", "get"])
def test_other_methods_are_refused(method: str) -> None:
    assert refused("127.0.0.1:4141", method=method).status in (405, 501)


async def test_connect_to_the_guards_own_port_is_refused(guard: Guard) -> None:
    answer = await guard.ask(
        b"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    )
    assert (answer.status, answer.code, answer.closed) == (501, "localguard_connect_unsupported", True)


async def test_absolute_form_to_a_foreign_host_is_refused(guard: Guard) -> None:
    answer = await guard.ask(b"GET http://evil.example/openai/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
    assert (answer.status, answer.code) == (403, "localguard_target_refused")


async def test_odd_paths_are_refused_over_the_wire(guard: Guard) -> None:
    for path in (
        b"//evil",
        b"/openai/%2e%2e/x",
        b"/openai/../x",
        b"/openai/\xc3\xa9",
        b"/openai/\xe9",
        b"/openai/a\\b",
    ):
        answer = await guard.ask(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n" % path)
        assert answer.status == 400, path
    assert guard.seen == []


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_no_accepted_path_holds_a_dot_segment_in_any_reading(text: str) -> None:
    from urllib.parse import unquote

    try:
        check_path("/openai/" + text)
    except AdmissionRefused:
        return
    for reading in (text, unquote(text), unquote(unquote(text)), unquote(unquote(unquote(text)))):
        assert not {".", ".."} & set(reading.replace("\\", "/").split("/"))
        assert "\0" not in reading


# Control


def test_control_addresses_are_told_apart() -> None:
    call = ADMISSION.admit(Head("GET", "/-/api/exchanges?limit=5", (OWN,)))
    assert isinstance(call, ControlCall)
    assert (call.path, call.query) == ("/api/exchanges", "limit=5")


# Tokens and tasks


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (f"/w/{TOKEN}/openai/v1/x?a=b", ()),
        (f"/w/{TOKEN}/openai/v1/x?a=b", (("Authorization", f"Bearer {TOKEN}"),)),
        ("/openai/v1/x?a=b", (("Authorization", f"Bearer {TOKEN}"),)),
        ("/openai/v1/x?a=b", (("authorization", f"bearer  {TOKEN}"),)),
        ("/openai/v1/x?a=b", (("x-api-key", TOKEN),)),
        ("/openai/v1/x?a=b", (("API-Key", TOKEN),)),
        ("/openai/v1/x?a=b", (("x-goog-api-key", TOKEN),)),
        ("/openai/v1/x?a=b", (("X-LocalGuard-Workspace", TOKEN),)),
        (f"/openai/v1/x?key={TOKEN}&a=b", ()),
        (f"/openai/v1/x?a=b&key={TOKEN}", ()),
    ],
    ids=[
        "path",
        "path and bearer",
        "bearer",
        "spaces",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "own header",
        "first parameter",
        "last parameter",
    ],
)
def test_a_local_token_is_taken_out_wherever_it_may_stand(target: str, headers: tuple[tuple[str, str], ...]) -> None:
    admitted = admit(target, *headers, ("X-Kept", "1"))
    assert admitted.workspace_token == TOKEN
    assert (admitted.endpoint, admitted.target) == ("openai", "/v1/x?a=b")
    assert admitted.headers == (OWN, ("X-Kept", "1"))
    assert TOKEN not in repr(admitted)


def test_a_providers_key_beside_a_local_token_stays() -> None:
    key = ("x-api-key", "sk-" + "ant-123456")
    admitted = admit(f"/w/{TOKEN}/anthropic/v1/messages", key)
    assert key in admitted.headers
    assert admitted.workspace_token == TOKEN


def test_a_key_that_only_looks_similar_is_no_local_token() -> None:
    header = ("Authorization", f"Bearer x{TOKEN}")
    admitted = admit("/openai/v1/x?key=lgw", header)
    assert admitted.workspace_token is None
    assert header in admitted.headers
    assert admitted.query == "key=lgw"


def test_two_different_tokens_are_refused() -> None:
    assert refused(f"/w/{TOKEN}/openai/x", ("Authorization", f"Bearer {OTHER}")).code == "localguard_token_conflict"


@pytest.mark.parametrize(
    "target",
    ["/w", "/w/", "/w/openai/v1/x", "/w/lgw_/openai", "/w/lgw_%61bcdefghij/openai", "/w/sk-abcdefghijkl/openai/x"],
)
def test_an_address_below_w_needs_a_token(target: str) -> None:
    error = refused(target)
    assert error.code == "localguard_token_invalid"
    assert "sk-" not in error.message


def test_a_workspace_header_that_is_no_token_is_refused() -> None:
    assert refused("/openai/x", ("X-LocalGuard-Workspace", "payments")).code == "localguard_token_invalid"


def test_a_task_comes_from_header_or_address() -> None:
    assert admit("/openai/x", ("X-LocalGuard-Task", "docs")).task == "docs"
    assert admit(f"/w/{TOKEN}/t/incident/openai/v1/x").task == "incident"
    assert admit(f"/w/{TOKEN}/t/docs/openai/v1/x", ("x-localguard-task", "docs")).task == "docs"
    assert admit("/openai/x").task is None


def test_contradicting_or_odd_tasks_are_refused() -> None:
    assert refused(f"/w/{TOKEN}/t/docs/openai/x", ("X-LocalGuard-Task", "incident")).code == "localguard_task_conflict"
    for task in ("", "a b", "é", "x" * 65, "../x", "a\tb"):
        assert refused("/openai/x", ("X-LocalGuard-Task", task)).code == "localguard_task_invalid"


def test_the_guards_own_headers_do_not_stay() -> None:
    admitted = admit("/openai/x", ("X-LocalGuard-Exchange", "forged"), ("x-localguard-anything", "1"))
    assert admitted.headers == (OWN,)


@pytest.mark.parametrize("value", ["websocket", "WebSocket", "h2c, websocket", "websocket/13"])
def test_websocket_upgrades_get_426(value: str) -> None:
    assert refused("/openai/v1/responses", ("Upgrade", value), method="GET").status == 426
