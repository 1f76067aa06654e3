"""The values of a policy: endpoints, workspaces, rules, budgets, and the work that they are asked about.

Everything here is frozen and free of disk, clock and sockets. Field names are those of the policy file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

from localguard.policy.price import PriceRule, Pricing
from localguard.policy.times import TimeWindow


class _Ordered(StrEnum):
    """A closed list of words, ordered as written: the first is the smallest."""

    @cached_property
    def rank(self) -> int:
        """Place in the order, 0 for the smallest."""
        return list(type(self)).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < _rank(self, other)

    def __le__(self, other: str) -> bool:
        return self.rank <= _rank(self, other)

    def __gt__(self, other: str) -> bool:
        return self.rank > _rank(self, other)

    def __ge__(self, other: str) -> bool:
        return self.rank >= _rank(self, other)


def _rank(one: _Ordered, other: str) -> int:
    """Return the rank of another word of the same list; any other word is a ValueError, a member of another list too."""
    return (other if isinstance(other, type(one)) else type(one)(other)).rank


class EndpointClass(StrEnum):
    """Where an endpoint computes: on this machine, under the company's contract, at a provider, or on trial."""

    LOCAL = "local"
    ENTERPRISE = "enterprise"
    HOSTED = "hosted"
    EXPERIMENTAL = "experimental"


class Sensitivity(_Ordered):
    """How sensitive the work of a workspace is; ordered, `restricted` is the highest."""

    PUBLIC = "public"
    INTERNAL = "internal"
    SENSITIVE = "sensitive"
    RESTRICTED = "restricted"


class Effect(_Ordered):
    """What a rule or a decision says; ordered, `deny` is the strictest."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Obligation(_Ordered):
    """What must be done with one data class before anything leaves; ordered, `block` is the strictest."""

    ALLOW = "allow"
    REDACT = "redact"
    BLOCK = "block"


class Restoring(_Ordered):
    """What a reply may turn placeholders of one data class back into; ordered, `keep` (they stay) is the strictest.

    `restore` leaves secrets out of what reaches beyond this machine; `ask` has a person asked about those.
    """

    ASK = "ask"
    RESTORE = "restore"
    KEEP = "keep"


class Recording(_Ordered):
    """How much of what was found in a request is written down; ordered, `findings` is the strictest."""

    METADATA = "metadata"
    FINDINGS = "findings"


class LayerName(_Ordered):
    """Whose policy a layer is; ordered, the organisation stands above the user, the user above a repository."""

    ORGANISATION = "organisation"
    USER = "user"
    REPOSITORY = "repository"


UNATTRIBUTED: Final = "unattributed"
"""The workspace name of work that cannot be attributed; no configured workspace may carry it."""


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """How an endpoint is used. Times are seconds."""

    read_timeout: float | None = None
    """Without a byte of the reply; None for the default."""
    connect_timeout: float | None = None
    retries: int = 0
    """Further attempts where no connection came about; what may have reached the provider is never sent again."""
    at_once: int | None = None
    """Requests under way together."""
    per_minute: int | None = None
    wait: float = 30.0
    """How long a request waits for its turn."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One upstream: the first path segment of a guard address, and what stands behind it."""

    name: str
    kind: str
    base_url: str
    """Scheme, host, port and path prefix without a slash at its end; no user, query or fragment."""
    endpoint_class: EndpointClass
    credential: str = "client"
    """`client` (what the agent sends goes on), `keyring:NAME` or `command:LINE` (the guard adds its own)."""
    identity: str | None = None
    """`personal`, `team`, `service`, or None where the policy does not say whose key this is."""
    support: str | None = None
    auth_headers: tuple[str, ...] = ()
    """Further credential positions, header names in lower case."""
    region: str | None = None
    retention: str | None = None
    contract: str | None = None
    ca_file: str | None = None
    """PEM file of certificate authorities trusted for this endpoint, beside the system's."""
    limits: EndpointLimits = field(default_factory=EndpointLimits)
    fallback: str | None = None
    """Where requests go instead, if policy allows that too, when no connection comes about."""
    own_class: EndpointClass = EndpointClass.HOSTED
    """The class that kind and address give it, whatever the file says: what another layer than its own goes by."""
    file: str = ""
    line: int = 0

    @property
    def keyring_name(self) -> str | None:
        """NAME of `keyring:NAME`, None when the agent's own credential is passed on."""
        return self.credential.removeprefix("keyring:") if self.credential.startswith("keyring:") else None

    @property
    def credential_command(self) -> str | None:
        """LINE of `command:LINE`, None for any other credential."""
        return self.credential.removeprefix("command:") if self.credential.startswith("command:") else None

    @property
    def credential_alias(self) -> str:
        """What lists and records call the credential: of a command line its first word, without directories."""
        if (command := self.credential_command) is None:
            return self.credential
        first = command.split()[0] if command.split() else ""
        return f"command:{first.replace(chr(92), '/').rpartition('/')[2]}"


@dataclass(frozen=True, slots=True)
class WorkspaceRule:
    """A named workspace: which repositories and directories it is, and what its work is worth protecting."""

    name: str
    remotes: tuple[str, ...] = ()
    """Globs over `host/owner/repo`, any case; `*` crosses `/`."""
    paths: tuple[str, ...] = ()
    """Globs over absolute directories; a directory covers what lies below it; `~` is the user's home."""
    markers: tuple[str, ...] = ()
    """Relative paths of files; one that exists in the directory of the work, or above it in its repository, marks it."""
    sensitivity: Sensitivity = Sensitivity.INTERNAL
    cost_bucket: str | None = None
    tasks: tuple[tuple[str, str], ...] = ()
    """(branch glob, task category) in file order; the first that matches names the task."""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of a rule: None is "not given"; all that are given must match, each by any of its entries.

    Entries of `sensitivity` and `classes` are words; all others are globs (`*`, `?`), matched whole and in any case.
    """

    workspaces: tuple[str, ...] | None = None
    sensitivity: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    identities: tuple[str, ...] | None = None
    agents: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    findings: tuple[str, ...] | None = None
    attachments: tuple[str, ...] | None = None
    times: tuple[TimeWindow, ...] | None = None


@dataclass(frozen=True, slots=True)
class Redact:
    """What a rule wants done with each data class; None casts no vote."""

    secret: Obligation | None = None
    pii: Obligation | None = None
    custom: Obligation | None = None
    attachments: Obligation | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """What a rule wants to become of placeholders in replies; None casts no vote."""

    secret: Restoring | None = None
    pii: Restoring | None = None
    custom: Restoring | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Send the request to another endpoint of the same wire format instead, which has to be allowed by itself."""

    endpoint: str
    models: tuple[tuple[str, str], ...] = ()
    """(model glob, name at that endpoint) in file order; a model that no glob matches keeps its name."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a layer."""

    id: str
    effect: Effect
    when: When = When()
    reason: str = ""
    redact: Redact = Redact()
    restore: Restore = Restore()
    record: Recording | None = None
    max_input_tokens: int | None = None
    """By the estimate of `price.tokens_of`."""
    require_task: bool = False
    route: Route | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model by its name, and what endpoints call it: a deployment's name, a dated version."""

    name: str
    aliases: tuple[str, ...]
    """Globs, any case."""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ModelGroup:
    """Models that rules and budgets speak of together, as `group:NAME`."""

    name: str
    models: tuple[str, ...]
    """Globs, any case."""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """A spending limit; `limit_usd` is in US dollars, exact. It counts what all that is given (not None) say alike."""

    bucket: str | None
    limit_usd: Decimal
    period: Literal["day", "week", "month"]
    on_exceed: Literal["warn", "ask", "deny"]
    workspace: str | None = None
    identity: str | None = None
    models: tuple[str, ...] | None = None
    """Globs; a group is written out."""
    zone: tzinfo = UTC
    """In which days, weeks (from Monday) and months begin."""
    warn_at: tuple[Decimal, ...] = ()
    """Shares of the limit, between 0 and 1, ascending."""
    file: str = ""
    line: int = 0

    @property
    def scope(self) -> tuple[object, ...]:
        """What tells budgets apart: two of one scope are the same budget, of which the smallest counts."""
        return (self.bucket, self.workspace, self.identity, self.models, self.period, str(self.zone))


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One `[[tests]]` table: given this work, expect this effect, and the rule, route and obligations that are named."""

    given: Mapping[str, str | int | datetime | tuple[str, ...]]
    """By the names of the file; `class` is the endpoint's."""
    effect: Effect
    rule: str | None = None
    route: str | None = None
    redact: Redact = Redact()
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class KnownValues:
    """What of a workspace is confidential whether or not a detector finds it."""

    files: tuple[str, ...] | None = None
    """Globs over file names and paths below the workspace's root; None for the built-in ones."""
    git_authors: bool = False
    """Whether names and addresses of the repository's authors are personal data."""


@dataclass(frozen=True, slots=True)
class NamesModel:
    """A spaCy pipeline on disk, the language it is for, and which of Presidio's entities count."""

    path: str
    language: str = "en"
    entities: tuple[str, ...] = ("PERSON", "LOCATION")


@dataclass(frozen=True, slots=True)
class Pausing:
    """`[pause]`: for how many minutes at once redaction may be paused (0: never), and for work of which sensitivity."""

    minutes: int = 0
    sensitivity: frozenset[Sensitivity] = frozenset()


@dataclass(frozen=True, slots=True)
class Approving:
    """`[approval]`: who counts as the approver of a session beside whoever ran `session approve`; git says who they are."""

    commit_author: bool = False
    """The authors of commits whose trailer names the session."""
    merge: bool = False
    """The authors of merge commits that brought such a commit into one of `branches`."""
    branches: tuple[str, ...] = ("main", "master")
    """Globs."""


@dataclass(frozen=True, slots=True)
class Experimenting:
    """`[experiments]`: for how many hours at once, on how many USD a day, and for work of which sensitivity."""

    hours: int = 8
    limit_usd: Decimal = Decimal(5)
    sensitivity: frozenset[Sensitivity] = frozenset({Sensitivity.PUBLIC, Sensitivity.INTERNAL})


@dataclass(frozen=True, slots=True)
class SyncDemand:
    """`[sync]`: work in workspaces that `require` (globs) matches waits until its developer agreed to sync."""

    require: tuple[str, ...]
    level: str = "metadata"
    """The least that has to be disclosed: ``metadata`` or ``findings``."""
    to: str | None = None
    """The only place that will do; None for any."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One whole policy: the organisation's, the user's or a repository's. Compared by identity; `digest` names its text."""

    name: LayerName
    default: Effect
    rules: tuple[Rule, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    workspaces: tuple[WorkspaceRule, ...] = ()
    models: tuple[KnownModel, ...] = ()
    groups: tuple[ModelGroup, ...] = ()
    budgets: tuple[Budget, ...] = ()
    tests: tuple[PolicyTest, ...] = ()
    digest: str = ""
    """SHA-256 of the file's bytes, hexadecimal."""
    file: str = ""
    default_line: int = 0
    other_hosts: Literal["deny", "tunnel"] | None = None
    """`[proxy] other_hosts`: what becomes of hosts in proxy mode that no endpoint names."""
    known_values: KnownValues = KnownValues()
    names: NamesModel | None = None
    """The language model that finds names of persons and places; in the user's layer only."""
    prices: tuple[PriceRule, ...] = ()
    pricing: Pricing = field(default_factory=Pricing)
    pause: Pausing = Pausing()
    approval: Approving | None = None
    """None where the file says nothing of it."""
    experiments: Experimenting = Experimenting()
    sync: SyncDemand | None = None
    not_applied: tuple[str, ...] = ()
    """What a repository file says in vain because it would loosen: one sentence each, with file and line."""
    organisation: str | None = None
    """Whose policy this is; of the organisation's layer only, as the next two."""
    revision: int = 0
    expires: datetime | None = None
    """From then on the layer denies everything."""


@dataclass(frozen=True, slots=True)
class Work:
    """One request as policy sees it.

    None in `workspace`, `model`, `identity` or `time` means *not known*: no allow rule about that field matches, and every deny
    or ask rule about it does, because it cannot be ruled out. A request that by its nature names no model (a model list)
    says `model=""`. None in `task` or `agent` is a fact (no task declared, no agent recognised) and matches no entry.
    """

    workspace: str | None
    sensitivity: Sensitivity
    task: str | None
    endpoint: str
    endpoint_class: EndpointClass
    model: str | None
    identity: str | None = None
    agent: str | None = None
    tools: frozenset[str] = field(default_factory=frozenset)
    findings: frozenset[str] = field(default_factory=frozenset)
    """Types (`EMAIL`) and classes (`pii`) of what was found."""
    attachments: frozenset[str] = field(default_factory=frozenset)
    """Kinds of attachments, e.g. `image`, `application/pdf`."""
    time: datetime | None = None
    """With a time zone. None is not known, as above."""
    input_tokens: int | None = None
    """Estimated; None where there is nothing to count."""
    to_organisation: "Work | None" = None
    """The same work by the organisation's own endpoints and workspaces, where that is another than this: what the user
    says of them does not count in its layer."""
