"""Who counts as the approver of a session beside whoever ran `session approve`: only as far as every policy lets them."""

from collections.abc import Sequence
from dataclasses import dataclass

from localguard.policy.matching import glob_matches
from localguard.policy.model import Layer


@dataclass(frozen=True, slots=True)
class Approvers:
    """Whom git's word makes an approver: the authors of a session's commits, and those who merged them."""

    commit_author: bool = False
    merge: bool = False
    branches: tuple[tuple[str, ...], ...] = ()
    """Globs of the branches on which a merge counts: one of each list has to match."""

    def on(self, branch: str) -> bool:
        """Whether a merge into this branch counts."""
        return self.merge and all(glob_matches(globs, branch) for globs in self.branches)


def approvers_of(layers: Sequence[Layer]) -> Approvers:
    """Return what `layers` say together: the top-most one has to say so, those below it can only take away."""
    ordered = sorted(layers, key=lambda layer: layer.name.rank)
    if not ordered or ordered[0].approval is None:
        return Approvers()
    said = [layer.approval for layer in ordered if layer.approval is not None]
    return Approvers(
        commit_author=all(one.commit_author for one in said),
        merge=all(one.merge for one in said),
        branches=tuple(one.branches for one in said),
    )
