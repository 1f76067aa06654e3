"""Start files of POSIX shells: like `.env` files, but a variable that is added is exported. Pure."""

from localguard.config.settings import env_text
from localguard.config.settings.env_text import values, without
from localguard.config.settings.path import Path

__all__ = ["values", "with_value", "without"]


def with_value(text: str, path: Path, value: str) -> str:
    """The text with a variable set: where it is last set now, else in a line at the end."""
    return env_text.with_value(text, path, value, exported=True)
