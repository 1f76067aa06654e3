"""What to do about a value that keeps being found: rotate it, let it through, or give it a rule of its own. Pure."""

import shlex
from dataclasses import replace

from localguard.report.figures import Advice, Value

_KEEPS_COMING = 5
"""Exchanges from which on a value counts as one that will come again."""
_NAMELESS = frozenset({"SECRET", "PASSWORD", "ACCESS_TOKEN", "API_KEY", "BEARER_TOKEN"})
"""Types that say no more than that it is secret: a rule of one's own can say what it is."""


def advised(value: Value) -> Value:
    """The value with advice, the most urgent first; none where nothing is to be done."""
    found: list[Advice] = []
    secret = value.data_class == "secret"
    if value.exposed and secret:
        found.append(
            Advice(
                "Rotate it where it was issued: it had gone out in clear before it was known.",
                f"localguard explain {shlex.quote(value.exchange)}",
            )
        )
    elif value.exposed:
        found.append(
            Advice("It had gone out before it was known.", f"localguard explain {shlex.quote(value.exchange)}")
        )
    if value.exchanges >= _KEEPS_COMING:
        if secret and not value.exposed:
            found.append(
                Advice(
                    "Find out where it comes from, and keep it out of what agents read.",
                    f"localguard explain {shlex.quote(value.exchange)}",
                )
            )
        if value.type in _NAMELESS and value.rule:
            found.append(
                Advice(
                    "If there are more like it, add a rule that names them, and test it.",
                    "localguard rules test own.toml",
                )
            )
        found.append(Advice(_LET_THROUGH[secret], _allow(value)))
    return replace(value, advice=tuple(found))


_LET_THROUGH = {
    True: "If it is a test key or a false alarm, let it through.",
    False: "If it is public, let it through.",
}


def _allow(value: Value) -> str:
    which = f" --finding {value.finding}" if value.finding else ""
    reason = "test key" if value.data_class == "secret" else "public"
    return f'localguard allow add --from-exchange {shlex.quote(value.exchange)}{which} --reason "{reason}"'
