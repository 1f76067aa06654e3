"""From a policy file whose shapes and words are right to the `Layer` that it says."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from localguard.config import builtin
from localguard.config.endpoint_address import host_of, is_loopback, normal_url
from localguard.config.policy_money import price_rules, pricing
from localguard.config.policy_schema import (
    BudgetTable,
    EndpointTable,
    LimitsTable,
    PolicyFile,
    RedactTable,
    RuleTable,
    TestTable,
)
from localguard.config.time_zones import zone_named
from localguard.config.toml_lines import Path, nearest_line
from localguard.policy.model import (
    Approving,
    Budget,
    Effect,
    Endpoint,
    EndpointClass,
    EndpointLimits,
    Experimenting,
    KnownModel,
    KnownValues,
    Layer,
    LayerName,
    ModelGroup,
    NamesModel,
    Obligation,
    Pausing,
    PolicyTest,
    Recording,
    Redact,
    Restore,
    Restoring,
    Route,
    Rule,
    Sensitivity,
    SyncDemand,
    When,
    WorkspaceRule,
)
from localguard.policy.price import Pricing
from localguard.policy.times import TimeWindow, parse_window

GROUP = "group:"
"""Before the name of a model group where models are named."""


def build_layer(parsed: PolicyFile, name: LayerName, file: str, lines: dict[Path, int], digest: str) -> Layer:
    """Return the layer; the built-in policy completes the user's, and a repository's keeps only what tightens."""

    def line(*path: str | int) -> int:
        return nearest_line(lines, path)

    groups = {table.name: tuple(table.models) for table in parsed.model_groups}
    rules = tuple(_rule(rule, groups, file, line("rules", index)) for index, rule in enumerate(parsed.rules))
    endpoints = tuple(_endpoint(table, file, line("endpoints", index)) for index, table in enumerate(parsed.endpoints))
    workspaces = tuple(
        WorkspaceRule(
            name=table.name,
            remotes=tuple(table.match.remotes or ()),
            paths=tuple(table.match.paths or ()),
            markers=tuple(table.match.markers or ()),
            sensitivity=Sensitivity(table.sensitivity),
            cost_bucket=table.cost_bucket,
            tasks=tuple(table.tasks.items()),
            file=file,
            line=line("workspaces", index),
        )
        for index, table in enumerate(parsed.workspaces)
    )
    budgets = tuple(_budget(table, groups, file, line("budgets", index)) for index, table in enumerate(parsed.budgets))
    tests = tuple(_test(table, file, line("tests", index)) for index, table in enumerate(parsed.tests))
    default = Effect(parsed.default) if parsed.default else Effect.DENY
    other_hosts = parsed.proxy.other_hosts
    not_applied: list[str] = []
    if name is LayerName.REPOSITORY:
        default = Effect(parsed.default or Effect.ALLOW)
        not_applied = _not_applied(parsed, file, line)
        endpoints = ()
        other_hosts = other_hosts if other_hosts == "deny" else None
    if name is LayerName.USER and (not rules or parsed.extends == builtin.SOLO):
        rules = (*rules, *builtin.builtin_rules())
    if name is LayerName.USER:
        own = {endpoint.name for endpoint in endpoints}
        endpoints = (*endpoints, *(each for each in builtin.builtin_endpoints() if each.name not in own))
    return Layer(
        name=name,
        default=default,
        rules=rules,
        endpoints=endpoints,
        workspaces=workspaces,
        models=tuple(
            KnownModel(table.name, tuple(table.aliases), file, line("models", index))
            for index, table in enumerate(parsed.models)
        ),
        groups=tuple(
            ModelGroup(table.name, tuple(table.models), file, line("model_groups", index))
            for index, table in enumerate(parsed.model_groups)
        ),
        budgets=budgets,
        tests=tests,
        digest=digest,
        file=file,
        default_line=line("default"),
        other_hosts=other_hosts,
        prices=price_rules(parsed, file, line) if name is not LayerName.REPOSITORY else (),
        pricing=pricing(parsed, line) if name is not LayerName.REPOSITORY else Pricing(),
        experiments=_experiments(parsed) if name is not LayerName.REPOSITORY else Experimenting(),
        approval=_approval(parsed),
        pause=_pause(parsed) if name is not LayerName.REPOSITORY else Pausing(),
        sync=_sync(parsed) if name is not LayerName.REPOSITORY else None,
        not_applied=tuple(not_applied),
        known_values=KnownValues(
            None if parsed.known_values.files is None else tuple(parsed.known_values.files),
            bool(parsed.known_values.git_authors),
        ),
        names=_names(parsed, file) if name is not LayerName.REPOSITORY else None,
        organisation=parsed.organisation.name if parsed.organisation else None,
        revision=parsed.organisation.revision if parsed.organisation else 0,
        expires=parsed.organisation.expires if parsed.organisation else None,
    )


def _rule(table: RuleTable, groups: Mapping[str, tuple[str, ...]], file: str, line: int) -> Rule:
    given = {key: _tuple(value) for key, value in table.when if key != "times"}
    given["models"] = _without_groups(given["models"], groups)
    return Rule(
        id=table.id,
        effect=Effect(table.effect),
        when=When(**given, times=_windows(table.when.times)),
        reason=" ".join(table.reason.split()),
        redact=_redact(table.redact),
        restore=Restore(**{key: Restoring(vote) if vote else None for key, vote in table.restore}),
        record=Recording(table.record) if table.record else None,
        max_input_tokens=table.max_input_tokens,
        require_task=table.require_task,
        route=Route(table.route.endpoint, tuple(table.route.models.items())) if table.route else None,
        file=file,
        line=line,
    )


def _redact(table: RedactTable) -> Redact:
    return Redact(**{key: Obligation(vote) if vote else None for key, vote in table})


def _windows(texts: list[str] | None) -> tuple[TimeWindow, ...] | None:
    if texts is None:
        return None
    return tuple(window for text in texts if isinstance(window := parse_window(text, zone_named), TimeWindow))


def _without_groups(models: tuple[str, ...] | None, groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the globs with each `group:NAME` written out."""
    if models is None:
        return None
    return tuple(glob for one in models for glob in (groups[one[len(GROUP) :]] if one.startswith(GROUP) else (one,)))


def _budget(table: BudgetTable, groups: Mapping[str, tuple[str, ...]], file: str, line: int) -> Budget:
    return Budget(
        bucket=table.bucket,
        limit_usd=table.limit_usd,
        period=table.period,
        on_exceed=table.on_exceed,
        workspace=table.workspace,
        identity=table.identity,
        models=_without_groups(_tuple(table.models), groups),
        zone=zone_named(table.timezone) or UTC,
        warn_at=tuple(sorted(table.warn_at)),
        file=file,
        line=line,
    )


def _limits(table: LimitsTable) -> EndpointLimits:
    given = EndpointLimits()
    return EndpointLimits(
        read_timeout=None if table.read_timeout is None else float(table.read_timeout),
        connect_timeout=None if table.connect_timeout is None else float(table.connect_timeout),
        retries=table.retries,
        at_once=table.at_once,
        per_minute=table.per_minute,
        wait=given.wait if table.wait is None else float(table.wait),
    )


def _names(parsed: PolicyFile, file: str) -> NamesModel | None:
    """The language model, its path relative to the policy file's directory."""
    table = parsed.names
    if table is None:
        return None
    path = PurePath(file).parent / PurePath(table.model).as_posix()
    return NamesModel(
        str(path) if not table.model.startswith("~") else table.model, table.language, tuple(table.entities)
    )


def _experiments(parsed: PolicyFile) -> Experimenting:
    table = parsed.experiments
    if table is None:
        return Experimenting()
    return Experimenting(table.max_hours, table.limit_usd, frozenset(map(Sensitivity, table.sensitivity)))


def _approval(parsed: PolicyFile) -> Approving | None:
    said = parsed.approval
    return None if said is None else Approving(said.commit_author, said.merge, tuple(said.branches))


def _sync(parsed: PolicyFile) -> SyncDemand | None:
    table = parsed.sync
    return None if table is None else SyncDemand(tuple(table.require), table.level, table.to)


def _pause(parsed: PolicyFile) -> Pausing:
    if parsed.pause is None:
        return Pausing()
    return Pausing(parsed.pause.max_minutes, frozenset(map(Sensitivity, parsed.pause.sensitivity)))


def _not_applied(parsed: PolicyFile, file: str, line: Callable[..., int]) -> list[str]:
    sentences = [
        f"{file}:{line('endpoints', index)}: a repository cannot define an endpoint; {table.name} is not applied."
        for index, table in enumerate(parsed.endpoints)
    ]
    sentences += [
        f"{file}:{line('workspaces', index)}: a repository can only raise its own sensitivity; "
        "the cost bucket and tasks are not applied."
        for index, table in enumerate(parsed.workspaces)
        if table.cost_bucket or table.tasks
    ]
    for index, rule in enumerate(parsed.rules):
        looser = [f"redact.{key}" for key, vote in rule.redact if vote == "allow" and key != "attachments"]
        looser += [f"restore.{key}" for key, vote in rule.restore if vote in ("ask", "restore")]
        looser += ["record"] if rule.record == "metadata" else []
        looser += ["route"] if rule.route is not None else []
        if looser:
            sentences.append(
                f"{file}:{line('rules', index)}: a repository can only tighten; {', '.join(looser)} of {rule.id} "
                "is not applied where it would loosen."
            )
    if parsed.extends:
        sentences.append(f"{file}:{line('extends')}: a repository cannot extend another policy; not applied.")
    if parsed.names is not None:
        sentences.append(f"{file}:{line('names')}: a repository cannot name a language model; not applied.")
    for table, given in (
        ("prices", bool(parsed.prices)),
        ("pricing", bool(parsed.pricing.model_fields_set)),
        ("pause", parsed.pause is not None),
        ("experiments", parsed.experiments is not None),
        ("sync", parsed.sync is not None),
    ):
        if given:
            sentences.append(f"{file}:{line(table)}: a repository cannot set {table}; not applied.")
    if parsed.proxy.other_hosts == "tunnel":
        sentences.append(f"{file}:{line('proxy')}: a repository cannot open other hosts; not applied.")
    return sentences


def _endpoint(table: EndpointTable, file: str, line: int) -> Endpoint:
    fixed = builtin.FIXED_ADDRESSES.get(table.kind)
    url = normal_url(table.base_url or (fixed.base_url if fixed else ""))
    if fixed is not None and (fixed.endpoint_class is not EndpointClass.LOCAL or is_loopback(host_of(url))):
        own_class = fixed.endpoint_class
    else:  # P11: what may be a gateway or a tunnel is hosted until the policy says otherwise
        own_class = EndpointClass.HOSTED
    endpoint_class = EndpointClass(table.class_) if table.class_ is not None else own_class
    return Endpoint(
        name=table.name,
        kind=table.kind,
        base_url=url,
        endpoint_class=endpoint_class,
        own_class=own_class,
        credential=table.credential,
        limits=_limits(table.limits),
        fallback=table.fallback,
        identity=table.identity,
        support=table.support,
        auth_headers=tuple(header.lower() for header in table.auth_headers),
        region=table.region,
        retention=table.retention,
        contract=table.contract,
        ca_file=str(PurePath(file).parent / table.ca_file) if table.ca_file else None,
        file=file,
        line=line,
    )


def _test(table: TestTable, file: str, line: int) -> PolicyTest:
    given: dict[str, str | int | datetime | tuple[str, ...]] = {
        key.rstrip("_"): tuple(value) if isinstance(value, list) else value
        for key, value in table.given
        if value is not None
    }
    expect = table.expect
    return PolicyTest(given, Effect(expect.effect), expect.rule, expect.route, _redact(expect.redact), file, line)


def _tuple(values: list[Any] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
