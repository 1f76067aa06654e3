"""Work as people describe it: for `[[tests]]` of a policy, and to ask what policy says of something. Pure.

What is not given is not known: no allow rule about it matches, and every deny or ask rule does. Class and identity are the
endpoint's, the sensitivity the workspace's, unless they are given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from localguard.errors import LocalguardError
from localguard.policy.decide import Decision, decide
from localguard.policy.layers import effective_endpoints
from localguard.policy.model import UNATTRIBUTED, EndpointClass, Layer, LayerName, PolicyTest, Sensitivity, Work

Given = Mapping[str, str | int | datetime | tuple[str, ...]]


class GivenUnknown(LocalguardError):
    """Something is described by a name that the policy does not know; `field` says which, `valid` what it knows."""

    def __init__(self, field: str, name: str, valid: Sequence[str]) -> None:
        super().__init__(f"The policy knows no {field} called {name}.")
        self.field = field
        self.name = name
        self.valid = tuple(valid)


@dataclass(frozen=True, slots=True)
class TestResult:
    """What came of one `[[tests]]` table; `failures` is empty where it passed."""

    __test__ = False  # no test class of the project's own suite

    test: PolicyTest
    decision: Decision | None
    failures: tuple[str, ...]


def work_of(given: Given, layers: Sequence[Layer]) -> Work:
    """Return the work that is described. Raises GivenUnknown.

    A workspace that no layer configures is one only if it looks like a repository (`host/owner/repo`).
    """
    endpoints = effective_endpoints(layers)
    name = _text(given, "endpoint")
    endpoint = endpoints.get(name or "")
    if name is not None and endpoint is None:
        raise GivenUnknown("endpoint", name, sorted(endpoints))
    own_class = _text(given, "class")
    return Work(
        workspace=_text(given, "workspace"),
        sensitivity=_sensitivity(given, layers),
        task=_text(given, "task"),
        endpoint=name or "",
        endpoint_class=EndpointClass(own_class or (endpoint.endpoint_class if endpoint else EndpointClass.HOSTED)),
        model=_text(given, "model"),
        identity=_text(given, "identity") or (endpoint.identity if endpoint else None),
        agent=_text(given, "agent"),
        tools=_texts(given, "tools"),
        findings=_texts(given, "findings"),
        attachments=_texts(given, "attachments"),
        time=_moment(given),
        input_tokens=_number(given),
    )


def with_organisation(work: Work, layers: Sequence[Layer]) -> Work:
    """Return the work as the guard asks about it: the organisation's layer goes by its own endpoints only."""
    above = [layer for layer in layers if layer.name is LayerName.ORGANISATION]
    endpoint = effective_endpoints(layers).get(work.endpoint)
    if endpoint is None or not above or any(endpoint in layer.endpoints for layer in above):
        return work
    return replace(work, to_organisation=replace(work, endpoint_class=endpoint.own_class, identity=None))


def run_tests(layer: Layer) -> tuple[TestResult, ...]:
    """Return what comes of a layer's own tests, evaluated on its own. An expiry counts where the test says a time."""
    return tuple(_run(layer, test) for test in layer.tests)


def _run(layer: Layer, test: PolicyTest) -> TestResult:
    try:
        work = work_of(test.given, [layer])
    except GivenUnknown as unknown:
        return TestResult(test, None, (str(unknown),))
    if work.time is None:
        layer = replace(layer, expires=None)
    decision = decide([layer], work)
    failures: list[str] = []
    if decision.effect is not test.effect:
        failures.append(f"expected {test.effect}, but it is {decision.effect}: {decision.reason}")
    names = [ref.id for ref in decision.deciding]
    if test.rule is not None and test.rule not in names:
        failures.append(f"expected rule {test.rule} to decide, but {', '.join(names) or 'none'} did")
    route = decision.obligations.route
    if test.route is not None and (route is None or route.endpoint != test.route):
        failures.append(
            f"expected a route to {test.route}, but {f'it is {route.endpoint}' if route else 'there is none'}"
        )
    for field in ("secret", "pii", "custom", "attachments"):
        wanted, found = getattr(test.redact, field), getattr(decision.obligations, field)
        if wanted is not None and wanted is not found:
            failures.append(f"expected {field} = {wanted}, but it is {found}")
    return TestResult(test, decision, tuple(failures))


def _sensitivity(given: Given, layers: Sequence[Layer]) -> Sensitivity:
    named = _text(given, "sensitivity")
    if named is not None:
        return Sensitivity(named)
    workspace = _text(given, "workspace")
    rules = [rule for layer in layers if layer.name is not LayerName.REPOSITORY for rule in layer.workspaces]
    own = [rule.sensitivity for rule in rules if rule.name == workspace]
    if own:
        return max(own)
    if workspace is None or workspace == UNATTRIBUTED:
        return max((rule.sensitivity for rule in rules), default=Sensitivity.INTERNAL)
    if "/" not in workspace:
        raise GivenUnknown("workspace", workspace, [rule.name for rule in rules])
    return Sensitivity.INTERNAL


def _text(given: Given, key: str) -> str | None:
    value = given.get(key)
    return value if isinstance(value, str) else None


def _texts(given: Given, key: str) -> frozenset[str]:
    value = given.get(key)
    return frozenset(value) if isinstance(value, tuple) else frozenset()


def _moment(given: Given) -> datetime | None:
    value = given.get("time")
    return value if isinstance(value, datetime) else None


def _number(given: Given) -> int | None:
    value = given.get("input_tokens")
    return value if isinstance(value, int) else None
