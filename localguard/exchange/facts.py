"""What a request says and holds: what policy decides on and the log keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from ahocorasick_rs import BytesAhoCorasick, MatchKind

from localguard.exchange.claims import Claims
from localguard.exchange.history import Held
from localguard.exchange.split import Piece
from localguard.exchange.tool_results import ToolResults
from localguard.wire.format import mapping

_INSTRUCTIONS = (
    b"AGENTS.md",
    b"CLAUDE.md",
    b"GEMINI.md",
    b"copilot-instructions.md",
    b".cursorrules",
    b".windsurfrules",
    b"CONVENTIONS.md",
)
"""Names of instruction files, as agents quote them above their text."""
_INSTRUCTION_NAMES = BytesAhoCorasick(_INSTRUCTIONS, matchkind=MatchKind.LeftmostFirst)
"""None of the names stands in another one; only leftmost matches have ahocorasick's packed search."""
_INSTRUCTION_BYTES = 262_144
_TOOL_MEMBERS = ("tools", "functions", "mcp_servers")
_OUTPUT_MEMBERS = frozenset(
    {"response_format", "text", "output_format", "output_config", "format", "generationConfig", "generation_config"}
)
_MAX_SMALL = 65_536


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request says and holds, for policy and log. No raw values."""

    model: str | None
    stream: bool | None
    asked_for_json: bool
    """The text of the reply is to be one JSON document."""
    held: tuple[Held, ...]
    """History held by the provider that the request builds on."""
    conversation: str | None
    """Keyed fingerprint of how the conversation began: the system's words and the user's first."""
    types: frozenset[str]
    tools: tuple[str, ...]
    attachments: frozenset[str]
    unread: frozenset[str]
    """Kinds of those attachments that nobody could look through, or in which something was found."""
    instructions: tuple[tuple[str, str], ...]
    leaves: int
    opaque: int
    body_bytes: int
    attached_bytes: int
    """Of those, what attachments take in base64."""
    new_bytes: int
    output_limit: int | None
    """Tokens that the reply may have, over all of its choices, where the request says so."""
    claims: Claims
    """What it says about the place of the work, in its headers and its body."""
    tool_results: ToolResults = field(default=ToolResults(), compare=False)
    """Results of tools that came back since the model spoke last."""
    alike: bytes = field(default=b"", compare=False)
    """Keyed digest of its length, its beginning and its last item: what has this in common with an earlier request, and holds
    nothing new (`new_bytes`), is that request again."""


def instruction_names(raw: bytes) -> tuple[str, ...]:
    """Names of the instruction files that the beginning of a piece speaks of, sorted."""
    found = _INSTRUCTION_NAMES.find_matches_as_indexes(
        raw if len(raw) <= _INSTRUCTION_BYTES else raw[:_INSTRUCTION_BYTES]
    )
    return tuple(sorted({_INSTRUCTIONS[index].decode() for index, _, _ in found}))


def tool_names(piece: Piece, value: object) -> tuple[str, ...]:
    """Names of the tools that a piece declares: one tool, an array of them, or a whole body.

    Of an MCP server that the provider itself calls, all tools count: `mcp__<server>__*`.
    """
    if piece.member == "" and isinstance(value, dict):
        found = [value.get(name) for name in _TOOL_MEMBERS]
    elif piece.member in _TOOL_MEMBERS:
        found = [value]
    else:
        return ()
    names: list[str] = []
    while found:
        one = found.pop(0)
        if isinstance(one, list):
            found += one
        elif isinstance(one, dict):
            declared = one.get("functionDeclarations") or one.get("function_declarations")
            server = _mcp_server(one)
            name = (
                f"mcp__{server}__*"
                if server
                else one.get("name") or mapping(one.get("function")).get("name") or one.get("type")
            )
            found.append(declared)
            names += [str(name)] if name and not declared else []
    return tuple(names)


def _mcp_server(tool: Mapping[str, object]) -> str | None:
    """The MCP server that a declaration names: Responses' `mcp` tools, Messages' `mcp_servers` and `mcp_toolset` (November 2026)."""
    kind = tool.get("type")
    names = {"mcp": "server_label", "mcp_toolset": "mcp_server_name", "url": "name"}
    name = tool.get(names[kind]) if isinstance(kind, str) and kind in names else None
    return name if isinstance(name, str) and name else None


def asks_for_json(members: Mapping[str, bytes]) -> bool:
    """Say whether a body asks for structured output.

    OpenAI `response_format` and `text.format`, Anthropic `output_format` and `output_config.format`, Ollama `format`,
    Gemini `generationConfig` (references read November 2026).
    """
    for name in _OUTPUT_MEMBERS & members.keys():
        try:
            value = orjson.loads(members[name])
        except orjson.JSONDecodeError:
            continue
        if name in ("generationConfig", "generation_config"):
            kind = value.get("responseMimeType", value.get("response_mime_type")) if isinstance(value, dict) else None
            if kind == "application/json":
                return True
            continue
        asked = mapping(value).get("format") if name in ("text", "output_config") else value
        if asked == "json" or (isinstance(asked, dict) and asked and asked.get("type") != "text"):
            return True
    return False


_OUTPUT_LIMITS = (
    ("max_completion_tokens",),
    ("max_output_tokens",),
    ("max_tokens",),
    ("generationConfig", "maxOutputTokens"),
    ("generation_config", "max_output_tokens"),
    ("options", "num_predict"),
)
_MAX_CHOICES = 128


def output_limit(members: Mapping[str, bytes]) -> int | None:
    """How many tokens a body lets the reply have, times its choices (references read November 2026); None where it does not say."""
    for name, *inner in _OUTPUT_LIMITS:
        if name in members:
            value = small_member(members[name])
            limit = mapping(value).get(inner[0]) if inner else value
            if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
                choices = small_member(members.get("n"))
                several = isinstance(choices, int) and 1 < choices <= _MAX_CHOICES
                return limit * choices if several and isinstance(choices, int) else limit
    return None


def small_member(raw: bytes | None) -> object:
    """The value of a small top-level member."""
    if raw is None or len(raw) > _MAX_SMALL:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def text_member(raw: bytes | None) -> str | None:
    """The value of a small top-level member that is a string."""
    value = small_member(raw)
    return value if isinstance(value, str) else None
