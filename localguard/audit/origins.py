"""Why a failure is said to come from where it is said to come from, and what a person can do about it. Pure."""

from collections.abc import Mapping
from typing import Any

NEXT_STEPS: Mapping[str, str] = {
    "agent": "The agent sent what the provider does not accept. Update the agent, or report this id to its maintainers.",
    "instructions": "An instruction file led the agent here. Read the files named above.",
    "guard": "The guard itself failed. Run `localguard doctor`, and report this id with what it says.",
    "policy": "Ask whoever owns the policy, or choose another model or endpoint: `localguard endpoint list`.",
    "redaction": "See the findings above; policy can allow a class of data for an endpoint: `localguard policy show`.",
    "budget": "The budget of this work is used up; its owner can raise it.",
    "network": "The endpoint could not be reached. Check the connection, then send again.",
    "gateway": "A gateway between here and the model failed. Send again; if it stays, ask the endpoint's owner.",
    "provider": "The provider failed. Send again; its status page may say more.",
    "rate limit": "The provider limits the rate. Wait, or use another endpoint.",
    "local model": "The local model server failed. See whether it runs and has the model loaded.",
    "tool": "A tool of the agent failed. Its own output says more.",
}
"""Origin of a failure to what a person can do about it, where nothing more is known."""

_FAILURES: Mapping[str, str] = {
    "UpstreamUnreachable": "Its name does not resolve, or nothing accepts connections at its address; nothing was sent.",
    "UpstreamConnectTimeout": "Connecting to it took too long; nothing was sent.",
    "UpstreamTimeout": "It was connected, and was silent for too long; the request may have reached it.",
    "UpstreamTLSInvalid": "Its certificate is not one that is trusted here; nothing was sent.",
    "UpstreamBroken": "The connection was lost; the request may have reached it.",
    "UpstreamLoops": "Its address is the guard's own port; nothing was sent.",
    "UpstreamForbidden": "Its address is link-local or a cloud's metadata service; nothing was sent.",
    "UpstreamNotLocal": "Its class is local, and its address is another machine; nothing was sent.",
    "no-end-mark": "The stream ended without its end mark.",
}
"""What the log calls a failure to be answered, in words."""


def evidence(request: Mapping[str, Any], outcome: Mapping[str, Any], replaced: int) -> tuple[str, ...]:
    """What the records show of the origin of a failure: one fact a line; nothing where nothing failed.

    ``request`` and ``outcome`` are their ``metadata``; ``replaced`` values stood as placeholders in the request.
    """
    origin, status, error = outcome.get("origin"), outcome.get("status"), outcome.get("error")
    if not origin:
        return ()
    code = f", code {error}" if error and error != str(status) else ""
    answered = f"The endpoint answered {status}{code}."
    if (known := _FAILURES.get(str(error))) is not None:
        return (known,)
    if outcome.get("state") == "cancelled":
        return ("The agent closed its connection before the reply was whole.",)
    if status is not None and status < 400:
        if origin == "guard":
            return (f"The guard ended the reply itself ({error}).",)
        return (f"The reply began with status {status}, and an error stood inside it{code}.",)
    lines = [answered]
    if origin == "rate limit":
        lines.append(
            "That limit is the provider's; the guard's own is a refusal with the code localguard_rate_limited."
        )
    elif origin == "gateway":
        says = (
            "that a gateway had no answer from behind it" if status in (502, 504) else "no provider's error, but a page"
        )
        lines.append(f"The status says {says}." if status in (502, 504) else f"What came is {says}.")
    elif origin == "agent":
        lines.append("So the request got there, and was not accepted.")
        if replaced:
            lines.append(
                f"{replaced} of its values stood as placeholders; where one was to be a number or an id, that is why."
            )
    return tuple(lines)


def next_step(request: Mapping[str, Any], outcome: Mapping[str, Any]) -> str | None:
    """What to do about a failure, by origin and by what is known of it; None where nothing failed."""
    origin, status, error = outcome.get("origin"), outcome.get("status"), str(outcome.get("error") or "")
    model = request.get("model") or "the model"
    if origin == "local model" and status == 404:
        return f"The local server has no model {model}. Get it (`ollama pull {model}`), or choose one that it lists."
    if origin == "local model" and error in ("UpstreamUnreachable", "UpstreamConnectTimeout"):
        return "The local model server does not run, or on another port. Start it; `localguard endpoint list` has its address."
    if origin == "local model" and status == 503:
        return f"The local server is busy, or still loads {model}. Wait a moment, then send again."
    if origin == "local model" and (status or 0) >= 500:
        return f"The local server could not run {model}: it may not fit into memory. Its own log says more."
    if origin == "agent" and status == 404:
        return f"The endpoint has no model {model}, or not this address. See which models it lists, and what the agent is set to."
    if origin == "agent" and outcome.get("state") == "cancelled":
        return None
    if origin == "provider" and status in (401, 403):
        whose = request.get("credential") or "client"
        set_by = "the agent's own" if whose == "client" else f"{whose}, see `localguard key list`"
        return f"The provider does not take the key ({set_by}), or it may not use {model}."
    if origin in ("provider", "rate limit") and (status == 402 or error == "insufficient_quota"):
        return "The account that pays for this key has no money or quota left; whoever owns it can add some."
    if origin == "network" and error == "UpstreamTLSInvalid":
        return "Where a company's proxy signs certificates, name its authority as the endpoint's `ca_file`; else trust nobody."
    if origin == "policy" and error.startswith("Upstream"):
        return "Correct the endpoint's base_url; `localguard endpoint list` shows it."
    return NEXT_STEPS.get(origin or "")
