"""The embedded defaults: the policy `builtin:solo`, and one endpoint for every address that everybody reaches at the same place.

Built directly, without the policy file's parser, so that a guard without a policy file starts fast.
"""

import hashlib
from typing import Final, NamedTuple

from localguard.policy.model import Effect, Endpoint, EndpointClass, Layer, LayerName, Rule, When

SOLO: Final = "builtin:solo"
"""Name of the built-in policy, as `extends` spells it, and its place in decisions."""


class FixedAddress(NamedTuple):
    """Address and class of a kind that everybody reaches at the same place."""

    base_url: str
    endpoint_class: EndpointClass


FIXED_ADDRESSES: Final[dict[str, FixedAddress]] = {
    "openai": FixedAddress("https://api.openai.com", EndpointClass.HOSTED),
    "anthropic": FixedAddress("https://api.anthropic.com", EndpointClass.HOSTED),
    "gemini": FixedAddress("https://generativelanguage.googleapis.com", EndpointClass.HOSTED),
    "lmstudio": FixedAddress("http://127.0.0.1:1234", EndpointClass.LOCAL),
    "ollama": FixedAddress("http://127.0.0.1:11434", EndpointClass.LOCAL),
}
"""Addresses as the providers' references give them, read 2026-11; the loopback ones are the servers' default ports."""

CODEX: Final = "codex"
"""The built-in endpoint for Codex with a ChatGPT login, whose models answer at another address than the API's."""
CHATGPT: Final = FixedAddress("https://chatgpt.com/backend-api/codex", EndpointClass.HOSTED)
"""As Codex's own source names it, read 2026-11."""


def builtin_endpoints() -> tuple[Endpoint, ...]:
    """Return one endpoint per kind with a fixed address, named like its kind, and that of Codex's ChatGPT login."""
    addresses = [(kind, kind, address) for kind, address in FIXED_ADDRESSES.items()]
    return tuple(
        Endpoint(
            name=name,
            kind=kind,
            base_url=address.base_url,
            endpoint_class=address.endpoint_class,
            own_class=address.endpoint_class,
            file=SOLO,
        )
        for name, kind, address in [*addresses, (CODEX, "openai", CHATGPT)]
    )


def builtin_rules() -> tuple[Rule, ...]:
    """Return the rules of `builtin:solo`.

    They cast no vote on obligations, so that the defaults (everything found is redacted) hold, and a user who extends the
    policy can still say otherwise for an endpoint of their own.
    """
    return (
        Rule(
            id="solo-endpoints",
            effect=Effect.ALLOW,
            when=When(classes=("hosted", "local", "enterprise")),
            reason="The built-in policy allows every configured endpoint that is not experimental, with redaction on.",
            file=SOLO,
        ),
    )


def builtin_layer() -> Layer:
    """Return the built-in policy as a user layer: what is in force until the user's file has rules."""
    identity = f"{SOLO} 1 {builtin_rules()!r} {builtin_endpoints()!r}"
    return Layer(
        name=LayerName.USER,
        default=Effect.DENY,
        rules=builtin_rules(),
        endpoints=builtin_endpoints(),
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        file=SOLO,
    )
