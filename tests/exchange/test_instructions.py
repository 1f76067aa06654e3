"""A quoted instruction file is told from the one on disk; what only speaks of it says nothing."""

from pathlib import Path

import pytest

from localguard.exchange.instructions import Quote, matches
from localguard.wire.chat import CHAT
from tests.exchange.driver import Workspace

ROOT = Path("/src/app")
TEXT = "# Rules\n\n- Use tabs, and never a space where a tab would do.\n- Run the tests before you say that it works.\n"
FORMS = {
    "codex": "# AGENTS.md instructions for /src/app\n\n<INSTRUCTIONS>\n{}\n</INSTRUCTIONS>",
    "claude": "As you answer:\nContents of /src/app/AGENTS.md (project instructions, checked into the codebase):\n\n{}\nIMPORTANT: more",
    "opencode": "You are helpful.\nInstructions from: /src/app/AGENTS.md\n{}",
    "gemini": "--- Context from: AGENTS.md ---\n{}\n--- End of Context from: AGENTS.md ---",
}


def told(text: str, content: str = TEXT, path: Path = ROOT / "AGENTS.md") -> bool | None:
    return matches(Quote("AGENTS.md", "", (text,)), {path: content})


@pytest.mark.parametrize("form", FORMS)
def test_a_quoted_file_is_the_one_on_disk_or_not(form: str) -> None:
    assert told(FORMS[form].format(TEXT)) is True
    assert told(FORMS[form].format(TEXT.replace("\n", "\r\n"))) is True
    assert told(FORMS[form].format(TEXT.replace("tabs", "blanks"))) is False
    assert told(FORMS[form].format("Short."), "Short.\n") is True
    assert told(FORMS[form].format("Other."), "Short.\n") is False


@pytest.mark.parametrize(
    "text",
    [
        "Look for AGENTS.md in the repository.",
        "AGENTS.md files hold instructions for agents.\nContents of the file count.",
        "The file AGENTS.md",
        "# AGENTS.md instructions for /elsewhere\n\nOther text",
        "Contents of /home/dev/AGENTS.md (user's global instructions):\n\nOther text",
    ],
)
def test_what_only_speaks_of_the_file_says_nothing(text: str) -> None:
    assert told(text) is None


def test_a_file_that_agents_cut_off_or_that_is_not_there_says_nothing() -> None:
    long = "rule\n" * 10_000
    assert told(FORMS["codex"].format(long[:32_768]), long) is None
    assert told(FORMS["codex"].format(long), long) is True
    assert told(FORMS["codex"].format(TEXT), "  \n") is None
    assert matches(Quote("AGENTS.md", "", (FORMS["codex"].format(TEXT),)), {}) is None


def test_a_short_file_behind_other_instructions_says_nothing_and_a_long_one_is_found() -> None:
    assert told(FORMS["codex"].format("Global.\n\n--- project-doc ---\n\nShort."), "Short.\n") is None
    assert told(FORMS["codex"].format("Global.\n\n--- project-doc ---\n\n" + TEXT)) is True


def test_comments_may_be_left_away() -> None:
    content = TEXT.replace("- Run", "<!-- for people -->\n- Run")
    assert told(FORMS["claude"].format(TEXT), content) is True
    assert told(FORMS["claude"].format(content), content) is True


def test_only_what_is_new_is_compared() -> None:
    workspace = Workspace()
    prompt = {"role": "system", "content": FORMS["opencode"].format(TEXT)}
    for said in (["one"], ["one", "two"]):
        messages = [prompt, *({"role": "user", "content": one} for one in said)]
        workspace.send(CHAT, {"model": "m", "messages": messages})
        assert workspace.reading is not None
        assert [quote.name for quote in workspace.reading.quotes] == (["AGENTS.md"] if said == ["one"] else [])
        assert workspace.reading.facts.instructions[0][0] == "AGENTS.md"
