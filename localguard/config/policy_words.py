"""What pydantic found wrong with a policy file, in the words of whoever wrote the file."""

import re
from collections.abc import Sequence
from decimal import Decimal

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from localguard.config.policy_problems import nearest, printable
from localguard.config.policy_schema import PolicyFile
from localguard.config.toml_lines import Path


def explain(error: ErrorDetails) -> tuple[Path, str]:
    """Return place and plain words for one of pydantic's errors; input values are shown for closed word lists only."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    kind, context, given = error["type"], error.get("ctx", {}), error.get("input")
    valid: Sequence[str]
    if kind == "extra_forbidden":
        model = _model_at(path[:-1])
        valid = [field.alias or name for name, field in model.model_fields.items()] if model else []
        return path, f"there is no such field.{nearest(str(path[-1]), valid)}" if valid else "there is no such field."
    if kind == "missing":
        return path[:-1], f"{path[-1]} is missing."
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        if not valid:
            return path, f"must be {context.get('expected')}."
        if not isinstance(given, str):
            return path, f"must be one of {', '.join(valid)}, not {_toml_type(given)}."
        return path, f"{printable(given)} is none of the possible words.{nearest(given, valid)}"
    if kind.endswith("_type") or kind in ("is_instance_of", "decimal_parsing"):
        wanted = _WANTED.get(kind, "another type")
        return path, f"must be {wanted}, not {_toml_type(given)}."
    if kind == "too_short":
        return path, "must not be empty: a rule with an empty list would match nothing. Leave the field out instead."
    if kind in _LIMITS:
        return path, _LIMITS[kind].format(
            **{"ge": 0, "le": 0, "gt": 0, "lt": 0, "max_length": 0, "min_length": 0, **context}
        )
    if kind == "string_pattern_mismatch":
        return path, _pattern_words(path)
    return path, "is not valid here."


_WANTED = {
    "string_type": "a text in quotes",
    "list_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "is_instance_of": "a number",
    "datetime_type": "a date and time like 2027-06-30T00:00:00Z",
}
_LIMITS = {
    "greater_than_equal": "must not be below {ge}.",
    "less_than_equal": "must not be above {le}.",
    "greater_than": "must be above {gt}.",
    "less_than": "must be below {lt}.",
    "finite_number": "must be a number, not infinite.",
    "string_too_long": "is longer than {max_length} characters.",
    "string_too_short": "must not be empty.",
    "too_long": "has more than {max_length} entries.",
}


_ENDPOINT_NAMES = (("route", "endpoint"), ("expect", "route"))


def _pattern_words(path: Path) -> str:
    field = next((part for part in reversed(path) if isinstance(part, str)), "")
    if (path[:1] == ("endpoints",) and field == "name") or path[-2:] in _ENDPOINT_NAMES:
        return "must be lower case letters, digits and hyphens, starting with a letter or digit."
    if field == "credential":
        return (
            'must be "client", "keyring:NAME" (NAME being letters, digits, dots, hyphens and underscores) or '
            '"command:PROGRAM ARGUMENTS".'
        )
    if field == "auth_headers":
        return "must be a header name."
    return "must hold no tab, line break or other control character, and must not be empty."


def _toml_type(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names: tuple[tuple[type, str], ...] = (
        (str, "a text"),
        (int, "a whole number"),
        (Decimal, "a number"),
        (list, "a list"),
        (dict, "a table"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "a date or time")


def _model_at(path: Path) -> type[BaseModel] | None:
    """Return the schema's table at a place, to know the names that are valid there."""
    model: type[BaseModel] = PolicyFile
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        if field is None:
            return None
        inner = [
            kind
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        if not inner:
            return None
        model = inner[0]
    return model


def dotted(path: Path) -> str:
    """Return a path as people write it, positions counted from 1: `rules[2].effect`."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{printable(part)}" if text else printable(part)
    return text
