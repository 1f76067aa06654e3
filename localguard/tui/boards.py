"""Budgets, sessions, questions, policy and its answers as lines. Pure; documents are those of the control API, made fit to be shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from localguard.tui.figures import day_and_clock, decimal, duration, text
from localguard.tui.lines import Line, bar, fact, facts, heading, joined

Document = Mapping[str, Any]

_NAMES = (
    ("agent", "agents"),
    ("workspace", "workspaces"),
    ("repository", "repositories"),
    ("branch", "branches"),
    ("task", "tasks"),
    ("model", "models"),
    ("served", "served"),
    ("endpoint", "endpoints"),
    ("paid by", "identities"),
    ("bucket", "buckets"),
    ("rules", "rules"),
    ("replaced", "redactions"),
    ("refusals", "refusals"),
    ("failures", "origins"),
    ("calls", "calls"),
    ("tokens", "tokens"),
)
"""What a session counted, by the names that people read."""


def budget_lines(document: Document, width: int) -> list[Line]:
    """How the budgets stand (`GET /budgets`), each with a bar."""
    budgets = document.get("budgets") or []
    if not budgets:
        return [(("", "The policy has no budgets."),), (("label", "Add [[budgets]] to the policy file."),)]
    lines: list[Line] = []
    if document.get("clock_held"):
        lines += [
            (("warning", "! The machine's clock moved; budgets go by the time before. See `localguard budget`."),),
            (),
        ]
    for one in budgets:
        lines += [*_budget(one, max(10, min(50, width - 34))), ()]
    return lines


def _budget(one: Document, cells: int) -> list[Line]:
    limit, spent, held = (decimal(one.get(name)) or 0 for name in ("limit_usd", "spent_usd", "reserved_usd"))
    share = float((spent + held) / limit) if limit else 1.0
    style = "budget-over" if one.get("used_up") else "budget-near" if share >= 0.8 else "budget"
    told = "USED UP, " + {"deny": "refuses", "ask": "asks", "warn": "warns"}.get(text(one, "on_exceed"), "")
    word = told if one.get("used_up") else "nearly used up" if share >= 0.8 else ""
    forecast = one.get("forecast_usd")
    return [
        (("title", text(one, "name")), ("label", f"  a {text(one, 'period')}, until {text(one, 'ends')[:16]}")),
        ((style, f"  {bar(share, cells)} {share * 100:4.0f} %  "), (style, word)),
        *facts(
            ("spent", f"{spent:.2f} of {limit:.2f} USD" + (f", {held:.2f} reserved" if held else "")),
            ("at this pace", f"{forecast} USD by the end" if forecast else None),
            ("runs out", one.get("runs_out")),
            ("set in", f"{one.get('file')}:{one.get('line')}" if one.get("file") else None),
        ),
    ]


def session_lines(document: Document) -> list[Line]:
    """What one session did (`GET /sessions/{id}`)."""
    lines: list[Line] = [
        (("title", f"Session {document['id']}"),),
        (("label", f"  {day_and_clock(text(document, 'began'))} to {day_and_clock(text(document, 'ended'))}"),),
        (),
        fact(
            "exchanges",
            f"{document['exchanges']}, {document['refused']} refused, {document['failed']} not completed",
        ),
    ]
    lines += facts(*((name, _counts(document.get(member))) for name, member in _NAMES))
    lines += facts(
        ("restored", document.get("restored")),
        ("withheld", document.get("withheld")),
        ("exposed", document.get("exposed"), "warning"),
        ("cost", f"{document['cost_usd']} USD"),
        ("first byte", _middle(document.get("first_byte_ms"))),
    )
    commands, approvals = document.get("commands") or [], document.get("approvals") or []
    if commands:
        lines += [(), heading(f"Commands ({len(commands)})")]
        lines += [(("", f"  {one.get('tool')}: {one.get('command')}"),) for one in commands[-50:]]
    if approvals:
        lines += [(), heading("Approvals")]
        lines += [(("", f"  {one.get('event')} by {one.get('by')} {one.get('why')}"),) for one in approvals]
    return lines


def _counts(counter: object) -> str:
    if not isinstance(counter, Mapping):
        return ""
    return joined([f"{name} {count}" if count != 1 else name for name, count in counter.items()], 6)


def _middle(values: object) -> str:
    return duration(sorted(values)[len(values) // 2]) if isinstance(values, list) and values else ""


def question_lines(question: Document) -> list[Line]:
    """A request, or a command, that waits for a person's answer."""
    group = text(question, "class")
    return [
        (("title", text(question, "reason") or "Policy asks."),),
        (),
        *facts(
            ("agent", text(question, "agent")),
            ("workspace", text(question, "workspace")),
            ("sensitivity", text(question, "sensitivity")),
            ("branch", text(question, "branch")),
            ("task", text(question, "task")),
            ("endpoint", f"{text(question, 'endpoint')} {f'({group})' if group else ''}".strip(), f"class-{group}"),
            ("model", text(question, "model")),
            ("identity", text(question, "identity")),
            ("asked", f"{question.get('age_seconds', 0)} s ago"),
            ("id", text(question, "id")),
        ),
    ]


def policy_lines(document: Document, _: int = 0) -> list[Line]:
    """The policies in force (`GET /policy`): layers, rules, and the text of each."""
    lines: list[Line] = []
    if document.get("error"):
        lines += [(("warning", "! A newer policy file is not in force:"),), (("", f"  {document['error']}"),), ()]
    for layer in document.get("layers") or []:
        lines += [
            (
                ("title", f"{layer['name']} layer"),
                ("label", f"  {layer['file'] or 'built in'}  {layer['digest'][:12]}"),
            ),
            fact("default", layer["default"], f"effect-{layer['default']}"),
        ]
        for rule in layer["rules"]:
            lines += _rule(rule)
        if layer["text"]:
            lines += [(), heading("Text"), *((("code", line),) for line in layer["text"])]
        lines.append(())
    return lines


def _rule(rule: Document) -> list[Line]:
    when = "; ".join(f"{name} {joined(wanted, 6)}" for name, wanted in rule["when"].items())
    return [
        (
            (f"effect-{rule['effect']}", f"  {rule['effect']:<6}"),
            ("", f"{rule['id']}"),
            ("label", f"  line {rule['line']}" if rule["line"] else ""),
        ),
        (("label", f"         {when or 'always'}"),),
    ]


def explained_lines(document: Document) -> list[Line]:
    """What policy says of some work, and how each rule came out (`POST /policy/explain`)."""
    effect = text(document, "effect")
    lines: list[Line] = [((f"effect-{effect}", effect.upper()), ("", f"  {document['reason']}"))]
    if document["next_step"]:
        lines.append((("warning", "→ "), ("", document["next_step"])))
    asked = ", ".join(f"{name} {what}" for name, what in document["obligations"].items())
    lines += [*facts(("asks for", asked)), ()]
    rules: Sequence[Document] = sorted(document["rules"], key=lambda one: not one["matched"])
    for one in rules:
        mark, word = ("✓", "matches") if one["matched"] else ("·", "does not match")
        place = f"{one['file']}:{one['line']}" if one["line"] else one["file"]
        lines.append(
            (
                ("", f"{mark} "),
                (f"effect-{one['effect']}", f"{one['effect']:<6}"),
                ("", f"{one['id']} {word}"),
                ("label", f"  {one['layer']}, {place}"),
            )
        )
        for field in one["fields"]:
            sign = "✓" if field["matched"] else "✗"
            has = joined(field["has"], 6) or "nothing"
            lines.append((("label", f"      {sign} {field['field']}: {has}; wanted {joined(field['wanted'], 6)}"),))
    return lines
