import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.config.toml_lines import lines_of, nearest_line

DOCUMENT = '''\
# comment [not.a.table]
title = "a = b # no comment"
"quoted.key" = 1
site."example.org".x = true
text = """
[[rules]]
id = "not a rule" \\
"""
raw = \'\'\'
x = 1
\'\'\'
list = [
  1, # one
  { a = 1, b = [2, 3] },

  "four",
]

[[rules]]
id = "a"

[[rules]]
id = "b"
  [rules.when]
  tasks = ["x"]
  [[rules.extra]]
  y = 1979-05-27T07:32:00Z
[a.b]
c.d = { e = { f = 1 } }
'''


def test_every_key_table_and_element_has_its_line() -> None:
    lines = lines_of(DOCUMENT)
    expected: dict[tuple[str | int, ...], int] = {
        ("title",): 2,
        ("quoted.key",): 3,
        ("site", "example.org", "x"): 4,
        ("text",): 5,
        ("raw",): 9,
        ("list",): 12,
        ("list", 0): 13,
        ("list", 1): 14,
        ("list", 1, "b", 1): 14,
        ("list", 2): 16,
        ("rules",): 19,
        ("rules", 0): 19,
        ("rules", 0, "id"): 20,
        ("rules", 1): 22,
        ("rules", 1, "when"): 24,
        ("rules", 1, "when", "tasks", 0): 25,
        ("rules", 1, "extra", 0, "y"): 27,
        ("a", "b", "c", "d", "e", "f"): 29,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert nearest_line(lines, ("rules", 1, "when", "models", 3)) == 24


def paths(value: Any, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {at}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths(inner, (*at, index))
    return found


def test_no_path_of_a_document_is_missing_or_invented() -> None:
    assert set(lines_of(DOCUMENT)) == paths(tomllib.loads(DOCUMENT))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="a=[]{}\"'#\n\\., 1", max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    lines = lines_of(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(lines) == paths(document)


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "a = " + "[" * 50_000, '"""' + '"' * 50_000, "a" * 100_000, "a." * 50_000]
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    lines_of(text)
