"""One value of a settings file changes and nothing else does, in every format, whatever stands around it."""

import json
import tomllib
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import given
from hypothesis import strategies as st

from localguard.config.settings.path import SettingsBroken
from localguard.config.settings.text import FORMATS, changed, pruned, value_at

URL = "http://127.0.0.1:4141/openai/v1"
NAMES = st.text("abc_", min_size=1, max_size=3)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(NAMES, DOCUMENTS, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


def reachable(document: Any, path: tuple[str, ...]) -> bool:
    """Whether everything on the way is an object or not there."""
    for step in path[:-1]:
        if step not in document:
            return True
        document = document[step]
        if not isinstance(document, dict):
            return False
    return True


def dumped(document: Any, form: str, indent: int | None) -> str:
    if form == "json":
        return json.dumps(document, indent=indent, ensure_ascii=False)
    text: str = yaml.safe_dump(document, indent=2 if indent is None else max(indent, 2), allow_unicode=True)
    return text


@given(OBJECTS, PATHS, st.sampled_from([None, 2, 4]), st.booleans())
def test_json_a_value_is_set_and_taken_out_again(
    document: Any, path: tuple[str, ...], indent: int | None, crlf: bool
) -> None:
    text = dumped(document, "json", indent)
    text = text.replace("\n", "\r\n") if crlf else text
    if not reachable(document, path):
        with pytest.raises(SettingsBroken):
            changed("json", text, path, URL)
        return
    made = changed("json", text, path, URL)
    assert value_at(json.loads(made), path) == URL
    if value_at(document, path[:1]) is None and path[0] not in document:
        back = pruned("json", changed("json", made, path, None), path, document)
        assert json.loads(back) == document
        if document:
            assert back == text


@given(OBJECTS, PATHS)
def test_yaml_a_value_is_set_without_touching_another_or_not_at_all(document: Any, path: tuple[str, ...]) -> None:
    text = dumped(document, "yaml", None)
    try:
        made = changed("yaml", text, path, URL)
    except (SettingsBroken, TypeError, AttributeError, KeyError):
        return  # flow style, or no object on the way
    assert value_at(yaml.safe_load(made), path) == URL
    assert [line for line in text.splitlines() if line not in made.splitlines()] in ([], [*_replaced(text, made)])


def _replaced(before: str, after: str) -> list[str]:
    return [line for line in before.splitlines() if line not in after.splitlines()][:20]


CASES = [
    ("json", "", ("a", "b"), '{\n  "a": {\n    "b": "U"\n  }\n}\n'),
    ("json", "{}", ("a",), '{\n  "a": "U"\n}'),
    ("json", '{ "x": 1 }', ("a",), '{ "x": 1, "a": "U" }'),
    ("json", '{\n\t"x": 1 // one\n}\n', ("a",), '{\n\t"x": 1,\n\t"a": "U" // one\n}\n'),
    ("json", '{\n    "x": 1,\n}\n', ("a", "b"), '{\n    "x": 1,\n    "a": {\n        "b": "U"\n    },\n}\n'),
    ("json", '// top\n{\n  /* {"a": 1} */\n  "a": "old", // why\n  "z": 1e-7\n}', ("a",), '// top\n{\n  /* {"a": 1} */\n  "a": "U", // why\n  "z": 1e-7\n}'),
    ("json", '{"m": [{"a": "x"}, {"b": 1.0}]}', ("m", 1, "a"), '{"m": [{"a": "x"}, {"b": 1.0, "a": "U"}]}'),
    ("toml", "# mine\nmodel = 'x'  # this\n\n[t]\nk = 1.0\n", ("a",), "# mine\nmodel = 'x'  # this\na = \"U\"\n\n[t]\nk = 1.0\n"),
    ("toml", "[p.x]\nname = \"x\"\nurl = \"old\" # n\n", ("p", "x", "url"), "[p.x]\nname = \"x\"\nurl = \"U\" # n\n"),
    ("yaml", "# c\nmodels:\n  - name: n # x\n    provider: openai\n  - name: m\n", ("models", 0, "apiBase"), "# c\nmodels:\n  - name: n # x\n    provider: openai\n    apiBase: U\n  - name: m\n"),
    ("yaml", "a: 1\nb: old # c\n", ("b",), "a: 1\nb: U # c\n"),
    ("yaml", "a: 1", ("e", 0), "a: 1\ne:\n  - U\n"),
    ("yaml", "e:\n- x\n# end\n", ("e", 1), "e:\n- x\n- U\n# end\n"),
    ("yaml", "", ("b",), "b: U\n"),
    ("env", "# c\nA=1\nB='old'  \n", ("B",), "# c\nA=1\nB=U  \n"),
    ("env", "A=1", ("B",), "A=1\nB=U\n"),
    ("shell", "alias x=y\nexport A=1\n", ("B",), "alias x=y\nexport A=1\nexport B=U\n"),
    ("env", "A=1\r\n", ("B",), "A=1\r\nB=U\r\n"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text", "path", "expected"), CASES)
def test_comments_order_and_layout_stay(form: str, text: str, path: Any, expected: str) -> None:
    assert changed(form, text, path, "U") == expected


@pytest.mark.parametrize(("form", "text", "path", "expected"), CASES)
def test_what_was_set_is_taken_out_again(form: str, text: str, path: Any, expected: str) -> None:
    original = FORMATS[form].values(text)
    if value_at(original, path) is None:
        back = pruned(form, changed(form, expected, path, None), path, original)
        assert FORMATS[form].values(back) == original
        if text.endswith("\n"):
            assert back == text


@pytest.mark.parametrize(
    ("form", "text", "place"),
    [
        ("json", '{\n  "a": 1\n  "b": 2\n}', "line 3"),
        ("json", '{"a": 1, "a": 2}', "line 1"),
        ("json", "{a: 1}", "line 1"),
        ("json", "[" * 200, "too deep"),
        ("json", '{"a": 1} x', "line 1"),
        ("json", '{"a": tru', "line 1"),
        ("toml", "a = 1\nb =\n", "line 2"),
        ("yaml", "a: 1\nb: [\n", "line 3"),
        ("yaml", "a: *x\n", "no YAML"),
    ],
)
def test_a_broken_file_is_said_to_be_with_its_place(form: str, text: str, place: str) -> None:
    with pytest.raises(SettingsBroken, match=place):
        changed(form, text, ("a", "b"), "U")


def test_a_value_that_needs_quotes_gets_them() -> None:
    hostile = "x\"\\ #: '$(id)"
    for form in ("json", "toml", "yaml"):
        made = changed(form, "", ("a",), hostile)
        assert FORMATS[form].values(made) == {"a": hostile}
    with pytest.raises(SettingsBroken):
        changed("env", "", ("A",), "a b'$(id)")


@given(
    st.dictionaries(
        NAMES, st.text(max_size=5) | st.integers() | st.dictionaries(NAMES, st.integers(), max_size=2), max_size=4
    ),
    PATHS,
)
def test_toml_a_value_is_set_and_the_rest_stays(document: Any, path: tuple[str, ...]) -> None:
    text = tomlkit.dumps(document)
    try:
        made = changed("toml", text, path, URL)
    except (SettingsBroken, TypeError, KeyError, AttributeError):
        assert not reachable(document, path) or not text.isprintable()
        return
    assert value_at(tomllib.loads(made), path) == URL
