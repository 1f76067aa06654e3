"""Which texts have a disguise that plain bytes do not tell: rows of an encoding that go on, and nothing that looks alike."""

import base64
import json

import orjson
import pytest

from localguard.redact.views import hides, views
from tests.redact.conftest import secret


def rows(width: int, line: str) -> str:
    encoded = base64.b64encode(f"some bytes before it {secret(3, 60)} and behind".encode()).decode()
    return "data: " + line.join(["", *(encoded[at : at + width] for at in range(0, len(encoded), width))])


@pytest.mark.parametrize("line", ["\n", "\r\n", "\n  ", "\n\t", " \n".strip(" ")])
@pytest.mark.parametrize("width", [32, 40, 64, 76])
@pytest.mark.parametrize("end", ["", "\nend", '"', "'", "`"])
def test_rows_that_go_on_are_told_in_every_json_spelling(line: str, width: int, end: str) -> None:
    text = rows(width, line) + end
    assert [view.joined for view in views(text.encode())] == [True]
    once = orjson.dumps({"a": text}).decode()
    for spelled in (
        once,
        json.dumps({"a": text}),
        json.dumps(once),
        json.dumps({"a": [once]}),
        once.replace("\\n", "\\u000a"),
    ):
        assert hides(spelled.encode()), spelled


@pytest.mark.parametrize(
    "text",
    [
        "# " + "-" * 60 + "\nclass A:",
        "_" * 40 + "\n" + "_" * 40 + "\n",
        "=" * 40 + "\nTitle\n",
        f"KEY = {secret(4, 40)}\n    return None",
        f"{secret(4, 40)}\n  one: two\n",
        "a" * 20 + "\n" + "b" * 20,
    ],
)
def test_lines_and_long_names_of_source_code_hide_nothing(text: str) -> None:
    assert not hides(orjson.dumps(text))
    assert list(views(text.encode())) == []
