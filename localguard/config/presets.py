"""Policies to begin with, each with tests of its own: six for kinds of work, and examples of single rules of a company."""

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

PRESETS: Final = ("solo", "open-source", "team", "regulated", "local-only", "incident")
EXAMPLES: Final = ("documentation", "sensitive-code", "expensive-models", "personal-keys")
COMPANY_URL: Final = "https://llm.example.com"
"""Stands for the company's endpoint in all of them."""
COMPANY_HOST: Final = "git.example.com"
"""Stands for the company's git host in all of them."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A policy file as it is written out."""

    name: str
    summary: str
    text: str


def preset(name: str) -> Preset:
    """Return one of `PRESETS` or `EXAMPLES`. Raises KeyError for any other name."""
    if name not in (*PRESETS, *EXAMPLES):
        raise KeyError(name)
    text = (files("localguard.config") / "presets" / f"{name}.toml").read_text("utf-8")
    first = text.partition("\n")[0]
    summary = first.partition(": ")[2]
    return Preset(name, summary[:1].upper() + summary[1:], text)


def filled(text: str, *, company_url: str | None = None, company_kind: str | None = None) -> str:
    """Return a preset's text with the company's own endpoint in it."""
    if company_url:
        text = text.replace(COMPANY_URL, company_url)
    if company_kind:
        text = re.sub(r'(name = "company"\nkind = )"[^"]*"', rf'\1"{company_kind}"', text)
    return text
