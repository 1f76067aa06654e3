"""What is distinctive enough to be swept, and which keys hold secrets."""

import pytest

from localguard.detect.keynames import secret_key_type
from localguard.detect.words import is_common, is_distinctive


@pytest.mark.parametrize(
    "value", ["true", "production", "value", "my_secret_token", "getPassword", "password1", "localhost"]
)
def test_common_words_are_not_distinctive(value: str) -> None:
    assert is_common(value)
    assert not is_distinctive(value)


@pytest.mark.parametrize(
    "value", ["hunter22x", "correct-horse-battery", "Tr0ub4dor&3", "abcdefghijklmnopq", "größe-77"]
)
def test_long_and_mixed_values_are_distinctive(value: str) -> None:
    assert is_distinctive(value)


@pytest.mark.parametrize("value", ["hunter2", "swordfish", "12345678", "aaaaaaaaaaaaaaaa", "-------- --------"])
def test_short_or_uniform_values_are_not_distinctive(value: str) -> None:
    assert not is_distinctive(value)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("DB_PASSWORD", "PASSWORD"),
        ("dbPassword", "PASSWORD"),
        ("spring.datasource.password", "PASSWORD"),
        ("DB_PASSWORD_PROD", "PASSWORD"),
        ("smtp-pass", "PASSWORD"),
        ("client_secret", "SECRET"),
        ("SECRET_KEY", "SECRET"),
        ("apiKey", "API_KEY"),
        ("OPENAI_API_KEY_2", "API_KEY"),
        ("authtoken", "ACCESS_TOKEN"),
        ("GITHUB_TOKEN", "ACCESS_TOKEN"),
        ("password_file", None),
        ("token_url", None),
        ("max_tokens", None),
        ("secret_name", None),
        ("compass", None),
        ("next_token", None),
        ("publicKeyToken", None),
        ("primary_key", None),
        ("bypass", None),
    ],
)
def test_the_last_telling_word_of_a_key_decides(key: str, kind: str | None) -> None:
    assert secret_key_type(key) == kind
