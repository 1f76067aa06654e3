"""The description of the control API (OpenAPI 3.1), made of the table of its calls and of the types that they take and give."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from localguard import __version__
from localguard.proxy.control_models import ControlError

if TYPE_CHECKING:
    from localguard.proxy.control import Call

_REFERENCE = "#/components/schemas/{name}"
_NAMES = re.compile(r"\{(\w+)\}")
_DESCRIPTION = (
    "What the guard of this home tells and does for its own clients. Every call needs the control token, which stands in the"
    " home's state/control.token, and is refused to web pages (Origin, Host, Sec-Fetch-Site). No answer holds a value that was"
    " replaced."
)


def description(calls: Iterable["Call"]) -> dict[str, Any]:
    """The OpenAPI document of these calls, and of the live events beside them."""
    table = list(calls)
    kinds: list[Any] = [ControlError]
    for call in table:
        kinds += [kind for kind in (call.query, call.takes, call.gives) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    known = dict(zip(map(id, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in table:
        paths.setdefault(f"/-/api{call.path}", {})[call.method.lower()] = _operation(call, known, components)
    paths["/-/events"] = {"get": _events(known)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "localguard control API", "version": __version__, "description": _DESCRIPTION},
        "security": [{"controlToken": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"controlToken": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: "Call", known: Mapping[int, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,200}$"},
        }
        for name in _NAMES.findall(call.path)
    ]
    if call.query is not None:
        shape = components[call.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": _given(schema)}
            for name, schema in shape["properties"].items()
        ]
    made: dict[str, Any] = {
        "operationId": f"{call.method.lower()}{re.sub(r'[^a-z]+', '_', call.path)}".rstrip("_"),
        "summary": call.summary,
        "parameters": parameters,
        "responses": {
            "200": _answer("Done.", known[id(call.gives)] if call.gives is not None else {"type": "object"}),
            "default": _answer("Not done; the message says why.", known[id(ControlError)]),
        },
    }
    if call.takes is not None:
        needed = bool(components[call.takes.__name__].get("required"))
        made["requestBody"] = {
            "required": needed,
            "content": {"application/json": {"schema": known[id(call.takes)]}},
        }
    return made


def _given(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter's schema: one that may be left out is not given as null."""
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else {name: value for name, value in schema.items() if name != "default"}


def _answer(told: str, schema: Any) -> dict[str, Any]:
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def _events(known: Mapping[int, Any]) -> dict[str, Any]:
    return {
        "operationId": "get_events",
        "summary": "Live events (Server-Sent Events). The first, `ready`, says whether everything since `Last-Event-ID` follows.",
        "parameters": [{"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "Events as they come.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            "default": _answer("Not done; the message says why.", known[id(ControlError)]),
        },
    }
