"""Headers travel as they are, but for the few that must not."""

import base64

import pytest

from localguard.proxy.headers import (
    HeaderNotText,
    bare_credential,
    joined,
    query_parts,
    replaced,
    reply_headers,
    split_credentials,
    text_headers,
    upstream_headers,
)

KEPT = (
    ("X-Stainless-Lang", "python"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "a"),
    ("Anthropic-Beta", "b"),
    ("OpenAI-Organization", "org"),
    ("User-Agent", "agent/1"),
    ("Accept", "*/*"),
    ("traceparent", "00-1"),
    ("Content-Type", "application/json"),
    ("Authorization", "Bearer k"),
    ("x-unknown", ""),
)


def test_unknown_and_provider_headers_keep_order_case_and_duplicates() -> None:
    assert upstream_headers(KEPT, body_length=None) == (*KEPT, ("Accept-Encoding", "identity"))


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "HTTP2-Settings", "Host", "Expect", "Content-Encoding", "X-LocalGuard-Workspace", "x-localguard-task", "X-LOCALGUARD-anything",
    ],
)  # fmt: skip
def test_hop_by_hop_and_own_headers_do_not_go_upstream(name: str) -> None:
    assert upstream_headers([(name, "x"), ("A", "1")], body_length=None) == (
        ("A", "1"),
        ("Accept-Encoding", "identity"),
    )


def test_headers_named_by_connection_do_not_go_upstream() -> None:
    given = [
        ("X-Hop", "1"),
        ("Connection", "keep-alive, x-hop ,X-Other"),
        ("x-other", "2"),
        ("B", "3"),
        ("connection", "c"),
        ("C", "4"),
    ]
    assert upstream_headers(given, body_length=None) == (("B", "3"), ("Accept-Encoding", "identity"))


def test_length_and_accepted_coding_are_computed_in_place() -> None:
    given = [("content-length", "99"), ("accept-encoding", "gzip"), ("X", "1"), ("Accept-Encoding", "br")]
    assert upstream_headers(given, body_length=5) == (
        ("content-length", "5"),
        ("accept-encoding", "identity"),
        ("X", "1"),
    )
    assert upstream_headers([("X", "1")], body_length=0) == (
        ("X", "1"),
        ("Accept-Encoding", "identity"),
        ("Content-Length", "0"),
    )
    assert ("content-length", "99") not in upstream_headers(given, body_length=None)


RAW = (
    (b"Content-Type", b"text/event-stream"),
    (b"x-ratelimit-remaining-tokens", b"1"),
    (b"Set-Cookie", b"a=1"),
    (b"set-cookie", b"b=2"),
    (b"X-Name", "é".encode()),
    (b"retry-after", b"3"),
)


def test_reply_headers_come_back_verbatim() -> None:
    given = [
        *RAW,
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close, x-hop"),
        (b"X-Hop", b"1"),
        (b"X-LocalGuard-Exchange", b"forged"),
    ]
    expected = tuple((name.decode(), value.decode()) for name, value in RAW)
    assert reply_headers(given, exchange="e1", rewritten=True) == (*expected, ("X-LocalGuard-Exchange", "e1"))


def test_length_and_coding_of_a_reply_stay_only_with_its_bytes() -> None:
    given = [(b"Content-Length", b"5"), (b"Content-Encoding", b"gzip")]
    own = ("X-LocalGuard-Exchange", "e")
    assert reply_headers(given, exchange="e", rewritten=True) == (own,)
    assert reply_headers(given, exchange="e", rewritten=False) == (
        ("Content-Length", "5"),
        ("Content-Encoding", "gzip"),
        own,
    )


def test_credentials_are_told_from_what_is_scanned() -> None:
    headers = [
        ("Authorization", "Bearer one"),
        ("x-api-key", "two"),
        ("X-Other", "scanned"),
        ("API-KEY", "three"),
        ("x-goog-api-key", "four"),
        ("X-Gateway", "five"),
        ("Proxy-Authorization", "six"),
        ("Cookie", 'sid="session-value"; theme=dark'),
        ("x-api-key", "two"),
    ]
    positions = split_credentials(headers, "alt=sse&key=se%2Fven&KEY=eight&monkey=x", ["x-gateway"])
    assert positions.credentials == ("one", "two", "three", "four", "five", "six", "session-value", "se/ven", "eight")
    assert [headers[index] for index in positions.scanned] == [("X-Other", "scanned")]


def test_basic_credentials_are_known_decoded_too() -> None:
    packed = base64.b64encode(b"user:pass word").decode()
    assert split_credentials([("Authorization", f"Basic {packed}")], None, ()).credentials == (
        packed,
        "user:pass word",
        "pass word",
    )
    assert split_credentials([("Authorization", "Basic !!")], None, ()).credentials == ("!!",)


def test_empty_credentials_are_no_values() -> None:
    assert split_credentials([("Authorization", ""), ("x-api-key", " ")], "key=", ()).credentials == ()


def test_a_header_that_is_not_utf_8_is_named_but_not_quoted() -> None:
    with pytest.raises(HeaderNotText, match="'X-Name'") as caught:
        text_headers([(b"X-Name", b"canary\xe9")])
    assert "canary" not in str(caught.value)


def test_small_readings() -> None:
    assert query_parts("a=b=c&d&&=e") == [("a", "b=c"), ("d", ""), ("", "e")]
    assert query_parts(None) == []
    assert joined([("A", "1"), ("a", "2")], "a") == "1, 2"
    assert joined([], "a") is None
    assert replaced([("A", "1"), ("B", "2")], {1: "x"}) == (("A", "1"), ("B", "x"))
    assert bare_credential("Bearer  x") == bare_credential("x") == "x"
