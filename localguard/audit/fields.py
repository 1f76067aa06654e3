"""What the records hold: the name and type of every field, as the proxy writes them and `explain` reads them.

The list follows design section 8. A record has three sections that can be disclosed or dropped one by one:

* ``metadata`` may leave this machine where the developer opted in. Nothing local stands here: no path, repository, branch,
  command or file name. Where it must speak of something local it carries a keyed digest.
* ``findings`` says what was detected and what was done about it, never the value.
* ``local`` stays here: repository, branch, commit, paths, commands, file names.

Every value is a string, an integer below 2^53, a boolean, null, a list or an object. Money and times are strings (USD as
decimal digits; RFC 3339 in UTC); durations are whole milliseconds. Floats are refused. The store itself adds ``exchange``
and ``session`` to ``metadata``.
"""

from typing import Literal, Required, TypedDict

Action = Literal["redacted", "allowed", "blocked"]
"""What was done about a finding: replaced by a placeholder, left as it stood by policy, or the reason of a refusal."""

Attribution = Literal["token", "header", "peer", "peers", "none"]
"""How the workspace was found: a local token, the workspace header, the peer process, all places where that works, or not
at all."""

CostBasis = Literal["usage", "estimate", "reservation", "nothing"]
"""What a cost was counted by: the provider's own counts; what was seen of request and reply, where the provider counted
nothing or broke off; the reservation, where the guard stopped before the end; nothing, where nothing was carried out."""

OutcomeState = Literal["completed", "failed", "cut", "cancelled", "unknown"]
"""completed: the reply came whole; failed: an error answer or none; cut: the upstream broke off; cancelled: the agent hung
up; unknown: the guard stopped before the outcome was recorded."""

FailureOrigin = Literal[
    "agent",
    "instructions",
    "guard",
    "policy",
    "redaction",
    "budget",
    "network",
    "gateway",
    "provider",
    "rate limit",
    "local model",
    "tool",
]
"""Where a failure came from (design section 8)."""


class RuleEntry(TypedDict, total=False):
    """One policy rule that decided. Its file and line are in the ``local`` section (`RuleSource`)."""

    id: Required[str]
    layer: Required[str]
    reason: str
    fields: list[str]
    """The conditions that the rule makes; all of them matched."""


class RuleSource(TypedDict):
    """Where a deciding rule stands."""

    id: str
    file: str
    line: int


class ObligationsEntry(TypedDict, total=False):
    """What policy asked for: by data class ``allow``, ``redact`` or ``block``; the others where they are not the default."""

    secret: Required[str]
    pii: Required[str]
    custom: Required[str]
    attachments: Required[str]
    kept: str
    """Classes whose placeholders stay in replies."""
    asks: str
    """Classes about which a person is asked where a reply's tool call would not be given their values."""
    record: str
    """``metadata``: what was found is not in ``findings``."""
    max_input_tokens: str
    task: str
    """``required``."""
    route: str
    """The endpoint that the request was sent to instead."""


class RoutedFrom(TypedDict):
    """What the agent asked for, where policy sent its request elsewhere."""

    endpoint: str
    model: str | None


class Coverage(TypedDict, total=False):
    """How much of a request was looked at."""

    leaves: Required[int]
    """Text leaves scanned, object keys and nested JSON included."""
    opaque: Required[int]
    """Leaves that went through unread: signed, encrypted, media."""
    bytes: Required[int]
    """UTF-8 bytes of all scanned leaves."""
    opaque_bytes: int
    cached: int
    """Of the leaves, those whose result was known from an earlier request."""


class ExchangeContext(TypedDict, total=False):
    """Who sends what where: shared by intents and refusals. A field that is not known is null or absent."""

    agent: str | None
    agent_version: str | None
    workspace: str | None
    """Name from the policy file, else a keyed digest; null where the work is unattributed."""
    attribution: Attribution
    fell_back_from: str
    """The endpoint that could not be reached before this one was tried."""
    retry: int
    """How often the client says that it has sent this request before; absent for none."""
    repeats: str
    """The exchange that sent the same request before, where this one holds nothing new."""
    token_elsewhere: bool
    """The token is one workspace's, and the process at work in another, which binds too (`beside` in ``local``)."""
    sensitivity: str
    task: str | None
    cost_bucket: str | None
    endpoint: str | None
    endpoint_class: str | None
    provider: str | None
    """Endpoint kind, as in the policy file: ``openai``, ``anthropic``, …"""
    region: str | None
    retention: str | None
    contract: str | None
    support: str | None
    """Who owns a failure of this endpoint."""
    wire: str | None
    """Wire format: ``chat``, ``responses``, ``messages``, ``ollama``, …"""
    method: str
    route: str
    """Path template without query, e.g. ``/v1/chat/completions``."""
    transport: str
    """``http`` or ``websocket``."""
    stream: bool
    model: str | None
    """Model requested."""
    credential: str | None
    """Alias, never the key: ``client`` or ``keyring:NAME``."""
    identity: str | None
    """Whose key it is: ``personal``, ``team``, ``service``."""
    policy: str | None
    """Digest of the policy in force."""
    paused: bool
    """A person had paused redaction: what was found went out as it stood."""
    found: list[str]
    """Of a paused exchange only: types and classes of what was found."""
    approval: str
    """The exchange about which somebody was asked; its control records say who allowed what."""
    effect: str | None
    """``allow``, ``deny`` or ``ask``."""
    rules: list[RuleEntry]
    obligations: ObligationsEntry
    routed_from: RoutedFrom
    """Where policy routed the request; ``endpoint`` and ``model`` are those that it went to."""
    coverage: Coverage
    tools: list[str]
    """Names of the tools that the request enables."""
    instructions: list[str]
    """Keyed digests of the instruction files seen; their names are in ``local``."""
    attachments: dict[str, int]
    """Kind of attachment to how many of it."""
    tool_results: dict[str, int]
    """Results of tools that the request brings since the model spoke last: ``returned``, and ``failed`` as they say themselves."""
    tests: dict[str, int]
    """Runs of tests among those results: ``passed``, ``failed`` and ``unknown``, by exit code or the runner's last words."""
    request_bytes: int
    """Decoded body as the agent sent it."""


class IntentMetadata(ExchangeContext, total=False):
    """The ``metadata`` of an intent: durable before the first byte goes upstream (P1)."""

    upstream_bytes: int
    """Body as it goes upstream."""
    exposed: int
    """Values found in text that had gone out before; they should be rotated (P5)."""
    reserved_usd: str
    """The most that this exchange is expected to cost, counted against budgets until it has ended."""
    price_source: str
    """By which price that is; see `OutcomeMetadata`."""
    billed_at: str
    """The time by which budgets go, where the machine's clock is not believed."""


class InstructionFile(TypedDict, total=False):
    """An instruction file seen in a request."""

    name: Required[str]
    digest: Required[str]
    """The keyed digest that stands in ``metadata``."""
    matches_disk: bool
    """Whether what the agent sent holds the file as it was in the work tree then; absent where nobody can tell."""


class PeerEntry(TypedDict, total=False):
    """The process at the other end of the connection."""

    pid: int
    exe: str
    name: str
    cwd: str


class IntentLocal(TypedDict, total=False):
    """The ``local`` of an intent or a refusal."""

    workspace: str | None
    """The workspace's readable name where ``metadata`` carries a digest of it."""
    repository: str | None
    """``host/owner/repo``, without credentials."""
    branch: str | None
    commit: str | None
    root: str | None
    """Top directory of the work tree."""
    path: str | None
    """The request's path as it came, without token and query."""
    peer: PeerEntry | None
    beside: list[str]
    """Names of other workspaces that bind the request too: it may be their work, or says that it is."""
    rules: list[RuleSource]
    instructions: list[InstructionFile]


FindingEntry = TypedDict(
    "FindingEntry",
    {
        "type": Required[str],
        "class": Required[str],
        "rule": Required[str],
        "place": Required[str],
        "fingerprint": str,
        "action": Required[Action],
        "count": int,
        "exposed": bool,
    },
    total=False,
)
"""One entry of the ``findings`` of an intent or a refusal: ``type`` as in the placeholder, ``class`` secret, pii or custom,
``place`` the path of the leaf (``messages[3].content``), ``fingerprint`` keyed with the workspace's fingerprint key, ``count``
how often it stands there (1 where absent), ``exposed`` whether it had gone out in clear before."""

WithheldEntry = TypedDict(
    "WithheldEntry",
    {"type": Required[str], "class": Required[str], "place": Required[str], "reason": Required[str], "tool": str},
    total=False,
)
"""One entry of the ``findings`` of an outcome: a placeholder that was not restored, where, and why."""


class Usage(TypedDict, total=False):
    """Tokens by kind, as the provider counted them. ``input`` excludes the cached ones."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    """Of ``cache_write``, what is kept for an hour."""
    reasoning: int


class OutcomeMetadata(TypedDict, total=False):
    """The ``metadata`` of an outcome."""

    state: Required[OutcomeState]
    status: int | None
    """HTTP status that the agent got; null where there was none."""
    origin: FailureOrigin | None
    """Null where nothing failed."""
    error: str | None
    """Short code of the failure, e.g. the provider's error type; never its text."""
    model: str | None
    """Model served."""
    model_digest: str | None
    quantisation: str | None
    provider_request: str | None
    """The provider's own request id."""
    finish: str | None
    """The provider's reason for stopping."""
    sent_ms: int | None
    """Until the request was read, scanned, decided on and recorded, and could be sent."""
    first_byte_ms: int | None
    total_ms: int | None
    reply_bytes: int
    usage: Usage | None
    cost_usd: str | None
    """Decimal digits, e.g. ``0.00431``."""
    price_source: str | None
    """List and version, or the policy's table, and which model's price it is."""
    price_known: bool
    """False where a high price stands in for one that nobody gave."""
    cost_basis: CostBasis
    tool_calls: dict[str, int]
    """Name of the tool to number of calls in the reply."""
    restored: dict[str, int]
    """Type of placeholder to number of restorations."""
    withheld: int
    unknown_placeholders: int
    """Own placeholders in the reply whose value this process does not know."""
    near_misses: int


class CommandEntry(TypedDict, total=False):
    """A command that the reply asked the agent to run, as it looked before restoration."""

    tool: Required[str]
    command: Required[str]


class FileEdit(TypedDict):
    """A file that the reply asked the agent to write, as the model wrote it, before restoration."""

    tool: str
    """Empty where the edit stood in prose."""
    path: str


class OutcomeLocal(TypedDict, total=False):
    """The ``local`` of an outcome."""

    commands: list[CommandEntry]
    files: list[FileEdit]


class RefusalMetadata(ExchangeContext, total=False):
    """The ``metadata`` of a refusal: nothing of the request went upstream."""

    status: Required[int]
    """HTTP status of the answer."""
    code: Required[str]
    """``localguard_…``, as in the answer."""
    origin: Required[FailureOrigin]
    reason: Required[str]
    next_step: Required[str]
    rule: str
    """What refused it: a rule of the policy, a budget, a limit, or a rule that the guard itself keeps."""


class MetadataCall(TypedDict):
    """Bodiless calls of one kind (model lists, version, ``HEAD /``) that were counted together."""

    endpoint: str
    method: str
    path: str
    status: int
    workspace: str | None
    count: int


class ControlMetadata(TypedDict, total=False):
    """The ``metadata`` of a control record."""

    event: Required[str]
    """``start``, ``stop``, ``policy-change``, ``pause``, ``resume``, ``key``, ``approval``, ``prune``, ``erase``, ``sync-consent``, ``metadata-calls``, …"""
    reason: str
    detail: dict[str, str | int | bool | None]
    calls: list[MetadataCall]
    """Of ``metadata-calls`` only."""
    since: str
    """Of ``metadata-calls`` only: the time of the first call."""


class CheckpointMetadata(TypedDict):
    """The ``metadata`` of a checkpoint record: it covers all records before it."""

    size: int
    """How many those are."""
    note: str
    """A C2SP signed note, see `audit.checkpoint`."""
    key: str
    """The verifier key of the device that signed it."""
