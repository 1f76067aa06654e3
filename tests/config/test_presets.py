"""How often a person is asked under the policy that one developer begins with."""

from localguard.config.policy_parser import parse_policy
from localguard.config.presets import preset
from localguard.policy.approvals import Answer, Approvals, Question, Scope, Subject
from localguard.policy.decide import decide
from localguard.policy.layers import effective_endpoints
from localguard.policy.model import Effect, EndpointClass, LayerName, Sensitivity, Work

DAY = 8 * 3600
"""Seconds."""


def asked(session: str, endpoint: str, group: EndpointClass, model: str, approvals: Approvals, now: float) -> bool:
    """Send one request of a session; whoever is asked says yes for the session. Whether somebody was asked."""
    layer = parse_policy(preset("solo").text.encode(), "solo.toml", LayerName.USER)
    decision = decide([layer], Work("shop", Sensitivity.INTERNAL, None, endpoint, group, model))
    assert decision.effect is not Effect.DENY
    if decision.effect is Effect.ALLOW:
        return False
    rules = tuple(rule.id for rule in decision.deciding)
    subject = Subject("shop", endpoint, model, rules, layer.digest, session, None, f"{now}".encode())
    if approvals.granted(subject, now) is not None:
        return False
    approvals.ask(Question(f"x{now}", subject, now, decision.reason))
    approvals.answer(f"x{now}", Answer(True, Scope.SESSION, "dev", ""), now)
    return True


def test_a_normal_day_under_solo_asks_at_most_once_a_session() -> None:
    layer = parse_policy(preset("solo").text.encode(), "solo.toml", LayerName.USER)
    approvals = Approvals()
    everyday = 0
    for endpoint in effective_endpoints([layer]).values():
        for now in range(0, DAY, 600):
            everyday += asked("s-1", endpoint.name, endpoint.endpoint_class, "gpt-5", approvals, float(now))
    assert everyday == 0
    for session in ("s-1", "s-2"):
        trial = [
            asked(session, "trial", EndpointClass.EXPERIMENTAL, "new-1", approvals, float(now))
            for now in range(0, DAY, 60)
        ]
        assert trial.count(True) == 1
