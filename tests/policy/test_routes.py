"""Switches only tighten: an endpoint is off by name, or because it is not local."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.model import EndpointClass
from localguard.policy.routes import RouteMode, Routes, routes_of


def test_without_a_switch_nothing_is_objected_to() -> None:
    assert all(Routes().objection("openai", one) is None for one in EndpointClass)


@pytest.mark.parametrize("one", EndpointClass)
def test_local_only_leaves_local_endpoints_on(one: EndpointClass) -> None:
    objection = Routes(RouteMode.LOCAL).objection("openai", one)
    assert (objection is None) is (one is EndpointClass.LOCAL)


def test_an_endpoint_that_is_off_stays_off_in_every_mode() -> None:
    for mode in RouteMode:
        said = Routes(mode).with_endpoint("ollama", on=False).objection("ollama", EndpointClass.LOCAL)
        assert said is not None
        assert "localguard route set ollama on" in said[1]


@given(st.sampled_from(RouteMode), st.sets(st.text(min_size=1)), st.text(min_size=1))
def test_on_undoes_off(mode: RouteMode, off: set[str], name: str) -> None:
    routes = Routes(mode, frozenset(off) - {name})
    assert routes.with_endpoint(name, on=False).with_endpoint(name, on=True) == routes


@pytest.mark.parametrize(("mode", "off"), [("open", []), ("policy", [1]), (None, [])])
def test_what_is_no_word_is_an_error(mode: object, off: list[object]) -> None:
    with pytest.raises(ValueError):
        routes_of(mode, off)
