import json

import pytest

from localguard.wire.model_name import path_with_model, with_model


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","x":1.0}', b'{"model":"b","x":1.0}'),
        (b'{ "x" : {"model":"inner"}, "model" : "a" }', b'{ "x" : {"model":"inner"}, "model" : "b" }'),
        (b'{"messages":[{"content":"\\"model\\":\\"a\\""}],"model":"a\\"}"}', None),
        (b'{"text":"model","model":"a"}', b'{"text":"model","model":"b"}'),
        (b'{"model":{"id":"a"}}', b""),
        (b'{"model":7}', b""),
        (b'{"messages":[{"model":"a"}]}', b""),
        (b'[{"model":"a"}]', b""),
        (b"", b""),
    ],
)
def test_the_top_level_model_is_replaced_and_nothing_else(body: bytes, expected: bytes | None) -> None:
    made = with_model(body, "b")
    if expected is None:
        assert made is not None
        assert json.loads(made) == {**json.loads(body), "model": "b"}
    else:
        assert made == (expected or None)


def test_a_name_is_spelled_as_json_needs_it() -> None:
    assert json.loads(with_model(b'{"model":"a"}', 'q"\\\u00e9') or b"")["model"] == 'q"\\\u00e9'


def test_a_model_in_the_path_is_replaced_there() -> None:
    azure = "/openai/deployments/gpt-5/chat/completions"
    assert path_with_model(azure, "prod 5") == "/openai/deployments/prod%205/chat/completions"
    assert path_with_model("/v1beta/models/gemini-x:generateContent", "y") == "/v1beta/models/y:generateContent"
    assert path_with_model("/v1/chat/completions", "y") is None
