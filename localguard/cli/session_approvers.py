"""Whom git makes an approver of a session, as far as policy lets it count."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localguard.audit.sessions import Session
    from localguard.config.home import Home


def add_standing(home: "Home", session: "Session") -> None:
    """Add the authors of a session's commits, and who merged them, to its approvals, where every policy counts them.

    They are read from the session's work trees as they are now; one that is not there any more tells nothing.
    """
    from localguard.audit.sessions import Approval
    from localguard.config.git_approvers import standing_behind
    from localguard.config.policy_files import PolicyInvalid, RepositoryPolicies, load_layers
    from localguard.policy.approving import approvers_of

    try:
        layers = load_layers(home)
    except PolicyInvalid:
        return  # what cannot be read lets nobody count
    for place in map(Path, session.roots):
        own = RepositoryPolicies().layer_for(place) if place.is_dir() else None
        counts = approvers_of(layers if own is None else (*layers, own))
        if not (counts.commit_author or counts.merge):
            continue
        for one in standing_behind(
            place, session.id, made_since=session.began, authors=counts.commit_author, merges_into=counts.on
        ):
            why = f"commit {one.commit[:12]}" + (f", into {one.branch}" if one.branch else "")
            session.approvals.append(Approval(_utc(one.time), one.event, None, why, one.identity))


def _utc(time: str) -> str:
    with suppress(ValueError):
        return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return time
