"""What a caller of the control API gave wrong is said by name, in words, and without the value."""

from typing import Any

import msgspec
import pytest

from localguard.proxy.control_models import (
    AnswerBody,
    CommandBody,
    ExchangesQuery,
    ExperimentBody,
    NothingBody,
    OutcomeBody,
    PauseBody,
)
from localguard.proxy.misfit import told

RESULT = {"session": "s", "workflow": "w", "result": "accepted"}


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (AnswerBody, {"allow": True, "scope": "ever"}, "scope is none of once, session, hour, task."),
        (AnswerBody, {"allow": "yes"}, "allow must be true or false."),
        (AnswerBody, {}, "allow is missing."),
        (AnswerBody, {"alow": True}, "Nothing is called alow here. Known are: allow, scope, why."),
        (NothingBody, {"x": 1}, "Nothing is called x here. Known are: none."),
        (PauseBody, {"minutes": 0, "reason": "x"}, "minutes must be a whole number >= 1."),
        (OutcomeBody, {**RESULT, "result": "fine"}, "result is none of accepted, rejected, reworked."),
        (OutcomeBody, {**RESULT, "commits": [1]}, "commits must be an object or null."),
        (
            ExperimentBody,
            {"hours": 1, "reason": "x", "limit_usd": "NaN"},
            "limit_usd must be an amount above 0, like 2.50.",
        ),
        (CommandBody, {"argv": []}, "argv must be a list with a length >= 1."),
        (CommandBody, {"argv": [1]}, "argv[0] must be a text."),
    ],
)
def test_a_misfit_is_told(model: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(given, model)
    assert told(caught.value, model) == said


def test_a_value_is_not_repeated() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"limit": "a-value"}, ExchangesQuery, strict=False)
    assert "a-value" not in told(caught.value, ExchangesQuery)
