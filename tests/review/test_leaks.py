"""A value that is detected anywhere leaves in no request, whatever body, header, address or policy it comes in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.review.harness import Guarded, Provider, chat, password

CHAT = "/openai/v1/chat/completions"
UNKNOWN = "/openai-compatible/v9/unknown"


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    provider = Provider()
    started = Guarded(Path(tmp_path_factory.mktemp("review")) / "home", provider)
    yield started
    started.remove()
    provider.close()


STRUCTURES: dict[str, Callable[[str], object]] = {
    "member": lambda value: {"db_password": value},
    "array under a member": lambda value: {"db_passwords": "x", "db_password": [value]},
    "object under a member": lambda value: {"db_password": {"value": value}},
    "name and value": lambda value: {"env": [{"name": "DB_PASSWORD", "value": value}]},
    "value before its name": lambda value: {"env": [{"value": value, "name": "DB_PASSWORD"}]},
    "key and value, capitals": lambda value: {"Parameters": [{"Key": "DbPassword", "Value": value}]},
    "flag and argument": lambda value: {"command": ["tool", "--verbose", "--password", value]},
    "assignment under a telling name": lambda value: {"user_prompt": f"password: {value}"},
}


class TestJsonStructure:
    """What makes a value a secret may stand beside it in the JSON and not in its own text."""

    @pytest.mark.parametrize("structure", STRUCTURES)
    def test_a_password_in_a_body_of_any_shape_is_replaced(self, guard: Guarded, structure: str) -> None:
        value = password()
        status, upstream = guard.post(UNKNOWN, STRUCTURES[structure](value))
        assert status == 200
        assert value.encode() not in upstream
        assert b"LG_" in upstream

    @pytest.mark.parametrize("structure", STRUCTURES)
    def test_a_password_in_json_that_is_a_text_is_replaced(self, guard: Guarded, structure: str) -> None:
        value = password()
        status, upstream = guard.post(CHAT, chat(json.dumps(STRUCTURES[structure](value), indent=1)))
        assert status == 200
        assert value.encode() not in upstream
        assert b"LG_" in upstream

    @pytest.mark.parametrize("name", ["password", "api_key", "db_password", "client_secret"])
    def test_a_member_beside_the_history_keeps_its_name(self, guard: Guarded, name: str) -> None:
        value = password()
        status, upstream = guard.post(CHAT, chat("hello", **{name: value}))
        assert status == 200
        assert value.encode() not in upstream
        assert b"LG_" in upstream
