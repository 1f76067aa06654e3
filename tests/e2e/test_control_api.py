"""The control API does what its description says, whatever it is asked (Schemathesis), and describes all that it can do."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient, GuardAnswered
from tests.e2e.guard import ROOT, Guard, policy
from tests.provider.server import Provider

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]


bounded = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@pytest.fixture(scope="module")
def asked(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard of its own: what is asked of it changes it. It waits for nobody's answer."""
    home: Path = tmp_path_factory.mktemp("api") / "home"
    text = policy(running_provider.port, '[pause]\nmax_minutes = 5\n\n[[rules]]\nid = "all"\neffect = "allow"\n')
    with Guard(home, text, LOCALGUARD_ASK_SECONDS="0") as started:
        body = {"model": "stub-1", "messages": [{"role": "user", "content": "write to jane.roe@northmill.io"}]}
        headers = {"Content-Type": "application/json", "session-id": "s-1"}
        request = urllib.request.Request(
            f"{started.url}/openai/v1/chat/completions", json.dumps(body).encode(), headers
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).read()
        started.outcomes(1)
        yield started


@pytest.fixture(scope="module")
def document(asked: Guard) -> dict[str, Any]:
    return ControlClient(Home(asked.home), asked.port, timeout=10).call("GET", "/openapi.json")


@pytest.fixture(scope="module")
def described(asked: Guard, document: dict[str, Any]) -> Any:
    """The description with an exchange and a session that there are as examples; without what ends the guard or leaves it."""
    exchange = asked.records("intent")[0].exchange
    paths = dict(document["paths"])
    for path in ("/-/api/stop", "/-/events", "/-/api/sync"):
        del paths[path]
    for path, id in (("/-/api/exchanges/{id}", exchange), ("/-/api/sessions/{id}", "s-1")):
        paths[path]["get"]["parameters"][0]["example"] = id
    loaded = schemathesis.openapi.from_dict({**document, "paths": paths})
    loaded.config.update(base_url=asked.url)
    return loaded


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_call_keeps_to_its_description(described: Any, asked: Guard, mode: schemathesis.GenerationMode) -> None:
    token = (asked.home / "state" / "control.token").read_text()
    tried = 0

    def hold(case: Any) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=20)

    for operation in described.get_all_operations():
        with suppress(Unsatisfiable):  # what takes nothing cannot be given anything wrong
            cases = operation.ok().as_strategy(generation_mode=mode)
            bounded(given(case=cases)(hold))()
    assert tried > 100


def test_everything_that_the_api_can_do_is_described(document: dict[str, Any]) -> None:
    offered = set()
    for path in (ROOT / "localguard" / "proxy").glob("*.py"):
        offered |= set(re.findall(r'Call\(\s*"(GET|POST)",\s*"(/[^"]+)"', path.read_text()))
    described = {
        (method.upper(), path.removeprefix("/-/api"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert described - {("GET", "/-/events")} == offered
    for methods in document["paths"].values():
        for operation in methods.values():
            answer = next(iter(operation["responses"]["200"]["content"].values()))["schema"]
            assert answer, operation["operationId"]
            assert operation["summary"]
    assert "requestBody" in document["paths"]["/-/api/approvals/{id}"]["post"]


def test_the_description_is_for_whoever_has_the_token(asked: Guard) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        asked.get("/-/api/openapi.json")
    assert caught.value.code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/approvals/x", {"allow": "yes"}),
        ("/approvals/x", {"allow": True, "scope": "ever"}),
        ("/approvals/x", {"alow": True}),
        ("/pause", {"minutes": True, "reason": "x"}),
        ("/pause", {"minutes": 3}),
        ("/routes/openai", {"on": 1}),
        ("/routes", {"mode": "off"}),
        ("/keys/x", {"action": "burn"}),
    ],
)
def test_what_does_not_fit_the_description_is_refused(asked: Guard, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(GuardAnswered) as caught:
        ControlClient(Home(asked.home), asked.port, timeout=10).call("POST", path, **body)
    assert caught.value.status == 400
