"""Waiting grows, is spread, and never undercuts what the sink asks for."""

from hypothesis import given
from hypothesis import strategies as st

from localguard.sync.backoff import CEILING, delay


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 3600))
def test_a_delay_is_bounded_and_never_below_what_was_asked(failures: int, share: float, asked: float) -> None:
    waited = delay(failures, share, asked)
    assert asked <= waited <= max(asked, CEILING)
    assert waited > 0


def test_the_ceiling_doubles() -> None:
    assert [delay(n, 1.0) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
