"""Hypothesis strategies for layers and work over a small world, so that rules meet often."""

from hypothesis import strategies as st

from localguard.policy.model import (
    Effect,
    EndpointClass,
    Layer,
    LayerName,
    Obligation,
    Redact,
    Rule,
    Sensitivity,
    When,
    Work,
)

NAMES = ("alpha", "beta", "gamma-mini", "Delta/mini-2")
GLOBS = (*NAMES, "*", "*mini*", "al?ha", "GAMMA*", "delta/*", "nothing")


def _maybe(entries: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(entries, min_size=1, max_size=2).map(tuple)


_globs = _maybe(st.sampled_from(GLOBS))
whens = st.builds(
    When,
    workspaces=_globs,
    sensitivity=_maybe(st.sampled_from([word.value for word in Sensitivity])),
    tasks=_globs,
    endpoints=_globs,
    classes=_maybe(st.sampled_from([word.value for word in EndpointClass])),
    models=_globs,
    identities=_maybe(st.sampled_from(("personal", "team"))),
    agents=_globs,
    tools=_globs,
    findings=_globs,
    attachments=_globs,
)
sparse_whens = whens.flatmap(
    lambda when: st.sampled_from(("workspaces", "models", "classes", "findings", "tasks", "identities")).map(
        lambda kept: When(**{kept: getattr(when, kept)})
    )
)
_votes = st.none() | st.sampled_from(list(Obligation))
redacts = st.builds(Redact, secret=_votes, pii=_votes, custom=_votes, attachments=_votes)
rules = st.builds(
    Rule,
    id=st.sampled_from(("a", "b", "c", "d")),
    effect=st.sampled_from(list(Effect)),
    when=st.one_of(st.just(When()), sparse_whens, sparse_whens, whens),
    redact=redacts,
)


def layers(name: LayerName) -> st.SearchStrategy[Layer]:
    """Layers of one name with any default and up to five rules."""
    return st.builds(
        Layer,
        name=st.just(name),
        default=st.sampled_from(list(Effect)),
        rules=st.lists(rules, max_size=5).map(tuple),
    )


_names = st.sampled_from(NAMES)
_sets = st.frozensets(_names, max_size=2)
works = st.builds(
    Work,
    workspace=st.none() | _names,
    sensitivity=st.sampled_from(list(Sensitivity)),
    task=st.none() | _names,
    endpoint=_names,
    endpoint_class=st.sampled_from(list(EndpointClass)),
    model=st.none() | _names,
    identity=st.none() | st.sampled_from(("personal", "team", "service")),
    agent=st.none() | _names,
    tools=_sets,
    findings=_sets,
    attachments=_sets,
)
