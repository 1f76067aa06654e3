"""What is wrong with what a caller of the control API gave, in words instead of the decoder's. Pure."""

import re

import msgspec
from msgspec import inspect

_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<name>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]*)`(?P<bound>[^,]*)(?:, got `(?P<got>[^`]*)`)?.*", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_LONGEST = 100


def told(error: msgspec.ValidationError, model: type[msgspec.Struct]) -> str:
    """One sentence about what does not fit `model`, by the member's name; a value that was given is never in it."""
    found = _AT.fullmatch(str(error))
    what, name = (found["what"], found["name"]) if found is not None else (str(error), None)
    kind = inspect.type_info(model)
    assert isinstance(kind, inspect.StructType)
    members = {one.encode_name: one.type for one in kind.fields}
    field = _FIELD.fullmatch(what)
    if field is not None:
        if field[1] == "missing required":
            return f"{field[2]} is missing."
        return f"Nothing is called {field[2][:_LONGEST]} here. Known are: {', '.join(members) or 'none'}."
    name = name or "What was given"
    if what.startswith("Invalid enum value"):
        return f"{name} is none of {', '.join(_words(members.get(name)))}."
    described = _description(members.get(name))
    if "matching regex" in what and described:
        return f"{name} must be {described}."
    expected = _EXPECTED.fullmatch(what)
    if expected is None:
        return f"{name} does not fit its description in /-/api/openapi.json."
    kinds = [_KINDS.get(kind, kind) for kind in expected["kinds"].split(" | ")]
    bound = expected["bound"].replace("of length", "with a length").rstrip()
    return f"{name} must be {' or '.join(kinds)}{bound}."


def _description(kind: inspect.Type | None) -> str:
    """What a member is said to be, or nothing."""
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra_json_schema or {}).get("description", ""))
    if isinstance(kind, inspect.UnionType):
        return next(filter(None, map(_description, kind.types)), "")
    return ""


def _words(kind: inspect.Type | None) -> list[str]:
    """The words that a member may be."""
    if isinstance(kind, inspect.EnumType):
        return [str(one.value) for one in kind.cls]
    if isinstance(kind, inspect.LiteralType):
        return [str(one) for one in kind.values]
    if isinstance(kind, inspect.UnionType):
        return [word for one in kind.types for word in _words(one)]
    return []
