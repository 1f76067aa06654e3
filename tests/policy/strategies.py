"""Hypothesis strategies for layers and work over a small world, so that rules meet often."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from localguard.policy.model import (
    Effect,
    EndpointClass,
    KnownModel,
    Layer,
    LayerName,
    Obligation,
    Recording,
    Redact,
    Restore,
    Restoring,
    Route,
    Rule,
    Sensitivity,
    When,
    Work,
)
from localguard.policy.times import TimeWindow

NAMES = ("alpha", "beta", "gamma-mini", "Delta/mini-2")
ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"))
GLOBS = (*NAMES, "*", "*mini*", "al?ha", "GAMMA*", "delta/*", "nothing")


def _maybe(entries: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(entries, min_size=1, max_size=2).map(tuple)


_globs = _maybe(st.sampled_from(GLOBS))
windows = st.builds(
    TimeWindow,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 23).map(lambda hour: hour * 60),
    end=st.integers(1, 24).map(lambda hour: hour * 60 - 1),
    zone=st.sampled_from(ZONES),
    text=st.just("generated"),
)
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
    times=st.none() | st.lists(windows, min_size=1, max_size=2).map(tuple),
)
sparse_whens = whens.flatmap(
    lambda when: st.sampled_from(("workspaces", "models", "classes", "findings", "tasks", "identities", "times")).map(
        lambda kept: When(**{kept: getattr(when, kept)})
    )
)
_votes = st.none() | st.sampled_from(list(Obligation))
redacts = st.builds(Redact, secret=_votes, pii=_votes, custom=_votes, attachments=_votes)
_restoring = st.none() | st.sampled_from(list(Restoring))
restores = st.builds(Restore, secret=_restoring, pii=_restoring, custom=_restoring)
routes = st.builds(Route, endpoint=st.sampled_from(NAMES), models=st.just(()))
rules = st.builds(
    Rule,
    id=st.sampled_from(("a", "b", "c", "d")),
    effect=st.sampled_from(list(Effect)),
    when=st.one_of(st.just(When()), sparse_whens, sparse_whens, whens),
    redact=redacts,
    restore=restores,
    record=st.none() | st.sampled_from(list(Recording)),
    max_input_tokens=st.none() | st.sampled_from((10, 1000)),
    require_task=st.booleans(),
)
models = st.builds(
    KnownModel, name=st.sampled_from(NAMES), aliases=st.lists(st.sampled_from(GLOBS), max_size=2).map(tuple)
)


def layers(name: LayerName) -> st.SearchStrategy[Layer]:
    """Layers of one name with any default and up to five rules."""
    return st.builds(
        Layer,
        name=st.just(name),
        default=st.sampled_from(list(Effect)),
        rules=st.lists(rules, max_size=5).map(tuple),
        models=st.lists(models, max_size=2).map(tuple),
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
    time=st.none()
    | st.integers(0, 400 * 24 * 4).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * n)),
    input_tokens=st.none() | st.sampled_from((0, 10, 11, 5000)),
)
