"""What the developer switched off by hand: everything but local endpoints, or single endpoints. It can only tighten."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from localguard.policy.model import EndpointClass


class RouteMode(StrEnum):
    """Which endpoints may be used at all."""

    POLICY = "policy"
    """Those that policy allows."""
    LOCAL = "local"
    """Of those only the ones that compute on this machine."""


@dataclass(frozen=True, slots=True)
class Routes:
    """The switches as they stand."""

    mode: RouteMode = RouteMode.POLICY
    off: frozenset[str] = frozenset()
    """Names of endpoints that are switched off."""

    def with_mode(self, mode: RouteMode) -> "Routes":
        """The same with another mode."""
        return Routes(mode, self.off)

    def with_endpoint(self, name: str, *, on: bool) -> "Routes":
        """The same with one endpoint on or off."""
        return Routes(self.mode, self.off - {name} if on else self.off | {name})

    def objection(self, endpoint: str, endpoint_class: EndpointClass) -> tuple[str, str] | None:
        """Why an endpoint may not be used now, and how that is undone; None where no switch says so."""
        if endpoint in self.off:
            return (
                f"Endpoint {endpoint} is switched off.",
                f"Run `localguard route set {endpoint} on`, or use another endpoint.",
            )
        if self.mode is RouteMode.LOCAL and endpoint_class is not EndpointClass.LOCAL:
            return (
                f"Only local endpoints are switched on, and {endpoint} is {endpoint_class}.",
                "Run `localguard route set policy`, or use a local endpoint.",
            )
        return None


def routes_of(mode: object, off: Iterable[object]) -> Routes:
    """Read the two members of a stored document. Raises ValueError for anything else than words."""
    names = list(off)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("the names of endpoints are texts")
    return Routes(RouteMode(str(mode)), frozenset(map(str, names)))
