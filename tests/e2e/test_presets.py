"""The policies that `policy init` writes, each through a real guard: allowed, denied in words that a person can act on, asked."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from localguard.config.presets import COMPANY_URL, EXAMPLES, PRESETS, preset
from localguard.proxy.callers import _FRESH
from tests.e2e.guard import ROOT, Guard
from tests.e2e.planted import github_token
from tests.e2e.test_policy import CHAT, ask, message
from tests.provider.server import Provider

DIRECTORIES = {"team": "work", "regulated": "work", "serious": "work"}
"""Of workspaces whose directory, below the user's home, is not called as they are."""
HERE = ""  # the repository of this test: internal, named by no policy
DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(datetime.now(UTC) + timedelta(days=3)).weekday()]
EVENINGS = 'times = ["mon-fri 20:00-07:00 Europe/Berlin", "sat,sun Europe/Berlin"]'
TRIAL = '\n[[endpoints]]\nname = "trial"\nkind = "openai-compatible"\nclass = "experimental"\nbase_url = "URL"\n'


class Case(NamedTuple):
    """One request: where from, for what, to which endpoint and model; and what comes of it (None: it is allowed)."""

    workspace: str
    task: str
    endpoint: str
    model: str
    code: str | None = None
    words: str = ""
    text: str = "hello"


CASES = {
    "solo": [
        Case(HERE, "", "openai", "gpt-5"),
        Case(HERE, "", "trial", "gpt-5", "policy_ask", "This endpoint is on trial."),
    ],
    "open-source": [
        Case("open-source", "", "openai", "gpt-5-mini"),
        Case("open-source", "", "anthropic", "claude-sonnet-4", "policy_denied", "not go on the account of work"),
        Case("open-source", "", "trial", "gpt-5", "policy_ask", "This endpoint is on trial."),
        Case(HERE, "", "openai", "gpt-5-mini", "policy_denied", "would allow it in another workspace"),
        Case(HERE, "", "anthropic", "claude-sonnet-4"),
    ],
    "team": [
        Case("team", "", "company", "gpt-5-mini"),
        Case("team", "", "company", "gpt-5", "task_required", "localguard task set"),
        Case("team", "refactoring", "company", "gpt-5"),
        Case("team", "incident", "openai", "gpt-5-mini", "policy_denied", "may not leave the approved boundary"),
        Case("team", "", "trial", "gpt-5-mini", "policy_ask", "This endpoint is on trial."),
    ],
    "regulated": [
        Case("regulated", "docs", "company", "gpt-5"),
        Case("regulated", "", "company", "gpt-5", "task_required", "approved-endpoints"),
        Case("regulated", "docs", "openai", "gpt-5", "policy_denied", "under the company's contract"),
        Case("regulated", "docs", "company", "gpt-5", "secret_blocked", "no-secrets-at-all", github_token(11)),
    ],
    "local-only": [
        Case(HERE, "", "ollama", "qwen3:8b"),
        Case(HERE, "", "openai", "gpt-5", "policy_denied", "Prompts do not leave this machine."),
        Case(HERE, "", "ollama", "qwen3:480b-cloud", "policy_denied", "Prompts do not leave this machine."),
    ],
    "incident": [
        Case("services", "incident", "company", "gpt-5"),
        Case("services", "incident", "openai", "gpt-5", "policy_denied", "may not leave the approved boundary"),
        Case("services", "", "openai", "gpt-5"),
        Case("services", "", "trial", "gpt-5", "policy_ask", "This endpoint is on trial."),
        Case("services", "incident", "trial", "gpt-5", "policy_denied", "may not leave the approved boundary"),
    ],
    "documentation": [
        Case("product", "docs", "openai", "gpt-5-mini"),
        Case("product", "docs", "ollama", "qwen3:8b"),
        Case("product", "docs", "openai", "gpt-5", "policy_denied", "cheaper or local models"),
        Case("product", "refactoring", "openai", "gpt-5"),
        Case("product", "docs", "trial", "gpt-5-mini", "policy_ask", "This endpoint is on trial."),
    ],
    "sensitive-code": [
        Case("payments", "", "company", "gpt-5"),
        Case("payments", "", "openai", "gpt-5", "policy_denied", "approved enterprise endpoints only"),
        Case("payments", "", "trial", "gpt-5", "policy_denied", "approved enterprise endpoints only"),
        Case(HERE, "", "trial", "gpt-5", "policy_ask", "This endpoint is on trial."),
        Case(HERE, "", "openai", "gpt-5"),
    ],
    "expensive-models": [
        Case(HERE, "", "openai", "gpt-5-mini"),
        Case(HERE, "", "openai", "gpt-5", "task_required", "for work with a declared task"),
        Case(HERE, "refactoring", "openai", "gpt-5"),
    ],
    "personal-keys": [
        Case("serious", "", "company", "gpt-5"),
        Case("serious", "", "openai", "gpt-5", "policy_denied", "Personal keys are never used for serious work"),
        Case("sketches", "", "openai", "gpt-5"),
        Case("sketches", "", "anthropic", "claude-opus-4", "policy_ask", "paid by yourself"),
    ],
}


def written(name: str, url: str, *, always: bool = False) -> str:
    """The preset with all of its endpoints at `url`; its evenings are another day's, or always."""
    text = (
        preset(name).text.replace(COMPANY_URL, url).replace('credential = "keyring:company"', 'credential = "client"')
    )
    text = text.replace(EVENINGS, f'times = ["{"mon-sun" if always else DAY} 00:00-24:00 UTC"]')
    for kind in ("openai", "anthropic"):
        text = text.replace(f'kind = "{kind}"\n', f'kind = "{kind}"\nbase_url = "{url}"\n')
        if f'name = "{kind}"' not in text:
            text += f'\n[[endpoints]]\nname = "{kind}"\nkind = "{kind}"\nbase_url = "{url}"\n'
    return text + f'\n[[endpoints]]\nname = "ollama"\nkind = "ollama"\nbase_url = "{url}"\n' + TRIAL.replace("URL", url)


class Machine:
    """A guard under one preset, of a user whose home holds the workspaces' directories; nobody answers questions."""

    def __init__(self, name: str, guard: Guard, user: Path) -> None:
        self.name = name
        self.guard = guard
        self._user = user
        self._before = ""

    def send(self, case: Case) -> tuple[int, dict[str, Any], str]:
        """The request of a case, from the directory of its workspace."""
        place = self._user / DIRECTORIES.get(case.workspace, case.workspace) if case.workspace else ROOT
        if case.workspace != self._before:
            time.sleep(_FRESH + 0.2)  # for that long a process is where it was
        self._before = case.workspace
        place.mkdir(exist_ok=True)
        headers = {"X-LocalGuard-Task": case.task} if case.task else {}
        with contextlib.chdir(place):
            return ask(self.guard, f"/{case.endpoint}{CHAT}", case.model, case.text, **headers)


@pytest.fixture(scope="module", params=CASES)
def machine(
    request: pytest.FixtureRequest, running_provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    user: Path = tmp_path_factory.mktemp("preset")
    text = written(request.param, running_provider.url)
    with Guard(user / "guard", text, LOCALGUARD_ASK_SECONDS="0", HOME=str(user)) as started:
        yield Machine(request.param, started, user)


COMPANY = ("documentation", "sensitive-code", "incident", "open-source", "personal-keys")
"""Policies of a company; the sixth, of expensive models, asks in the evening only and has a test of its own."""


def test_every_preset_is_shown() -> None:
    assert set(CASES) == {*PRESETS, *EXAMPLES}
    for name in COMPANY:
        assert {case.code for case in CASES[name]} >= {None, "policy_denied", "policy_ask"}, name


def test_a_preset_allows_and_refuses_what_it_says(machine: Machine, provider: Provider) -> None:
    for case in CASES[machine.name]:
        sent = len(provider.content)
        status, reply, exchange = machine.send(case)
        if case.code is None:
            assert status == 200, (machine.name, case, reply)
            assert (
                len([one for one in provider.content[sent:] if b"hello" in one.body]) == 1
            )  # beside questions to Ollama
        else:
            assert (status, reply["error"]["code"]) == (403, f"localguard_{case.code}"), (machine.name, case, reply)
            assert case.words in message(reply)
            explained = machine.guard.run("explain", exchange)
            assert str(machine.guard.home / "policy.toml") in message(reply) + explained
            assert not [one for one in provider.content[sent:] if b"hello" in one.body]


def test_expensive_models_are_asked_about_in_the_evening(provider: Provider, tmp_path: Path) -> None:
    text = written("expensive-models", provider.url, always=True)
    with Guard(tmp_path / "home", text, LOCALGUARD_ASK_SECONDS="0") as guard:
        machine = Machine("expensive-models", guard, tmp_path)
        status, reply, exchange = machine.send(Case(HERE, "refactoring", "openai", "gpt-5"))
        assert (status, reply["error"]["code"]) == (403, "localguard_policy_ask")
        assert "outside working hours are asked about" in message(reply)
        assert f"localguard approve {exchange}" in message(reply)
        assert machine.send(Case(HERE, "", "openai", "gpt-5-mini"))[0] == 200
