"""What agents, models and repositories say in a summary is text: no Markdown, no HTML, no mention, no other line."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.audit.session_summary import code, markdown
from localguard.audit.sessions import Approval, Command, Instruction, Session

EVIL = [
    "<img src=x onerror=alert(1)>",
    "`code` <b>",
    "``",
    "a\n# heading",
    "[x](http://x.example)",
    "@team #12",
    "\x1b[2J\u202e",
    "",
    "|a|",
]


def spans(text: str) -> list[str]:
    """The contents of the code spans of one line, as CommonMark section 6.1 finds them, and what stands between them."""
    found, rest = [], text
    while match := re.search(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", rest, re.DOTALL):
        found.append(match[2])
        rest = rest[: match.start()] + rest[match.end() :]
    return [*found, rest]


@pytest.mark.parametrize("value", EVIL)
def test_a_value_cannot_leave_its_place(value: str) -> None:
    session = Session(
        value,
        agents=Counter([value]),
        tools=Counter([f"mcp__{value}__x"]),
        models=Counter([value]),
        files=Counter([value]),
        commands=[Command("", "", value)],
        instructions=(Instruction(value, ""),),
        approvals=[Approval("2026-01-31T08:15:00.000000Z", "session-approval", value, value)],
    )
    safe = re.compile(r"[\w\s.,:()*+-]*")
    for line in markdown(session, commands=True).split("\n"):
        outside = spans(line)[-1]
        assert safe.fullmatch(outside.removeprefix("### ")), line


@given(st.text(max_size=600))
def test_any_text_is_one_code_span_of_one_line(text: str) -> None:
    made = code(text)
    assert made.splitlines() == [made]
    content, rest = spans(made)
    assert rest == ""
    assert len(content) <= 503


def test_files_are_told_from_the_top_of_the_work_tree_and_others_by_name_alone() -> None:
    files = ("/src/a/src/x.py", "/other/place/key.pem", "src/y.py", "../up.py", "C:\\other\\z.py")
    text = markdown(Session("s", roots=Counter(["/src/a"]), files=Counter(files)))
    for told in ("`src/x.py`", "`…/key.pem`", "`src/y.py`", "`…/up.py`", "`…/z.py`"):
        assert f"- {told}\n" in text
    assert "other" not in text
