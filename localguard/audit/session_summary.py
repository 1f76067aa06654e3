"""A session as Markdown, to be pasted into a pull request. Pure.

It goes where others read it: no workspace, branch, repository or directory of this machine stands in it, and every value that
a model, an agent or a repository could fill is one code span, in which neither Markdown nor HTML means anything.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath, PureWindowsPath

from localguard.audit.sessions import Approval, Session

_SHOWN = 20
_LONGEST = 500
"""Characters of one value."""


def markdown(session: Session, *, commands: bool = False) -> str:
    """The summary, ending with a line break; with `commands` the commands that the model asked for, whatever they name."""
    lines = ["### Agent session", ""]
    lines += [f"- {name}: {value}" for name, value in _facts(session) if value]
    for title, values in (
        ("Files that the model asked to write", [_relative(path, session.roots) for path in session.files]),
        ("Commands that the model asked to run", [one.command for one in session.commands] if commands else []),
    ):
        if values:
            shown = list(dict.fromkeys(values))
            lines += ["", f"**{title}**", "", *(f"- {code(one)}" for one in shown[:_SHOWN])]
            lines += [f"- and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    if session.approvals:
        lines += ["", "**Approvals**", "", *(f"- {_approval(one)}" for one in session.approvals)]
    return "\n".join([*lines, ""])


_EVENTS = {
    "approve": "allowed a request",
    "deny": "refused a request",
    "commit-author": "wrote a commit of it",
    "merge": "merged it",
}


def code(text: str) -> str:
    """`text` as one code span, shortened, on one line: its fence is longer than any run of backticks in it."""
    plain = "".join(one if one.isprintable() else "?" for one in re.sub(r"\s", " ", text[:_LONGEST]))
    plain += "…" if len(text) > _LONGEST else ""
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    space = " " if not plain.strip() or plain[:1] in "` " or plain[-1:] in "` " else ""
    return f"{fence}{space}{plain or ' '}{space}{fence}"


def _facts(session: Session) -> Iterator[tuple[str, str]]:
    yield "session", code(session.id)
    yield "time", f"{session.began[:19]} to {session.ended[:19]} (UTC)" if session.began else ""
    yield "agent", _codes(session.agents)
    yield "model", _codes(session.served or session.models)
    yield "endpoint", _codes(session.endpoints)
    yield "policy", _codes(one[:16] for one in session.policies)
    yield "task", _codes(session.tasks)
    yield "exchanges", f"{session.exchanges}, {session.refused} refused, {session.failed} not completed"
    yield "tools", _codes(session.calls)
    yield "tests run by the agent", ", ".join(f"{count} {code(name)}" for name, count in session.tests.items())
    yield "MCP servers", _codes(session.mcp_servers)
    yield (
        "instructions",
        ", ".join(dict.fromkeys(code(one.name) + _compared(one.matches_disk) for one in session.instructions)),
    )
    yield (
        "replaced before sending",
        ", ".join(f"{code(name)} {count}" for name, count in session.redactions.most_common()),
    )
    yield (
        "tokens",
        ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in session.tokens.items() if name.isidentifier()),
    )
    yield "cost", f"{session.cost_usd} USD" if session.cost_usd else ""
    yield "commands", str(len(session.commands) or "")


def _codes(names: Iterable[str]) -> str:
    if isinstance(names, Counter):
        names = [name for name, _ in names.most_common()]
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(map(code, every[:_SHOWN])) + more


def _compared(matches: bool | None) -> str:
    return {True: " (as in the work tree)", False: " (not as in the work tree)", None: ""}[matches]


def _relative(path: str, roots: Iterable[str]) -> str:
    """A file as it lies in the repository; of one elsewhere its name alone."""
    for kind in (PurePosixPath, PureWindowsPath):
        if not kind(path).is_absolute():
            continue
        for root in roots:
            if kind(path).is_relative_to(root):
                return kind(path).relative_to(root).as_posix()
        return f"…/{kind(path).name}"
    return f"…/{path.rpartition('/')[2]}" if path.startswith(("~", "../")) else path


def _approval(one: Approval) -> str:
    what = _EVENTS.get(one.event, "approved the session")
    who = one.identity or one.by
    return f"{one.time[:19]} {what}: {code(who) if who else 'somebody'}{' ' + code(one.why) if one.why else ''}"
