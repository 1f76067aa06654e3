"""A decision in words that a person reads in an agent's window: reason and next step.

They name rules, endpoint and workspace, never the model or the task: a client may put anything there.
"""

from collections.abc import Sequence
from typing import Final

from localguard.policy.layers import RuleRef
from localguard.policy.model import Effect, Work

CONFLICT: Final = "Two rules of the policy route this request differently (to {endpoints}), so it goes nowhere."
CONFLICT_STEP: Final = "See which with `localguard policy explain`, and let one of them match only."

_NO_POLICY: Final = (
    "No policy is loaded, so nothing is allowed.",
    "Restart the guard, or check its home directory with `localguard doctor`.",
)
_MORE_LIKE: Final = {
    "workspaces": "in another workspace",
    "sensitivity": "for work of another sensitivity",
    "tasks": "for another task (`localguard task set`, or `run --task`)",
    "endpoints": "at another endpoint",
    "classes": "at an endpoint of another class",
    "models": "with another model",
    "identities": "with another identity's key",
    "agents": "with another agent",
    "tools": "with other tools",
    "findings": "with other findings",
    "attachments": "with other attachments",
    "times": "at another time",
}
"""How the fields of `when` are told to somebody whose request missed in one of them."""


def of(
    effect: Effect, deciding: Sequence[RuleRef], work: Work, nearly: Sequence[tuple[RuleRef, str]]
) -> tuple[str, str]:
    """Return reason and next step of a decision; the step is empty where everything is allowed."""
    target = f"endpoint {work.endpoint} ({work.endpoint_class})"
    place = f"workspace {work.workspace or 'unknown'} ({work.sensitivity})"
    if not deciding:
        return _NO_POLICY
    first = next((ref for ref in deciding if ref.id != "default"), None)
    if first is None:
        return _by_default(effect, deciding[0], place, target, nearly)
    said = (
        first.reason
        or {
            Effect.ALLOW: f"The {first.layer} policy allows {place} to use {target}.",
            Effect.ASK: f"The {first.layer} policy wants to be asked before {place} uses {target}.",
            Effect.DENY: f"The {first.layer} policy does not allow {place} to use {target}.",
        }[effect]
    )
    if effect is Effect.ALLOW:
        return said, ""
    if first.id == "policy-expired":
        return said, "Ask whoever keeps your organisation's policy for a new one."
    reason = f"{said} Rule: {_list(deciding)}."
    if effect is Effect.ASK:
        return reason, "This request needs an approval before it can be sent."
    return reason, f"Use another endpoint, model or workspace that the policy allows, or {_owner(first)}."


def blocked(deciding: Sequence[RuleRef], data_class: str) -> tuple[str, str]:
    """Return reason and next step where a rule blocks requests that hold data of a class."""
    said = next((ref.reason for ref in deciding if ref.reason), "")
    return (
        f"{said + ' ' if said else ''}The request holds data of class {data_class}, and policy blocks such requests here. "
        f"Rule: {_list(deciding)}.",
        "Take the data out, or use an endpoint that may have it.",
    )


def task_required(deciding: Sequence[RuleRef]) -> tuple[str, str]:
    """Return reason and next step where a rule wants to know the task and none was declared."""
    said = next((ref.reason for ref in deciding if ref.reason), "")
    said = f"{said} " if said else ""
    return (
        f"{said}This work needs a task category, and none is declared. Rule: {_list(deciding)}.",
        "Say what it is for with `localguard task set TASK`, or start the agent with `localguard run --task TASK`.",
    )


def input_too_long(deciding: Sequence[RuleRef], tokens: int, limit: int) -> tuple[str, str]:
    """Return reason and next step where a request holds more than a rule lets through."""
    return (
        f"The request has about {tokens} tokens, and policy allows {limit} here. Rule: {_list(deciding)}.",
        "Begin a new conversation, have the agent compact this one, or use another endpoint or model.",
    )


def place_of(ref: RuleRef) -> str:
    """Return where a rule stands: file and line, or the policy's name."""
    return f"{ref.file}:{ref.line}" if ref.line else ref.file or f"the {ref.layer} policy"


def _by_default(
    effect: Effect, layer: RuleRef, place: str, target: str, nearly: Sequence[tuple[RuleRef, str]]
) -> tuple[str, str]:
    if effect is Effect.ALLOW:
        return f"No rule of the {layer.layer} policy matches; its default allows {place} to use {target}.", ""
    verb = "allows" if effect is Effect.DENY else "decides for"
    reason = f"No rule of the {layer.layer} policy {verb} {place} to use {target} with this model."
    if nearly:
        ref, field = nearly[0]
        reason += f" Rule {ref.id} ({place_of(ref)}) would allow it {_MORE_LIKE[field]}."
    if effect is Effect.ASK:
        return reason, "This request needs an approval before it can be sent."
    return reason, f"Choose an endpoint and model that the policy allows, or add an allow rule to {place_of(layer)}."


def _list(refs: Sequence[RuleRef]) -> str:
    return ", ".join(f"{ref.id} ({place_of(ref)})" for ref in refs)


def _owner(ref: RuleRef) -> str:
    return {
        "organisation": "ask whoever keeps your organisation's policy",
        "user": f"change the rule in {ref.file}",
        "repository": f"ask the maintainers of this repository about {ref.file}",
    }.get(ref.layer, f"change the rule in {ref.file}")
