"""The policy file's schema (design section 6), strict: an unknown field or a wrong type is an error.

Only shapes and words are checked here; what needs more than one value is checked in `policy_parser`.
"""

import math
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_PLAIN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_PLAIN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_PLAIN)]
Prose = Annotated[str, StringConstraints(max_length=2000)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_PLAIN)]
Globs = Annotated[list[Glob], Field(min_length=1, max_length=1000)]
"""Never empty: a deny rule with an empty list would match nothing and protect nothing."""

EndpointName = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")]
HeaderName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Credential = Annotated[
    str,
    StringConstraints(
        max_length=1000,
        pattern=r"^(?:client|keyring:[A-Za-z0-9][A-Za-z0-9._-]{0,63}|command:[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*)$",
    ),
]

Class = Literal["local", "enterprise", "hosted", "experimental"]
SensitivityWord = Literal["public", "internal", "sensitive", "restricted"]
EffectWord = Literal["allow", "deny", "ask"]
ObligationWord = Literal["allow", "redact", "block"]
RestoringWord = Literal["restore", "keep"]
RecordingWord = Literal["metadata", "findings"]
Kind = Literal["openai", "azure-openai", "foundry", "anthropic", "lmstudio", "ollama", "gemini", "openai-compatible"]
Identity = Literal["personal", "team", "service"]


def _money(value: Any) -> Any:
    """Numbers arrive as int or, unrounded, as Decimal; nothing else is money."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number"
    return value


Money = Annotated[Decimal, BeforeValidator(_money), Field(ge=0, le=10**9, allow_inf_nan=False)]


Share = Annotated[Decimal, BeforeValidator(_money), Field(gt=0, lt=1, allow_inf_nan=False)]


def _whole(value: Any) -> Any:
    """`1.0` and `true` equal 1 in Python, and are no version."""
    return value if type(value) is int else None


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


Seconds = Annotated[Decimal, BeforeValidator(_money), Field(gt=0, le=3600, allow_inf_nan=False)]


class LimitsTable(_Table):
    """`limits` of an endpoint."""

    read_timeout: Seconds | None = None
    connect_timeout: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    at_once: Annotated[int, Field(ge=1, le=1000)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    wait: Seconds | None = None


class EndpointTable(_Table):
    """`[[endpoints]]`."""

    name: EndpointName
    kind: Kind
    base_url: Text | None = None
    class_: Class | None = Field(default=None, alias="class")
    credential: Credential = "client"
    identity: Identity | None = None
    support: Text | None = None
    auth_headers: Annotated[list[HeaderName], Field(max_length=20)] = []
    region: Text | None = None
    retention: Text | None = None
    contract: Text | None = None
    ca_file: Text | None = None
    allow_http: bool = False
    limits: LimitsTable = LimitsTable()
    fallback: EndpointName | None = None


class MatchTable(_Table):
    """`match` of a workspace: alternatives."""

    remotes: Globs | None = None
    paths: Globs | None = None
    markers: Annotated[list[Text], Field(min_length=1, max_length=20)] | None = None


class WorkspaceTable(_Table):
    """`[[workspaces]]`."""

    name: Name
    match: MatchTable
    sensitivity: SensitivityWord = "internal"
    cost_bucket: Name | None = None
    tasks: dict[Glob, Name] = {}


class WhenTable(_Table):
    """`when` of a rule: all given fields must match."""

    workspaces: Globs | None = None
    sensitivity: Annotated[list[SensitivityWord], Field(min_length=1)] | None = None
    tasks: Globs | None = None
    endpoints: Globs | None = None
    classes: Annotated[list[Class], Field(min_length=1)] | None = None
    models: Globs | None = None
    identities: Annotated[list[Identity], Field(min_length=1)] | None = None
    agents: Globs | None = None
    tools: Globs | None = None
    findings: Globs | None = None
    attachments: Globs | None = None
    times: Annotated[list[Text], Field(min_length=1, max_length=50)] | None = None


class RedactTable(_Table):
    """`redact` of a rule: its obligations."""

    secret: ObligationWord | None = None
    pii: ObligationWord | None = None
    custom: ObligationWord | None = None
    attachments: ObligationWord | None = None


class RestoreTable(_Table):
    """`restore` of a rule: what becomes of placeholders in replies."""

    secret: Literal["ask", "restore", "keep"] | None = None
    pii: RestoringWord | None = None
    custom: RestoringWord | None = None


class RouteTable(_Table):
    """`route` of a rule: where the request goes instead, and what its model is called there."""

    endpoint: EndpointName
    models: dict[Glob, Name] = {}


class RuleTable(_Table):
    """`[[rules]]`."""

    id: Name
    effect: EffectWord
    when: WhenTable = WhenTable()
    reason: Prose = ""
    redact: RedactTable = RedactTable()
    restore: RestoreTable = RestoreTable()
    record: RecordingWord | None = None
    max_input_tokens: Annotated[int, Field(ge=1, le=10**9)] | None = None
    require_task: bool = False
    route: RouteTable | None = None


class ModelTable(_Table):
    """`[[models]]`: a model, and what endpoints call it."""

    name: Name
    aliases: Globs


class GroupTable(_Table):
    """`[[model_groups]]`: models that rules and budgets name together."""

    name: Name
    models: Globs


class BudgetTable(_Table):
    """`[[budgets]]`: what is given of bucket, workspace, identity and models narrows what the budget counts."""

    bucket: Name | None = None
    workspace: Name | None = None
    identity: Identity | None = None
    models: Globs | None = None
    limit_usd: Money
    period: Literal["day", "week", "month"]
    on_exceed: Literal["warn", "ask", "deny"]
    timezone: Name = "UTC"
    warn_at: Annotated[list[Share], Field(max_length=10)] = []


class PriceTable(_Table):
    """`[[prices]]`: USD for a million tokens, or the price of another model."""

    models: Globs
    endpoints: Globs | None = None
    kinds: Annotated[list[Kind], Field(min_length=1)] | None = None
    like: Name | None = None
    input: Money | None = None
    output: Money | None = None
    cache_read: Money | None = None
    cache_write: Money | None = None
    per_request: Money | None = None


class PricingTable(_Table):
    """`[pricing]`: what stands in where no price is known; an hour of a local model's time."""

    unknown_input: Money | None = None
    unknown_output: Money | None = None
    local_per_hour: Money | None = None


class GivenTable(_Table):
    """`given` of a policy test."""

    workspace: Name | None = None
    sensitivity: SensitivityWord | None = None
    task: Name | None = None
    endpoint: Name | None = None
    class_: Class | None = Field(default=None, alias="class")
    model: Name | None = None
    identity: Identity | None = None
    agent: Name | None = None
    tools: list[Name] | None = None
    findings: list[Name] | None = None
    attachments: list[Name] | None = None
    time: datetime | None = None
    input_tokens: Annotated[int, Field(ge=0)] | None = None


class ExpectTable(_Table):
    """`expect` of a policy test."""

    effect: EffectWord
    rule: Name | None = None
    route: EndpointName | None = None
    redact: RedactTable = RedactTable()


class TestTable(_Table):
    """`[[tests]]`."""

    __test__ = False  # no test class of the project's own suite

    given: GivenTable
    expect: ExpectTable


class ProxyTable(_Table):
    """`[proxy]`."""

    other_hosts: Literal["deny", "tunnel"] | None = None


class KnownValuesTable(_Table):
    """`[known_values]`: what of a workspace is known to be confidential before anything detects it."""

    files: Annotated[list[Glob], Field(max_length=200)] | None = None
    git_authors: bool | None = None


class NamesTable(_Table):
    """`[names]`: names of persons and places are found by a language model on this machine."""

    model: Text
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] = "en"
    entities: Annotated[list[Literal["PERSON", "LOCATION", "ORGANIZATION", "NRP"]], Field(min_length=1)] = [
        "PERSON",
        "LOCATION",
    ]


class PauseTable(_Table):
    """`[pause]`: how long redaction may be paused at once, and for which work."""

    max_minutes: Annotated[int, Field(ge=1, le=240)]
    sensitivity: Annotated[list[Literal["public", "internal", "sensitive", "restricted"]], Field(min_length=1)] = [
        "public",
        "internal",
    ]


class ApprovalTable(_Table):
    """`[approval]`: who counts as the approver of a session, by what git says."""

    commit_author: bool = False
    merge: bool = False
    branches: Annotated[list[Glob], Field(min_length=1, max_length=100)] = ["main", "master"]


class ExperimentsTable(_Table):
    """`[experiments]`: how long one runs at once, on how much money a day, and for which work."""

    max_hours: Annotated[int, Field(ge=0, le=72)] = 8
    limit_usd: Money = Decimal(5)
    sensitivity: list[Literal["public", "internal", "sensitive", "restricted"]] = ["public", "internal"]


class SyncTable(_Table):
    """`[sync]`: work in these workspaces waits until its developer agreed to sync."""

    require: Globs
    level: Literal["metadata", "findings"] = "metadata"
    to: Text | None = None


class OrganisationTable(_Table):
    """`[organisation]`: whose policy this is, which revision, and until when it holds. In a signed policy only."""

    name: Name
    revision: Annotated[int, Field(ge=1, le=10**9)]
    expires: datetime


class PolicyFile(_Table):
    """The whole file."""

    version: Annotated[Literal[1], BeforeValidator(_whole)]
    organisation: OrganisationTable | None = None
    extends: Literal["builtin:solo"] | None = None
    default: Literal["allow", "deny", "ask"] | None = None
    endpoints: list[EndpointTable] = []
    workspaces: list[WorkspaceTable] = []
    models: list[ModelTable] = []
    model_groups: list[GroupTable] = []
    rules: list[RuleTable] = []
    budgets: list[BudgetTable] = []
    prices: list[PriceTable] = []
    pricing: PricingTable = PricingTable()
    tests: list[TestTable] = []
    proxy: ProxyTable = ProxyTable()
    known_values: KnownValuesTable = KnownValuesTable()
    names: NamesTable | None = None
    pause: PauseTable | None = None
    approval: ApprovalTable | None = None
    experiments: ExperimentsTable | None = None
    sync: SyncTable | None = None
