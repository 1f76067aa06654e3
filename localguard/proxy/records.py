"""The records of an exchange, as `audit.fields` names them. Nothing here knows a raw value."""

from collections import Counter

from localguard.audit.erasure import name_in_metadata
from localguard.audit.fields import (
    CommandEntry,
    ExchangeContext,
    FileEdit,
    FindingEntry,
    InstructionFile,
    IntentLocal,
    IntentMetadata,
    ObligationsEntry,
    OutcomeLocal,
    OutcomeMetadata,
    RuleSource,
    WithheldEntry,
)
from localguard.audit.record import timestamp
from localguard.exchange.calls import command_texts, edited_files
from localguard.exchange.items import Replaced
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.reply import ReplyRestorer
from localguard.exchange.request import Redacted
from localguard.policy.model import Recording
from localguard.policy.obligations import Obligations
from localguard.policy.price import spelled
from localguard.proxy.billing import Bill
from localguard.proxy.callers import Caller
from localguard.proxy.known_heads import retries_of
from localguard.proxy.live import Exchange
from localguard.wire.refusal import Refusal

_MAX_FINDINGS = 500
"""Entries of one record; the rest is counted in the last one."""
_MAX_COMMANDS = 100
_MAX_COMMAND = 2000
"""Characters."""
_MAX_FILES = 100


def context(exchange: Exchange) -> ExchangeContext:
    """Who sends what where. What was not redacted is not written down."""
    caller, facts, decision = exchange.caller, exchange.facts, exchange.decision
    endpoint, workspace = caller.endpoint, caller.workspace
    made = ExchangeContext(
        agent=caller.agent,
        agent_version=caller.agent_version,
        workspace=workspace_name(caller, exchange.memory),
        attribution=caller.attribution,  # type: ignore[typeddict-item]
        sensitivity=str(workspace.sensitivity),
        task=caller.task,
        cost_bucket=workspace.cost_bucket,
        endpoint=endpoint.name,
        endpoint_class=str(endpoint.endpoint_class),
        provider=endpoint.kind,
        region=endpoint.region,
        retention=endpoint.retention,
        contract=endpoint.contract,
        support=endpoint.support,
        credential=endpoint.credential_alias,
        identity=endpoint.identity,
        wire=exchange.format.name,
        method=exchange.method,
        route=exchange.route,
        transport="http",
        policy=caller.policy_digest,
    )
    if exchange.fell_back_from is not None:
        made["fell_back_from"] = exchange.fell_back_from
    if retries := retries_of(exchange.admitted.headers):
        made["retry"] = retries
    if exchange.repeats is not None:
        made["repeats"] = exchange.repeats
    if caller.elsewhere:
        made["token_elsewhere"] = True
    if facts is not None:
        made["model"] = facts.model if exchange.redacted is not None else None
        made["tools"] = list(facts.tools)[:200]
        made["instructions"] = [digest for _, digest in facts.instructions]
        made["attachments"] = dict.fromkeys(sorted(facts.attachments), 1)
        made["coverage"] = {"leaves": facts.leaves, "opaque": facts.opaque, "bytes": facts.body_bytes}
        made["request_bytes"] = facts.body_bytes
        came = facts.tool_results
        if came.returned:
            made["tool_results"] = {"returned": came.returned, "failed": came.failed}
        if came.tests:
            made["tests"] = came.tests
        if facts.stream is not None:
            made["stream"] = facts.stream
    if exchange.paused:
        made["paused"] = True
        made["found"] = sorted(facts.types) if facts is not None else []
    if exchange.approval is not None:
        made["approval"] = exchange.approval
    if decision is not None:
        obligations = decision.obligations
        made["effect"] = str(decision.effect)
        made["rules"] = [
            {"id": rule.id, "layer": str(rule.layer), "reason": rule.reason, "fields": list(rule.fields)}
            for rule in decision.deciding
        ]
        made["obligations"] = _obligations(obligations)
    if exchange.routed is not None:
        asked = exchange.routed.model if exchange.redacted is not None else None
        made["routed_from"] = {"endpoint": exchange.routed.endpoint, "model": asked}
    return made


def _obligations(obligations: Obligations) -> ObligationsEntry:
    """The four of every request, and of the others those that are not at their default."""
    made = ObligationsEntry(
        secret=str(obligations.secret),
        pii=str(obligations.pii),
        custom=str(obligations.custom),
        attachments=str(obligations.attachments),
    )
    if obligations.kept:
        made["kept"] = ", ".join(sorted(obligations.kept))
    if obligations.asks:
        made["asks"] = "secret"
    if obligations.record is Recording.METADATA:
        made["record"] = str(obligations.record)
    if obligations.max_input_tokens is not None:
        made["max_input_tokens"] = str(obligations.max_input_tokens)
    if obligations.require_task:
        made["task"] = "required"
    if obligations.route is not None:
        made["route"] = obligations.route.endpoint
    return made


def keeps_findings(exchange: Exchange) -> bool:
    """Whether what was found is written down, or only how it was decided on."""
    return exchange.decision is None or exchange.decision.obligations.record is Recording.FINDINGS


def local(exchange: Exchange) -> IntentLocal:
    """Where the work lies on this machine."""
    caller, facts, decision = exchange.caller, exchange.facts, exchange.decision
    workspace, peer = caller.workspace, caller.peer
    made = IntentLocal(
        workspace=workspace.name,
        repository=workspace.repository,
        branch=workspace.branch,
        commit=workspace.commit,
        root=str(workspace.root) if workspace.root else None,
        path=exchange.route,
    )
    if peer is not None and peer.pid is not None:
        made["peer"] = {"pid": peer.pid, "exe": peer.exe or "", "name": peer.name, "cwd": str(peer.cwd or "")}
    if workspace.beside:
        made["beside"] = [one.name for one in workspace.beside]
    if decision is not None:
        made["rules"] = [
            RuleSource(id=rule.id, file=rule.file, line=rule.line) for rule in decision.deciding if rule.file
        ]
    if facts is not None and facts.instructions:
        made["instructions"] = [_instruction(exchange, *one) for one in facts.instructions]
    return made


def _instruction(exchange: Exchange, name: str, digest: str) -> InstructionFile:
    made = InstructionFile(name=name, digest=digest)
    matches = exchange.memory.instructions.get((name, digest))
    if matches is not None:
        made["matches_disk"] = matches
    return made


def findings(redacted: Redacted) -> list[FindingEntry]:
    """What was replaced, one entry a value and place."""
    counts: Counter[Replaced] = Counter(redacted.replaced)
    exposed = {(one.type, one.fingerprint) for one in redacted.exposed}
    entries: list[FindingEntry] = []
    for one, count in counts.items():
        entry: FindingEntry = {
            "type": one.type,
            "class": one.data_class,
            "rule": one.rule,
            "place": one.location,
            "fingerprint": one.fingerprint,
            "action": "redacted",
        }
        if count > 1:
            entry["count"] = count
        if (one.type, one.fingerprint) in exposed:
            entry["exposed"] = True
        entries.append(entry)
    if len(entries) > _MAX_FINDINGS:
        entries[_MAX_FINDINGS - 1]["count"] = len(entries) - _MAX_FINDINGS + 1
        del entries[_MAX_FINDINGS:]
    return entries


def outcome(
    reply: ReplyRestorer | None, *, state: str, status: int | None, origin: str | None, error: str | None
) -> OutcomeMetadata:
    """How an exchange ended; times and sizes are added by who measured them."""
    made = OutcomeMetadata(state=state, status=status, origin=origin, error=error)  # type: ignore[typeddict-item]
    if reply is not None:
        observed = reply.observed
        made["model"] = observed.model
        made["finish"] = observed.stop
        made["usage"] = observed.usage.as_record() if observed.usage.seen else None  # type: ignore[typeddict-item]
        made["tool_calls"] = dict(Counter(call.tool for call in reply.tool_calls))
        made["restored"] = dict(reply.report.restored)
        made["withheld"] = len(reply.report.withheld)
        made["unknown_placeholders"] = len(reply.report.unknown)
        made["near_misses"] = reply.report.near_misses
    return made


def refused(refusal: Refusal) -> dict[str, object]:
    """What the agent is told of a refusal."""
    return {
        "status": refusal.status,
        "code": f"localguard_{refusal.code}",
        "origin": refusal.origin,
        "reason": refusal.reason,
        "next_step": refusal.next_step,
        "rule": refusal.rule,
    }


def reservation(exchange: Exchange) -> IntentMetadata:
    """What an exchange is expected to cost at most, and by which price; nothing where nothing is billed."""
    if exchange.price is None:
        return IntentMetadata()
    made = IntentMetadata(reserved_usd=spelled(exchange.reserved), price_source=exchange.price.source)
    if exchange.billed_at is not None:
        made["billed_at"] = timestamp(exchange.billed_at)
    return made


def cost(bill: Bill | None) -> OutcomeMetadata:
    """What an exchange cost, by which price, counted by whom; nothing where nothing is billed."""
    made: OutcomeMetadata = {}  # type: ignore[typeddict-item]  # to be joined with the rest
    if bill is not None:
        made["cost_usd"] = spelled(bill.cost)
        made["price_source"] = bill.price.source
        made["price_known"] = bill.price.known
        made["cost_basis"] = bill.basis
    return made


def withheld(reply: ReplyRestorer | None) -> list[WithheldEntry]:
    """The placeholders that were not turned back, and why."""
    if reply is None:
        return []
    return [
        {"type": one.type, "class": str(one.data_class), "place": str(one.place), "reason": one.reason}
        for one in reply.report.withheld[:_MAX_FINDINGS]
    ]


def asked(exchange: Exchange) -> OutcomeLocal:
    """The commands and edits that a reply asked the agent for, as the model wrote them: placeholders, not values."""
    reply = exchange.reply
    if reply is None:
        return OutcomeLocal()
    made = OutcomeLocal()
    commands = [
        CommandEntry(tool=call.tool, command=text[:_MAX_COMMAND])
        for call in reply.tool_calls
        for text in command_texts(call)
    ]
    files = [FileEdit(tool=call.tool, path=path) for call in reply.tool_calls for path in edited_files(call)]
    files += [FileEdit(tool="", path=path) for path in reply.files]
    if commands:
        made["commands"] = commands[:_MAX_COMMANDS]
    if files:
        made["files"] = files[:_MAX_FILES]
    return made


def workspace_name(caller: Caller, memory: WorkspaceMemory) -> str | None:
    """The name that policy gave the workspace; a keyed digest where it says something local (a repository)."""
    workspace = caller.workspace
    if not workspace.attributed:
        return None
    configured = not workspace.id.startswith(("repo:", "dir:"))
    return workspace.name if configured else name_in_metadata(workspace.id, memory.name)
