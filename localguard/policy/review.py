"""What is wrong with a policy that is valid: rules that never decide anything, endpoints and workspaces that no rule is about.

Remarks, not errors: each may be meant. Pure. Whether one glob covers another is tried on spellings, so a remark can be missing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

from localguard.policy.layers import effective_endpoints
from localguard.policy.matching import glob_matches, glob_pattern
from localguard.policy.model import Effect, Endpoint, EndpointClass, Layer, LayerName, Rule, When
from localguard.policy.obligations import NO_VOTES, votes_of

_STARS = ("", "x", "Some/thing-longer.than:most")
"""What stands in for the `*` of a glob when it is tried against another."""
_ANYTHING_IS_SOMETHING = ("tasks", "agents", "tools", "findings", "attachments")
"""Fields in which a glob that matches everything asks for something that may be absent."""


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """One thing to look at. `line` is 0 where there is none."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


def review(layer: Layer, above: Sequence[Layer] = (), *, speaks_alike: Callable[[str, str], bool]) -> list[Remark]:
    """Return remarks about one layer, in line order; `above` are layers that stand over it.

    `speaks_alike` says whether two kinds of endpoint have a wire format in common.
    """
    endpoints = effective_endpoints([*above, layer])
    remarks = [
        *_shadowed(layer),
        *_unreachable(layer, endpoints),
        *_without_rule(layer),
        *_workspaces(layer),
        *_hidden(layer, above),
        *_routes(layer, endpoints, speaks_alike),
        *_globs(layer),
    ]
    return sorted(set(remarks))


def _shadowed(layer: Layer) -> Iterator[Remark]:
    for rule in layer.rules:
        if not rule.line:
            continue  # the guard's own
        for other in layer.rules:
            if other is rule or not _covers(other.when, rule.when):
                continue
            if other.effect > rule.effect:
                yield Remark(
                    rule.file,
                    rule.line,
                    f"rule {rule.id} never decides: {other.id} (line {other.line}) {other.effect}s all that it is about.",
                )
                break
            same = other.effect is rule.effect and votes_of(rule) == NO_VOTES
            if same and (not _covers(rule.when, other.when) or layer.rules.index(other) < layer.rules.index(rule)):
                yield Remark(
                    rule.file,
                    rule.line,
                    f"rule {rule.id} adds nothing: {other.id} (line {other.line}) says the same of more.",
                )
                break


def _unreachable(layer: Layer, endpoints: dict[str, Endpoint]) -> Iterator[Remark]:
    """Rules whose condition nothing that is configured meets."""
    if layer.name is LayerName.REPOSITORY:
        return
    classes = {str(endpoint.endpoint_class) for endpoint in endpoints.values()} | {str(EndpointClass.HOSTED)}
    identities = {endpoint.identity for endpoint in endpoints.values()}
    names = [workspace.name for workspace in layer.workspaces]
    for rule in layer.rules:
        if not rule.line:
            continue
        when = rule.when
        if when.endpoints is not None and not any(glob_matches(when.endpoints, name) for name in endpoints):
            yield _never(rule, "no endpoint has such a name")
        if when.classes is not None and rule.effect is Effect.ALLOW and not classes & set(when.classes):
            yield _never(rule, "no endpoint is of such a class")
        if when.identities is not None and rule.effect is Effect.ALLOW and not identities & set(when.identities):
            yield _never(rule, "no endpoint's key is of such an identity")
        literal = [one for one in when.workspaces or () if not set("*?/") & set(one) and one != "unattributed"]
        for one in literal:
            if layer.name is LayerName.USER and not any(glob_matches([one], name) for name in names):
                yield Remark(
                    rule.file, rule.line, f"rule {rule.id} names workspace {one}, which is not configured here."
                )


def _never(rule: Rule, why: str) -> Remark:
    return Remark(rule.file, rule.line, f"rule {rule.id} matches nothing: {why}.")


def _without_rule(layer: Layer) -> Iterator[Remark]:
    if layer.default is Effect.ALLOW or layer.name is LayerName.REPOSITORY:
        return
    open_rules = [rule for rule in layer.rules if rule.effect is not Effect.DENY]
    for endpoint in layer.endpoints:
        allowed = [
            rule
            for rule in open_rules
            if (rule.when.endpoints is None or glob_matches(rule.when.endpoints, endpoint.name))
            and (rule.when.classes is None or str(endpoint.endpoint_class) in rule.when.classes)
            and (rule.when.identities is None or endpoint.identity in rule.when.identities)
        ]
        if endpoint.line and not allowed:
            yield Remark(
                endpoint.file, endpoint.line, f"endpoint {endpoint.name} can never be used: no rule allows it."
            )


def _workspaces(layer: Layer) -> Iterator[Remark]:
    open_rules = [rule for rule in layer.rules if rule.effect is not Effect.DENY]
    for position, workspace in enumerate(layer.workspaces):
        allowed = any(
            (rule.when.workspaces is None or glob_matches(rule.when.workspaces, workspace.name))
            and (rule.when.sensitivity is None or str(workspace.sensitivity) in rule.when.sensitivity)
            for rule in open_rules
        )
        if not allowed and layer.default is not Effect.ALLOW and layer.name is not LayerName.REPOSITORY:
            yield Remark(workspace.file, workspace.line, f"no rule allows anything in workspace {workspace.name}.")
        for earlier in layer.workspaces[:position]:
            remotes = all(_globs_cover(earlier.remotes, glob) for glob in workspace.remotes)
            paths = all(_globs_cover(earlier.paths, glob) for glob in workspace.paths)
            if remotes and paths and (workspace.remotes or workspace.paths) and not workspace.markers:
                yield Remark(
                    workspace.file,
                    workspace.line,
                    f"workspace {workspace.name} never names work: {earlier.name} (line {earlier.line}) matches all of it first.",
                )
                break
        if workspace.markers and workspace.sensitivity < "internal":
            yield Remark(
                workspace.file,
                workspace.line,
                f"workspace {workspace.name} is public by a marker file, which anybody can add; it counts as internal "
                "unless a remote or a path matches too.",
            )


def _hidden(layer: Layer, above: Sequence[Layer]) -> Iterator[Remark]:
    """Endpoints that another one stands in for, or that reach the same address under another class."""
    theirs = {endpoint.name: endpoint for one in above for endpoint in one.endpoints}
    for endpoint in layer.endpoints:
        if not endpoint.line:
            continue
        if endpoint.name in theirs:
            yield Remark(
                endpoint.file, endpoint.line, f"endpoint {endpoint.name} is hidden by the one of the policy above it."
            )
        for other in (*theirs.values(), *layer.endpoints):
            same = other.base_url == endpoint.base_url and other.name != endpoint.name
            if same and other.endpoint_class is not endpoint.endpoint_class:
                yield Remark(
                    endpoint.file,
                    endpoint.line,
                    f"endpoint {endpoint.name} is {endpoint.endpoint_class} and leads where {other.name} leads, "
                    f"which is {other.endpoint_class}.",
                )


def _routes(layer: Layer, endpoints: dict[str, Endpoint], speaks_alike: Callable[[str, str], bool]) -> Iterator[Remark]:
    for rule in layer.rules:
        if rule.route is None:
            continue
        target = endpoints.get(rule.route.endpoint)
        if target is None:
            yield Remark(rule.file, rule.line, f"rule {rule.id} routes to {rule.route.endpoint}, which is no endpoint.")
            continue
        if target.keyring_name is None and target.own_class is not EndpointClass.LOCAL:
            yield Remark(
                rule.file,
                rule.line,
                f"rule {rule.id} routes to {target.name}, which has no key of the guard's own: requests would be refused. "
                'Give the endpoint credential = "keyring:NAME".',
            )
        sources = [
            endpoint
            for endpoint in endpoints.values()
            if endpoint.name != target.name
            and (rule.when.endpoints is None or glob_matches(rule.when.endpoints, endpoint.name))
            and (rule.when.classes is None or str(endpoint.endpoint_class) in rule.when.classes)
        ]
        for source in sources if rule.when.endpoints is not None else ():
            if not speaks_alike(source.kind, target.kind):
                yield Remark(
                    rule.file,
                    rule.line,
                    f"rule {rule.id} routes from {source.name} to {target.name}, which speak no wire format in common.",
                )


def _globs(layer: Layer) -> Iterator[Remark]:
    for rule in layer.rules:
        for field in fields(When):
            entries = getattr(rule.when, field.name)
            if entries is None or field.name in (
                *_ANYTHING_IS_SOMETHING,
                "times",
                "sensitivity",
                "classes",
                "identities",
            ):
                continue
            if any(not set(str(entry)) - {"*"} for entry in entries):
                yield Remark(rule.file, rule.line, f"{field.name} of rule {rule.id} matches everything: leave it out.")
    for workspace in layer.workspaces:
        if any(not set(glob) - {"*"} for glob in workspace.remotes):
            yield Remark(workspace.file, workspace.line, f"workspace {workspace.name} matches every repository.")
        if any(glob.rstrip("/") in ("", "*", "~", "~/*", "/*") for glob in workspace.paths):
            yield Remark(
                workspace.file,
                workspace.line,
                f"workspace {workspace.name} matches every directory, or the whole home.",
            )


def _covers(wider: When, narrower: When) -> bool:
    """Whether all that meets `narrower` meets `wider` too, as far as can be told."""
    for field in fields(When):
        wide, narrow = getattr(wider, field.name), getattr(narrower, field.name)
        if wide is None:
            continue
        if narrow is None:
            return False
        if field.name == "times":
            if not set(narrow) <= set(wide):
                return False
        elif not all(_globs_cover(wide, one) for one in narrow):
            return False
    return True


def _globs_cover(wide: Sequence[str], narrow: str) -> bool:
    spellings = [narrow.replace("*", star).replace("?", "q") for star in _STARS]
    return any(all(glob_pattern(glob).fullmatch(one) for one in spellings) for glob in wide)
