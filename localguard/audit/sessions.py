"""One agent session, told from its records alone: which model, endpoint, identity, repository, tools, commands, approver. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from decimal import Decimal
from typing import Any

from localguard.audit.amounts import counts, sent_again, spent, tests_run, whole
from localguard.audit.queries import Record

_MOST_COMMANDS = 1_000
_MCP = "mcp__"
"""What agents name the tools of MCP servers: `mcp__<server>__<tool>`."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction file that was seen. `matches_disk` is None where nobody compared."""

    name: str
    digest: str
    matches_disk: bool | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command that the model asked the agent to run, with placeholders in place of values."""

    time: str
    tool: str
    command: str


@dataclass(frozen=True, slots=True)
class Approval:
    """What somebody said, and about what: `event` is `approve`, `deny` or `session-approval`.

    Or what git says, where policy lets it count: `commit-author` or `merge`, with the commit.
    """

    time: str
    event: str
    by: str | None
    """The user of this machine."""
    why: str
    identity: str | None = None
    """Who that is by git's configuration, `Name <address>`, as the caller said it; or by a commit."""


@dataclass(slots=True)
class Session:
    """What the records of one session say. Counters count exchanges unless they say otherwise; sections that were pruned are missing."""

    id: str
    began: str = ""
    ended: str = ""
    """Times of the first and the last record, RFC 3339."""
    exchanges: int = 0
    refused: int = 0
    failed: int = 0
    """Ended in another state than completed."""
    retried: int = 0
    """Sent again: the client said so, or it was the same request as an earlier one."""
    agents: Counter[str] = field(default_factory=Counter)
    """With version."""
    models: Counter[str] = field(default_factory=Counter)
    """As asked for."""
    served: Counter[str] = field(default_factory=Counter)
    """As the provider names what answered."""
    endpoints: Counter[str] = field(default_factory=Counter)
    """`name (class)`."""
    identities: Counter[str] = field(default_factory=Counter)
    """`credential (identity)`."""
    buckets: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    """Digests."""
    rules: Counter[str] = field(default_factory=Counter)
    """Deciding rules, as `layer/id`."""
    sensitivities: Counter[str] = field(default_factory=Counter)
    workspaces: Counter[str] = field(default_factory=Counter)
    roots: Counter[str] = field(default_factory=Counter)
    """Top directories of the work trees."""
    repositories: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    commits: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    """Enabled, by the number of exchanges that enabled them."""
    calls: Counter[str] = field(default_factory=Counter)
    """Calls of tools."""
    instructions: tuple[Instruction, ...] = ()
    tests: Counter[str] = field(default_factory=Counter)
    """Runs of tests by the agent: passed, failed, unknown."""
    commands: list[Command] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    """Files that the model asked to write, by the number of edits."""
    refusals: Counter[str] = field(default_factory=Counter)
    """By code."""
    origins: Counter[str] = field(default_factory=Counter)
    """Where failures came from."""
    redactions: Counter[str] = field(default_factory=Counter)
    """Values replaced, by type."""
    exposed: int = 0
    withheld: int = 0
    restored: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    cost_usd: Decimal = Decimal(0)
    prices: Counter[str] = field(default_factory=Counter)
    """Sources of the prices."""
    first_byte_ms: list[int] = field(default_factory=list)
    total_ms: list[int] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)

    @property
    def mcp_servers(self) -> tuple[str, ...]:
        """Servers whose tools were enabled, sorted."""
        return tuple(
            sorted({name.split("__")[1] for name in self.tools if name.startswith(_MCP) and name.count("__") > 1})
        )


def session_of(id: str, records: Iterable[Record]) -> Session:
    """Fold the records of a session, in order of seq. What a record does not say is left out and not guessed."""
    session = Session(id)
    instructions: dict[tuple[str, str], Instruction] = {}
    for record in records:
        session.began = session.began or record.time
        session.ended = record.time
        metadata, local = record.metadata or {}, record.local or {}
        if record.kind in ("intent", "refusal"):
            _request(session, metadata, local)
            for one in local.get("instructions") or ():
                made = Instruction(str(one.get("name")), str(one.get("digest")), one.get("matches_disk"))
                instructions[made.name, made.digest] = made
        if record.kind == "intent":
            session.exposed += whole(metadata.get("exposed"))
            for finding in record.findings or ():
                if finding.get("action") == "redacted":
                    session.redactions[str(finding.get("type"))] += whole(finding.get("count"), 1)
        elif record.kind == "refusal":
            session.refused += 1
            _count(session.refusals, metadata.get("code"))
        elif record.kind == "outcome":
            _outcome(session, record.time, metadata, local)
        elif record.kind == "control" and metadata.get("event") in ("approve", "deny", "session-approval"):
            by, why, identity = local.get("by"), str(metadata.get("reason") or ""), local.get("identity")
            session.approvals.append(Approval(record.time, str(metadata["event"]), by, why, identity))
    session.instructions = tuple(sorted(instructions.values(), key=lambda one: (one.name, one.digest)))
    return session


def session_data(session: Session) -> dict[str, Any]:
    """A session as programs read it: its fields by name, and its MCP servers; amounts are decimal digits."""
    data = {one.name: _plain(getattr(session, one.name)) for one in fields(session)}
    return {**data, "mcp_servers": session.mcp_servers, "cost_usd": str(session.cost_usd)}


def _plain(value: Any) -> Any:
    """A value of the session for JSON; `asdict` cannot copy counters."""
    if isinstance(value, list | tuple):
        return [asdict(one) if is_dataclass(one) and not isinstance(one, type) else one for one in value]
    return value


def _request(session: Session, metadata: Mapping[str, Any], local: Mapping[str, Any]) -> None:
    session.exchanges += 1
    session.retried += sent_again(metadata)
    session.tests.update(tests_run(metadata))
    _count(session.agents, " ".join(filter(None, (metadata.get("agent"), metadata.get("agent_version")))))
    _count(session.models, metadata.get("model"))
    _count(session.endpoints, _with(metadata.get("endpoint"), metadata.get("endpoint_class")))
    _count(session.identities, _with(metadata.get("credential"), metadata.get("identity")))
    _count(session.buckets, metadata.get("cost_bucket"))
    _count(session.policies, metadata.get("policy"))
    _count(session.sensitivities, metadata.get("sensitivity"))
    _count(session.tasks, metadata.get("task"))
    _count(session.workspaces, local.get("workspace") or metadata.get("workspace"))
    _count(session.roots, local.get("root"))
    _count(session.repositories, local.get("repository"))
    _count(session.branches, local.get("branch"))
    _count(session.commits, local.get("commit"))
    for rule in metadata.get("rules") or ():
        _count(session.rules, f"{rule.get('layer')}/{rule.get('id')}")
    session.tools.update(metadata.get("tools") or ())


def _outcome(session: Session, time: str, metadata: Mapping[str, Any], local: Mapping[str, Any]) -> None:
    session.failed += metadata.get("state") != "completed"
    _count(session.served, metadata.get("model"))
    _count(session.origins, metadata.get("origin"))
    session.withheld += whole(metadata.get("withheld"))
    session.restored += sum(counts(metadata, "restored").values())
    session.calls.update(counts(metadata, "tool_calls"))
    session.tokens.update(counts(metadata, "usage"))
    session.cost_usd += spent(metadata)
    if metadata.get("cost_usd") is not None:
        _count(session.prices, metadata.get("price_source"))
    for name, times in (("first_byte_ms", session.first_byte_ms), ("total_ms", session.total_ms)):
        if isinstance(metadata.get(name), int):
            times.append(metadata[name])
    for one in local.get("commands") or ():
        if len(session.commands) < _MOST_COMMANDS:
            session.commands.append(Command(time, str(one.get("tool")), str(one.get("command"))))
    for one in local.get("files") or ():
        _count(session.files, one.get("path"))


def _count(counter: Counter[str], name: object) -> None:
    if isinstance(name, str) and name:
        counter[name] += 1


def _with(name: Any, what: Any) -> str | None:
    return f"{name} ({what})" if name and what else name
