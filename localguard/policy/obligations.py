"""What must be done when a request goes out: the votes of rules, united within a layer and over the layers.

Of all votes the strictest wins. An obligation that nobody names casts no vote. The top-most layer that is present fixes
each obligation, by its votes or, where it casts none, by the defaults; what lies below can only tighten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final, TypeVar

from localguard.errors import LocalguardError
from localguard.policy.model import LayerName, Obligation, Recording, Redact, Restore, Restoring, Route, Rule

O = TypeVar("O", Obligation, Restoring, Recording)  # noqa: E741 - an obligation of some kind


@dataclass(frozen=True, slots=True)
class Obligations:
    """What must be done; where nobody votes, as written here (design section 6)."""

    secret: Obligation = Obligation.REDACT
    pii: Obligation = Obligation.REDACT
    custom: Obligation = Obligation.REDACT
    attachments: Obligation = Obligation.ALLOW
    restore_secret: Restoring = Restoring.RESTORE
    restore_pii: Restoring = Restoring.RESTORE
    restore_custom: Restoring = Restoring.RESTORE
    record: Recording = Recording.FINDINGS
    max_input_tokens: int | None = None
    require_task: bool = False
    route: Route | None = None

    @property
    def kept(self) -> frozenset[str]:
        """The data classes whose placeholders stay in replies."""
        found = (("secret", self.restore_secret), ("pii", self.restore_pii), ("custom", self.restore_custom))
        return frozenset(name for name, restoring in found if restoring is Restoring.KEEP)

    @property
    def asks(self) -> bool:
        """Whether a person is asked about secrets that a reply's tool calls would not be given."""
        return self.restore_secret is Restoring.ASK


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of all rules of one layer that matched."""

    redact: Redact
    restore: Restore
    record: Recording | None
    max_input_tokens: int | None
    require_task: bool
    routes: frozenset[Route]


NO_VOTES: Final = Votes(Redact(), Restore(), None, None, False, frozenset())


class RoutesConflict(LocalguardError):
    """Two rules of the same layer route one request to different endpoints, or under different names."""


def votes_of(rule: Rule) -> Votes:
    """Return what one rule votes for; `NO_VOTES` itself where it names no obligation."""
    routes = frozenset((rule.route,)) if rule.route is not None else frozenset[Route]()
    votes = Votes(rule.redact, rule.restore, rule.record, rule.max_input_tokens, rule.require_task, routes)
    return NO_VOTES if votes == NO_VOTES else votes


def both(first: Votes, second: Votes) -> Votes:
    """Return the strictest of two on each obligation."""
    return Votes(
        Redact(
            strictest(first.redact.secret, second.redact.secret),
            strictest(first.redact.pii, second.redact.pii),
            strictest(first.redact.custom, second.redact.custom),
            strictest(first.redact.attachments, second.redact.attachments),
        ),
        Restore(
            strictest(first.restore.secret, second.restore.secret),
            strictest(first.restore.pii, second.restore.pii),
            strictest(first.restore.custom, second.restore.custom),
        ),
        strictest(first.record, second.record),
        _smallest(first.max_input_tokens, second.max_input_tokens),
        first.require_task or second.require_task,
        first.routes | second.routes,
    )


def strictest(first: O | None, second: O | None) -> O | None:
    """Return the stricter of two votes; None is no vote."""
    if first is None or second is None:
        return first or second
    return max(first, second)


def united(votes: Sequence[tuple[LayerName, Votes]]) -> Obligations:
    """Return the obligations that the votes of several layers come to. Raises RoutesConflict."""
    if all(each is NO_VOTES for _, each in votes):
        return _DEFAULTS
    ordered = sorted(votes, key=lambda vote: vote[0].rank)
    top = reduce(both, [each for name, each in ordered if name is ordered[0][0]])
    whole = reduce(both, [each for _, each in ordered])
    return Obligations(
        secret=_bound(top.redact.secret, whole.redact.secret, _DEFAULTS.secret),
        pii=_bound(top.redact.pii, whole.redact.pii, _DEFAULTS.pii),
        custom=_bound(top.redact.custom, whole.redact.custom, _DEFAULTS.custom),
        attachments=_bound(top.redact.attachments, whole.redact.attachments, _DEFAULTS.attachments),
        restore_secret=_bound(top.restore.secret, whole.restore.secret, _DEFAULTS.restore_secret),
        restore_pii=_bound(top.restore.pii, whole.restore.pii, _DEFAULTS.restore_pii),
        restore_custom=_bound(top.restore.custom, whole.restore.custom, _DEFAULTS.restore_custom),
        record=_bound(top.record, whole.record, _DEFAULTS.record),
        max_input_tokens=whole.max_input_tokens,
        require_task=whole.require_task,
        route=_route(ordered),
    )


def strictest_of(first: Obligations, second: Obligations) -> Obligations:
    """Return what binds where both do. Raises RoutesConflict where they lead to different endpoints."""
    if first.route != second.route:
        named = [one.route.endpoint if one.route is not None else "none" for one in (first, second)]
        raise RoutesConflict(", ".join(sorted(named)))
    return Obligations(
        secret=max(first.secret, second.secret),
        pii=max(first.pii, second.pii),
        custom=max(first.custom, second.custom),
        attachments=max(first.attachments, second.attachments),
        restore_secret=max(first.restore_secret, second.restore_secret),
        restore_pii=max(first.restore_pii, second.restore_pii),
        restore_custom=max(first.restore_custom, second.restore_custom),
        record=max(first.record, second.record),
        max_input_tokens=_smallest(first.max_input_tokens, second.max_input_tokens),
        require_task=first.require_task or second.require_task,
        route=first.route,
    )


_DEFAULTS: Final = Obligations()


def _bound(top: O | None, whole: O | None, default: O) -> O:
    """What the top-most layer says, or the default for its silence, tightened by what the others say."""
    start = default if top is None else top
    return start if whole is None else max(start, whole)


def _route(ordered: Sequence[tuple[LayerName, Votes]]) -> Route | None:
    """The route of the top-most layer that has one. A repository has none: it would choose where others' work goes."""
    for name in (LayerName.ORGANISATION, LayerName.USER):
        routes = {route for layer, votes in ordered if layer is name for route in votes.routes}
        if len(routes) > 1:
            raise RoutesConflict(", ".join(sorted(route.endpoint for route in routes)))
        if routes:
            return routes.pop()
    return None


def _smallest(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)
