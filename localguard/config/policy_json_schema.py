"""The policy file's JSON schema, for editors that check and complete TOML."""

from typing import Any

from localguard.config.policy_schema import PolicyFile

FILE_NAME = "policy.schema.json"
"""What it is called beside a policy file; `#:schema policy.schema.json` in the first line leads an editor to it."""


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of shapes and words; what refers to what is checked by `policy check`."""
    schema = _numbers(PolicyFile.model_json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "localguard policy",
        "description": "Endpoints, workspaces, rules, budgets and tests of a localguard policy.",
    }


def _numbers(schema: Any) -> Any:
    """Money is a number in TOML: without the text that pydantic would take for a decimal, too."""
    if isinstance(schema, list):
        return [_numbers(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kinds = schema.get("anyOf")
    if isinstance(kinds, list) and {"number", "string"} <= {kind.get("type") for kind in kinds}:
        left = [kind for kind in kinds if kind.get("type") != "string"]
        schema = {**schema, "anyOf": left} if len(left) > 1 else {**left[0], **_without(schema, "anyOf")}
    return {name: _numbers(one) for name, one in schema.items()}


def _without(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}
