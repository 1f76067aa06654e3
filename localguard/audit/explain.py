"""What happened to one exchange and why, in plain words, from its records alone. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localguard.audit.origins import evidence, next_step
from localguard.audit.queries import Record
from localguard.display import escaped


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A title and its lines, each one sentence or one fact."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An exchange explained: one sentence, then the details. ``next_step`` is None where nothing is left to do."""

    exchange: str
    headline: str
    paragraphs: tuple[Paragraph, ...]
    next_step: str | None

    def __str__(self) -> str:
        """Plain text, ready to print."""
        lines = [f"Exchange {self.exchange}: {self.headline}"]
        for paragraph in self.paragraphs:
            lines += ["", paragraph.title, *(f"  {line}" for line in paragraph.lines)]
        if self.next_step:
            lines += ["", f"Next step: {self.next_step}"]
        return "\n".join(map(escaped, lines))


def explain(records: Sequence[Record]) -> Explanation:
    """What the records of one exchange (from `Log.show`, in order) say: who sent what where, what decided, how it ended.

    A section that was pruned, or a field that was not recorded, is left out and not guessed. Raises `ValueError` for none.
    """
    if not records:
        raise ValueError("an exchange without records cannot be explained")
    intent, refusal, outcome = (_last(records, kind) for kind in ("intent", "refusal", "outcome"))
    request = intent or refusal
    paragraphs = []
    if request:
        paragraphs += [_request(request), _decision(request), _content(request)]
    if refusal:
        paragraphs.append(_refusal(refusal))
    if outcome:
        paragraphs += [_outcome(outcome, request), _origin(outcome, request)]
    paragraphs.append(Paragraph("Approval", tuple(_said(r) for r in records if r.kind == "control")))
    paragraphs.append(Paragraph("Records", tuple(f"{r.seq}  {r.time}  {r.kind}" for r in records)))
    return Explanation(
        exchange=records[0].exchange or "",
        headline=_headline(intent, refusal, outcome),
        paragraphs=tuple(paragraph for paragraph in paragraphs if paragraph.lines),
        next_step=_next_step(request, refusal, outcome),
    )


def explain_together(exchange: str, record: Record) -> Explanation:
    """What is known of one of many requests that were refused by their heads: a record that counts them (`Log.refused_together`)."""
    metadata = record.metadata or {}
    counted = metadata.get("detail") or {}
    lines = tuple(f"{code}: {count}" for code, count in counted.items())
    return Explanation(
        exchange,
        "refused by the guard by its head, as one of many. Nothing of it was sent.",
        (Paragraph(f"Refused between {metadata.get('since')} and {record.time}", lines),),
        "See what sends so many of them, e.g. by `localguard status`.",
    )


def _last(records: Sequence[Record], kind: str) -> Record | None:
    return next((r for r in reversed(records) if r.kind == kind), None)


def _headline(intent: Record | None, refusal: Record | None, outcome: Record | None) -> str:
    if refusal:
        m = refusal.metadata or {}
        return f"refused by the guard ({m.get('code', 'reason pruned')}). {_went(intent)}"
    if outcome is None:
        return "under way, or the guard died before it ended." if intent else "only side records are left."
    m = outcome.metadata or {}
    match m.get("state"):
        case "completed":
            return f"answered with status {m.get('status')}."
        case "failed":
            how = "without an answer" if m.get("status") is None else f"with status {m['status']}"
            return f"failed {how}; the origin is the {m.get('origin') or 'unknown'}."
        case "cut":
            return f"broken off before the reply was whole; the origin is the {m.get('origin') or 'unknown'}."
        case "cancelled":
            return "given up by the agent before the reply was whole."
        case "unknown":
            return "unknown end: the guard stopped before the outcome was recorded. The request may have reached the provider."
    return "ended; its details were pruned."


def _went(intent: Record | None) -> str:
    if intent is None:
        return "Nothing of it was sent."
    return "An intent was recorded before, so part of it may have been sent."


def _request(record: Record) -> Paragraph:
    m, local = record.metadata or {}, record.local or {}
    agent = _join(m.get("agent"), m.get("agent_version"))
    peer = local.get("peer") or {}
    return Paragraph(
        "Request",
        _lines(
            ("agent", agent),
            ("process", _join(peer.get("name"), peer.get("pid") and f"(pid {peer['pid']})")),
            ("workspace", _join(local.get("workspace") or m.get("workspace") or "unattributed", _attributed(m))),
            ("may also be", ", ".join(local.get("beside", ())) or None),
            ("sensitivity", m.get("sensitivity")),
            ("repository", local.get("repository")),
            ("branch", _join(local.get("branch"), _at(local.get("commit")))),
            ("task", m.get("task")),
            (
                "endpoint",
                _join(m.get("endpoint"), m.get("endpoint_class") and f"({m['endpoint_class']}, {m.get('provider')})"),
            ),
            ("supported by", m.get("support")),
            ("call", _join(m.get("method"), m.get("route"))),
            ("model", m.get("model")),
            ("sent again", _again(m)),
            ("routed from", _routed(m.get("routed_from"))),
            ("credential", _join(m.get("credential"), m.get("identity") and f"({m['identity']})")),
            ("cost bucket", m.get("cost_bucket")),
            ("tools", _list(m.get("tools"))),
            ("results of tools", _counts(m.get("tool_results"))),
            ("instructions", _instructions(local.get("instructions"))),
            ("attachments", _counts(m.get("attachments"))),
        ),
    )


def _decision(record: Record) -> Paragraph:
    m = record.metadata or {}
    places = {rule["id"]: f"{rule['file']}:{rule['line']}" for rule in (record.local or {}).get("rules") or ()}
    lines = []
    if m.get("effect"):
        lines.append(f"Policy says {m['effect']}.")
    if m.get("paused"):
        found = ", ".join(m.get("found") or ()) or "nothing"
        lines.append(f"Redaction was paused by a person; found and sent as it stood: {found}.")
    if m.get("approval"):
        lines.append(f"A person allowed it, asked about exchange {m['approval']}.")
    for rule in m.get("rules") or ():
        reason = f": {rule['reason']}" if rule.get("reason") else "."
        lines.append(
            f"Rule {rule['id']} ({rule['layer']} layer, {places.get(rule['id'], 'file not recorded')}){reason}"
        )
    obligations = m.get("obligations") or {}
    if obligations:
        lines.append("Obligations: " + ", ".join(f"{name} {what}" for name, what in sorted(obligations.items())) + ".")
    return Paragraph("Decision", tuple(lines))


def _said(record: Record) -> str:
    """One question or answer."""
    m, local = record.metadata or {}, record.local or {}
    event, scope = m.get("event"), (m.get("detail") or {}).get("scope")
    if event == "ask" and (values := (m.get("detail") or {}).get("values")):
        return f"{record.time}  A person was asked whether a command may have values ({values})."
    if event == "ask":
        return f"{record.time}  A person was asked."
    why = f": {m['reason']}" if m.get("reason") else "."
    if event == "approve":
        return f"{record.time}  {local.get('by', 'Somebody')} allowed it ({_SCOPES.get(str(scope), scope)}){why}"
    if event == "deny":
        return f"{record.time}  {local.get('by', 'Somebody')} said no{why}"
    return f"{record.time}  {event}"


def _content(record: Record) -> Paragraph:
    m = record.metadata or {}
    lines = []
    coverage = m.get("coverage")
    if coverage:
        lines.append(
            f"Scanned {_number(coverage['leaves'], 'text leaf', 'text leaves')} ({coverage['bytes']} bytes); "
            f"{coverage['opaque']} opaque."
        )
    if record.findings is None:
        lines.append("The findings were pruned.")
    else:
        lines.append(
            f"{_number(len(record.findings), 'finding', 'findings')}." if record.findings else "Nothing was found."
        )
        for finding in record.findings[:_SHOWN]:
            times = f", {finding['count']} times" if finding.get("count", 1) > 1 else ""
            exposed = "; it had been sent in clear before: rotate it" if finding.get("exposed") else ""
            lines.append(
                f"{finding.get('type')} ({finding.get('class')}, rule {finding.get('rule')}) in {finding.get('place')}{times}: "
                f"{finding.get('action')}{exposed}"
            )
        if len(record.findings) > _SHOWN:
            lines.append(f"and {len(record.findings) - _SHOWN} more")
    return Paragraph("Content", tuple(lines))


def _refusal(record: Record) -> Paragraph:
    m = record.metadata or {}
    return Paragraph(
        "Refusal",
        _lines(
            ("status", m.get("status")),
            ("code", m.get("code")),
            ("origin", m.get("origin")),
            ("by", m.get("rule")),
            ("reason", m.get("reason")),
        ),
    )


def _outcome(record: Record, request: Record | None) -> Paragraph:
    m, local = record.metadata or {}, record.local or {}
    asked = ((request and request.metadata) or {}).get("model")
    served = m.get("model")
    lines = _lines(
        ("state", m.get("state")),
        ("status", m.get("status")),
        ("origin of the failure", m.get("origin")),
        ("error", m.get("error")),
        ("model served", f"{served} (asked for {asked})" if served and asked and served != asked else served),
        ("first byte", _milliseconds(m.get("first_byte_ms"))),
        ("total", _milliseconds(m.get("total_ms"))),
        ("tokens", _counts(m.get("usage"))),
        ("cost", _cost(m)),
        ("tool calls", _counts(m.get("tool_calls"))),
        ("commands", _list([entry["command"] for entry in local.get("commands") or ()])),
        ("files", _list([entry["path"] for entry in local.get("files") or ()])),
        ("restored", _counts(m.get("restored"))),
        ("withheld", m.get("withheld") or None),
    )
    withheld = tuple(
        f"left as a placeholder: {entry.get('type')} in {entry.get('place')}: {entry.get('reason')}"
        for entry in record.findings or ()
    )
    unknown = m.get("unknown_placeholders")
    stale = (
        (f"{_number(unknown, 'placeholder', 'placeholders')} of an earlier run could not be restored.",)
        if unknown
        else ()
    )
    return Paragraph("Outcome", lines + withheld + stale)


def _origin(record: Record, request: Record | None) -> Paragraph:
    replaced = sum(finding.get("count", 1) for finding in (request and request.findings) or ())
    lines = evidence((request and request.metadata) or {}, record.metadata or {}, replaced)
    return Paragraph("Where it came from", lines)


def _cost(metadata: Mapping[str, Any]) -> str | None:
    if metadata.get("cost_usd") is None:
        return None
    basis = {
        "estimate": ", counted by the guard from what was seen",
        "reservation": ", as it was reserved: the guard did not see the end",
    }.get(metadata.get("cost_basis") or "", "")
    return f"{metadata['cost_usd']} USD ({metadata.get('price_source')}){basis}"


def _next_step(request: Record | None, refusal: Record | None, outcome: Record | None) -> str | None:
    if refusal and refusal.metadata:
        return refusal.metadata.get("next_step")
    m = (outcome and outcome.metadata) or {}
    if m.get("state") == "unknown":
        return "Look whether the agent got its answer, and send again if it did not."
    asked = (request and request.metadata) or {}
    advice, support = next_step(asked, m), asked.get("support")
    return f"{advice} {support} supports this endpoint." if advice and support else advice


def _lines(*facts: tuple[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}: {value}" for name, value in facts if value not in (None, "", [], {}))


def _join(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part)


def _routed(asked: Mapping[str, Any] | None) -> str | None:
    return None if asked is None else _join(asked.get("endpoint"), asked.get("model") and f"({asked['model']})")


def _at(commit: Any) -> str | None:
    return f"at {commit[:12]}" if commit else None


def _attributed(metadata: Mapping[str, Any]) -> str | None:
    how = {
        "token": "(by its token)",
        "header": "(by its header)",
        "peer": "(by the calling process)",
        "peers": "(the process serves several)",
    }
    return how.get(metadata.get("attribution", ""))


def _again(m: Mapping[str, Any]) -> str | None:
    """That a request is another attempt, by what the client says and by what was sent before."""
    told = (f"the client's retry {m['retry']}" if m.get("retry") else None, m.get("repeats") and f"as {m['repeats']}")
    return ", ".join(filter(None, told)) or None


def _instructions(files: Sequence[Mapping[str, Any]] | None) -> str | None:
    changed = {False: " (not as on disk)"}
    return ", ".join(f"{file['name']}{changed.get(file.get('matches_disk', True), '')}" for file in files or ()) or None


def _list(values: Sequence[Any] | None) -> str | None:
    if not values:
        return None
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more


def _counts(counts: Mapping[str, Any] | None) -> str | None:
    return ", ".join(f"{name} {count}" for name, count in sorted((counts or {}).items())) or None


def _milliseconds(value: Any) -> str | None:
    return None if value is None else f"{value} ms"


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


_SHOWN = 20
_SCOPES = {
    "once": "this request",
    "session": "for its session",
    "hour": "for an hour",
    "task": "for its task",
}
