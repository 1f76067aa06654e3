"""Which wire format a request speaks: by endpoint kind and path.

Paths are those of the providers' references (read November 2026); what no row names is `generic-json`, which is
scanned leaf by leaf.
"""

import re

from localguard.wire.chat import CHAT, COMPLETIONS, EMBEDDINGS
from localguard.wire.format import WireFormat
from localguard.wire.gemini import GEMINI
from localguard.wire.generic import GENERIC
from localguard.wire.messages import MESSAGES
from localguard.wire.ollama import OLLAMA
from localguard.wire.responses import RESPONSES

_BY_PATH: tuple[tuple[re.Pattern[str], WireFormat], ...] = (
    (re.compile(r"/chat/completions$"), CHAT),
    (re.compile(r"/responses(?:/[\w-]+(?:/cancel|/input_items)?)?$"), RESPONSES),
    (re.compile(r"/messages(?:/count_tokens)?$"), MESSAGES),
    (re.compile(r"/api/(?:chat|generate|embed|embeddings|show|create|pull|push|copy|delete)$"), OLLAMA),
    (re.compile(r"models/[^/:]+:\w+$"), GEMINI),
    (re.compile(r"/completions$"), COMPLETIONS),
    (re.compile(r"/embeddings$"), EMBEDDINGS),
)
_ERRORS_BY_KIND = {"anthropic": "anthropic", "ollama": "ollama", "gemini": "gemini"}


def wire_format(path: str) -> WireFormat:
    """The format of a request to `path` (without query, as sent to the endpoint)."""
    clean = path.rstrip("/")
    for pattern, found in _BY_PATH:
        if pattern.search(clean):
            return found
    return GENERIC


def error_shape(kind: str, path: str) -> str:
    """Whose error shape a refusal takes: the format's, or the endpoint kind's where the path says nothing."""
    found = wire_format(path)
    if found is GENERIC:
        return "anthropic" if "/anthropic/" in path else _ERRORS_BY_KIND.get(kind, "openai")
    return found.errors


AZURE_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")
GEMINI_MODEL = re.compile(r"models/([^/:]+):\w+$")


_OPENAI = frozenset({CHAT.name, RESPONSES.name, COMPLETIONS.name, EMBEDDINGS.name})
_SPOKEN = {
    "openai": _OPENAI,
    "azure-openai": _OPENAI,
    "foundry": _OPENAI | {MESSAGES.name},
    "anthropic": frozenset({MESSAGES.name}),
    "lmstudio": _OPENAI | {MESSAGES.name},
    "ollama": _OPENAI | {MESSAGES.name, OLLAMA.name},
    "gemini": frozenset({GEMINI.name, CHAT.name, EMBEDDINGS.name}),
    "openai-compatible": _OPENAI | {MESSAGES.name},
}


def speaks(kind: str, format: str) -> bool:
    """Whether endpoints of a kind answer requests in a wire format at the same path (references read November 2026)."""
    return format in _SPOKEN.get(kind, ())


def speak_alike(kind: str, other: str) -> bool:
    """Whether endpoints of two kinds have a wire format in common."""
    return bool(_SPOKEN.get(kind, frozenset()) & _SPOKEN.get(other, frozenset()))


def model_in_path(path: str) -> str | None:
    """The model where the path names it: an Azure deployment, a Gemini model."""
    match = AZURE_DEPLOYMENT.search(path) or GEMINI_MODEL.search(path)
    return match.group(1) if match else None


_COUNTING = re.compile(
    r"/count_tokens$|:countTokens$|/api/(?:show|create|pull|push|copy|delete)$|/responses/[\w-]+(?:/cancel|/input_items)?$"
)


def generates(path: str, *, names_model: bool) -> bool:
    """Whether a POST to `path` has a model work, which costs something: no mere look-up, and a known call or one that names a model."""
    clean = path.rstrip("/")
    return not _COUNTING.search(clean) and (names_model or wire_format(clean) is not GENERIC)
