"""What the top of the screen says: whether the guard is there, what it does, what waits for a person. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from localguard.tui.connection import Link
from localguard.tui.figures import money, short
from localguard.tui.lines import Line

_WORDS = {
    "connecting": "connecting",
    "up": "guarding",
    "down": "NOT REACHABLE",
    "not ours": "NOT OUR GUARD",
    "refused": "REFUSED",
}
_HELP = {
    "down": "start it: localguard serve",
    "not ours": "another program, or the guard of another home, has the port",
    "refused": "the guard does not let this program follow",
}


def masthead(
    link: Link,
    status: Mapping[str, Any],
    totals: tuple[Mapping[str, int], int, Decimal],
    *,
    held: int,
    shown: int,
    rate: float,
    waiting: int | None,
) -> Line:
    """One line: the guard's state, then what is shown below it in sums. `waiting` is how many wait while it is paused."""
    states, redactions, cost = totals
    line: list[tuple[str, str]] = [("title", " localguard "), *_state(link, status)]
    if waiting is not None:
        line.append(("warning", f" PAUSED ({waiting} wait)"))
    many = f"{short(shown)} of {short(held)}" if shown != held else short(held)
    sums = [f"{many} exchanges"]
    sums += [
        f"{states.get(name, 0)} {word}"
        for name, word in (("running", "running"), ("refused", "refused"))
        if states.get(name)
    ]
    sums += [f"{short(redactions)} redacted", f"{money(str(cost)) or '0'} USD", f"{rate:.0f}/s"]
    return (*line, ("label", "  " + " · ".join(sums)))


def _state(link: Link, status: Mapping[str, Any]) -> Line:
    word = _WORDS.get(link.state, link.state)
    if not link.up:
        return (("warning", f"! {word}"),)
    if status.get("paused"):
        return (("warning", "! REDACTION PAUSED"),)
    if status.get("mode") == "local":
        return (("state-completed", "● guarding"), ("warning", " local only"))
    return (("state-completed", f"● {word}"),)


def banner(link: Link, questions: Sequence[Mapping[str, Any]], policy_error: str | None, now: float) -> Line:
    """What a person should know or do now; nothing where that is nothing."""
    if not link.up and link.state != "connecting":
        left = max(0, round(link.retry_at - now))
        again = f"; trying again in {left} s (r: now)" if link.retry_at else ""
        return (("warning", " ! "), ("", f"{link.why}: {_HELP.get(link.state, '')}{again}"))
    if questions:
        many = len(questions)
        asked = "1 request waits" if many == 1 else f"{many} requests wait"
        return (
            ("warning", f" ? {asked} for your answer: press a"),
            ("label", f"   {questions[0].get('reason') or ''}"),
        )
    if policy_error:
        return (("warning", " ! The newest policy file is not in force: "), ("", policy_error))
    return ()


def questions_after(
    questions: Sequence[Mapping[str, Any]], event: str, data: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The questions that wait, once an event has come."""
    others = [one for one in questions if one.get("id") != data.get("id")]
    if event == "question":
        return [*others, data]
    return others if event in ("question-over", "answer") else list(questions)
