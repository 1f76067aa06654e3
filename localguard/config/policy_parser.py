"""From the bytes of a policy file to a `Layer`, or to everything that is wrong with it at once.

This module imports pydantic; it is itself imported only when there is a file to parse.
"""

import hashlib
import re
import tomllib
from decimal import Decimal
from typing import Any

from localguard.config.policy_building import build_layer
from localguard.config.policy_checks import Checks
from localguard.config.policy_problems import PolicyInvalid, PolicyProblem
from localguard.config.toml_lines import lines_of
from localguard.policy.model import Layer, LayerName


def parse_policy(data: bytes, file: str, name: LayerName) -> Layer:
    """Return the layer that a policy file says. Raises PolicyInvalid with all problems.

    For the user's layer the built-in policy is completed: its rules as long as the file has none of its own (or extends
    it), its endpoints unless redefined by name. A repository's endpoints and looser settings are listed in `not_applied`.
    The signature of an organisation's file is not looked at here.
    """
    text = _decode(data, file)
    raw = _parse_toml(text, file)
    lines = lines_of(text)
    checks = Checks(file, lines, raw, name)
    parsed = checks.run()
    if checks.problems or parsed is None:
        raise PolicyInvalid(checks.problems)
    return build_layer(parsed, name, file, lines, hashlib.sha256(data).hexdigest())


_DEEP_KEY = re.compile(r"(?<![\w\"'.-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){100}")


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyInvalid(
            [PolicyProblem(file, line, "", "This is not UTF-8 text. Save the file as UTF-8.")]
        ) from None


def _parse_toml(text: str, file: str) -> dict[str, Any]:
    deep = _DEEP_KEY.search(text)  # tomllib takes time in the square of a key's parts
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        raise PolicyInvalid([PolicyProblem(file, line, "", "A key here has more than 100 parts.")])
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)", said)
        line = int(place[1]) if place else text.count("\n") + 1
        raise PolicyInvalid([PolicyProblem(file, line, "", _toml_words(said))]) from None
    except (RecursionError, ValueError, ArithmeticError):
        raise PolicyInvalid(
            [PolicyProblem(file, 1, "", "This cannot be read as TOML: nested or long beyond reason.")]
        ) from None


def _toml_words(said: str) -> str:
    """Return tomllib's complaint in plain words, without any text of the file."""
    if "overwrite" in said or "Cannot declare" in said or "Duplicate" in said:
        return "A key or table stands here for the second time. Keep one of them."
    column = re.search(r"column (\d+)", said)
    place = f" (column {column[1]})" if column else ""
    return f"This is not TOML{place}. Look for a missing quote, bracket or equals sign, here or in the line above."
