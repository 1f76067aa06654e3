"""One exchange in full: decision, findings, coverage, restorations, where the time went, usage. Pure.

Documents are those of the control API, their texts made fit to be shown. Values are never in them: a finding is shown by type,
place and a shape that holds nothing of it.
"""

from collections.abc import Mapping
from typing import Any

from localguard.tui.figures import day_and_clock, duration, money, number, text
from localguard.tui.lines import Line, fact, facts, heading, joined, stretch
from localguard.tui.rows import CLASSES, STATES

_MOST_FINDINGS = 100
_BAR = 24

Document = Mapping[str, Any]


def detail_lines(document: Document, width: int = 60) -> list[Line]:
    """All that is known of one exchange (`GET /exchanges/{id}`)."""
    row: Document = document["exchange"]
    lines = [*_head(document, row), *_refusal(document), *_decision(document["decision"])]
    lines += _findings(document)
    lines += _coverage(document)
    lines += _restored(document)
    lines += _timing(document["timing"], width)
    lines += _usage(document, row)
    lines += _asked_for(document)
    return lines


def _head(document: Document, row: Document) -> list[Line]:
    state, group = text(row, "state"), text(row, "endpoint_class")
    mark, word = STATES.get(state, ("?", state))
    lines: list[Line] = [
        (("title", f"Exchange {row['exchange']}"),),
        ((f"state-{state}", f"{mark} {word}"), ("", f"  {document['headline']}")),
    ]
    if group == "experimental":
        lines.append((("class-experimental", " EXPERIMENTAL ENDPOINT "), ("", " results of it count as a trial")))
    if row.get("paused"):
        lines.append((("warning", "! redaction was paused: what was found went out as it stood"),))
    if document["next_step"]:
        lines.append((("warning", "→ "), ("", document["next_step"])))
    lines.append(())
    lines += facts(
        ("time", day_and_clock(text(row, "time"))),
        ("agent", f"{text(row, 'agent')} {text(row, 'agent_version')}".strip()),
        ("workspace", f"{text(row, 'workspace')}  {_in_brackets(row, 'sensitivity')}".strip()),
        ("repository", text(row, "repository")),
        ("branch", text(row, "branch")),
        ("task", text(row, "task")),
        ("endpoint", f"{text(row, 'endpoint')}  ({CLASSES.get(group, ('?', group))[1]})", f"class-{group}"),
        ("model", _model(row)),
        ("paid by", f"{text(row, 'credential')} {_in_brackets(row, 'identity')}".strip()),
        ("session", text(row, "session")),
    )
    return lines


def _model(row: Document) -> str:
    asked, served = text(row, "model"), text(row, "served")
    return f"{asked}, served {served}" if asked and served and asked != served else asked or served


def _in_brackets(row: Document, name: str) -> str:
    return f"({text(row, name)})" if text(row, name) else ""


def _refusal(document: Document) -> list[Line]:
    refusal = document["refusal"]
    if not refusal:
        return []
    return [
        (),
        heading("Refused"),
        *facts(
            ("reason", refusal["reason"], "state-refused"),
            ("by", refusal["rule"]),
            ("code", f"{refusal['code']} (status {refusal['status']})"),
        ),
    ]


def _decision(decision: Document) -> list[Line]:
    if not decision["effect"]:
        return []
    lines: list[Line] = [(), heading("Decision"), fact("effect", decision["effect"], f"effect-{decision['effect']}")]
    for rule in decision["rules"]:
        lines += facts(
            ("rule", f"{rule['id']} ({rule['layer']})"),
            ("at", f"{rule['file']}:{rule['line']}" if rule["file"] else ""),
            ("because", rule["reason"]),
        )
    asked = ", ".join(f"{name} {what}" for name, what in sorted(decision["obligations"].items()))
    routed = decision["routed_from"] or {}
    return lines + facts(
        ("asks for", asked),
        ("approved", decision["approval"] and f"a person allowed it, asked about {decision['approval']}"),
        ("routed", routed and f"from {routed.get('endpoint')} {routed.get('model') or ''}".strip()),
        ("fell back", decision["fell_back_from"] and f"from {decision['fell_back_from']}, which did not answer"),
    )


def _findings(document: Document) -> list[Line]:
    found = document["findings"]
    lines: list[Line] = [(), heading(f"Findings ({len(found)})")]
    if not document["findings_kept"]:
        return [*lines, (("", "  not kept in the log"),)]
    if not found:
        return [*lines, (("", "  nothing was found"),)]
    for one in found[:_MOST_FINDINGS]:
        times = f" x{one['count']}" if one["count"] > 1 else ""
        lines.append(
            (("", "  "), (f"data-{one['class']}", one["shape"]), ("", f"{times}  {one['class']}, {one['action']}"))
        )
        lines.append((("label", f"      {one['place']}  by {one['rule']}"),))
        if one["exposed"]:
            lines.append((("warning", "      ! it had gone out in clear before: rotate it"),))
    if len(found) > _MOST_FINDINGS:
        lines.append((("label", f"  and {len(found) - _MOST_FINDINGS} more"),))
    return lines


def _coverage(document: Document) -> list[Line]:
    coverage = document["coverage"]
    if not coverage:
        return []
    attachments = ", ".join(f"{kind} {count}" for kind, count in sorted(document["attachments"].items()))
    opaque = number(coverage, "opaque")
    return [
        (),
        heading("Coverage"),
        *facts(
            ("scanned", f"{number(coverage, 'leaves')} texts, {number(coverage, 'bytes'):,} bytes"),
            ("opaque", f"{opaque} passed unread (signed, encrypted, media)" if opaque else "none"),
            ("attached", attachments),
        ),
    ]


def _restored(document: Document) -> list[Line]:
    restored, withheld = document["restored"], document["withheld"]
    unknown = document["unknown_placeholders"]
    if not restored and not withheld and not unknown:
        return []
    lines: list[Line] = [(), heading("Restored")]
    lines += facts(("restored", ", ".join(f"{kind} {count}" for kind, count in sorted(restored.items()))))
    for one in withheld[:_MOST_FINDINGS]:
        lines.append((("warning", "  withheld    "), ("", f"{one.get('type')} in {one.get('place')}")))
        lines.append(fact("", one.get("reason")))
    return lines + facts(("unknown", f"{unknown} placeholders of an earlier run stayed" if unknown else ""))


def _timing(timing: list[Document], width: int) -> list[Line]:
    if not timing:
        return []
    whole = max(one["ends_ms"] for one in timing)
    cells = max(8, min(_BAR, width - 34))
    lines: list[Line] = [(), heading(f"Time ({duration(whole)})")]
    for one, style in zip(timing, ("time-guard", "time-provider", "time-reply"), strict=False):
        took = duration(one["ends_ms"] - one["begins_ms"])
        part = stretch(one["begins_ms"], one["ends_ms"], whole, cells)
        lines.append((("", "  ▕"), (style, part), ("", f"▏{took:>7}  "), ("label", one["name"])))
    return lines


def _usage(document: Document, row: Document) -> list[Line]:
    usage = row.get("usage") or {}
    cost = money(row.get("cost_usd"))
    basis = {"estimate": "estimated by the guard", "reservation": "as reserved"}.get(document["cost_basis"] or "", "")
    if not usage and not cost:
        return []
    counted = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in usage.items() if count)
    price = ", ".join(filter(None, (f"{row.get('cost_usd')} USD" if cost else "", basis, document["price_source"])))
    return [(), heading("Usage"), *facts(("tokens", counted), ("cost", price))]


def _asked_for(document: Document) -> list[Line]:
    calls = [f"{name} {count}" for name, count in sorted(document["tool_calls"].items())]
    lines: list[Line] = []
    if calls or document["commands"] or document["files"]:
        lines += [(), heading("What the model asked for"), *facts(("calls", joined(calls)))]
        lines += [fact("command", one) for one in document["commands"][:20]]
        lines += [fact("file", one) for one in document["files"][:20]]
    return lines
