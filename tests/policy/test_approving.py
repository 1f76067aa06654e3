"""Who counts as an approver: what the top-most policy lets, less what those below it take away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.approving import Approvers, approvers_of
from localguard.policy.model import Approving, Effect, Layer, LayerName

BOTH = Approving(commit_author=True, merge=True, branches=("main", "release/*"))
said = st.none() | st.builds(
    Approving,
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(["main", "*", "release/*"]), min_size=1).map(tuple),
)


def layer(name: LayerName, approval: Approving | None) -> Layer:
    return Layer(name=name, default=Effect.DENY, approval=approval)


def test_without_a_word_nobody_counts() -> None:
    assert approvers_of([]) == Approvers()
    assert approvers_of([layer(LayerName.USER, None)]) == Approvers()
    assert not Approvers().on("main")


def test_an_organisation_that_is_silent_lets_nobody_count() -> None:
    layers = [layer(LayerName.USER, BOTH), layer(LayerName.ORGANISATION, None)]
    assert approvers_of(layers) == Approvers()


def test_a_merge_counts_on_branches_that_every_policy_names() -> None:
    own = Approving(commit_author=False, merge=True, branches=("release/1.*",))
    counts = approvers_of([layer(LayerName.REPOSITORY, own), layer(LayerName.USER, BOTH)])
    assert not counts.commit_author
    assert [counts.on(branch) for branch in ("main", "release/2.0", "release/1.4")] == [False, False, True]


@given(said, said, said)
def test_what_lies_below_only_takes_away(
    organisation: Approving | None, user: Approving | None, repository: Approving | None
) -> None:
    above = layer(LayerName.ORGANISATION, organisation)
    fewer = approvers_of([above, layer(LayerName.USER, user), layer(LayerName.REPOSITORY, repository)])
    most = approvers_of([above])
    assert fewer.commit_author <= most.commit_author
    for branch in ("main", "release/1", "x"):
        assert fewer.on(branch) <= most.on(branch)


@pytest.mark.parametrize("name", list(LayerName))
def test_each_layer_alone_says_it_for_itself(name: LayerName) -> None:
    assert approvers_of([layer(name, BOTH)]).commit_author
