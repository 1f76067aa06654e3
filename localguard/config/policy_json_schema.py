"""The policy file's JSON schema, for editors that check and complete TOML."""

from typing import Any

from localguard.config.policy_schema import PolicyFile

FILE_NAME = "policy.schema.json"
"""What it is called beside a policy file; `#:schema policy.schema.json` in the first line leads an editor to it."""


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of shapes and words; what refers to what is checked by `policy check`."""
    schema = PolicyFile.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "localguard policy",
        "description": "Endpoints, workspaces, rules, budgets and tests of a localguard policy.",
    }
