"""From the bytes of a policy file to a `Layer`, or to everything that is wrong with it at once.

This module imports pydantic; it is itself imported only when there is a file to parse.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from localguard.config import builtin
from localguard.config.endpoint_address import (
    host_of,
    is_loopback,
    normal_url,
    problem_with_auth_header,
    problem_with_url,
)
from localguard.config.policy_money import price_rules, pricing, problem_with_price
from localguard.config.policy_problems import PolicyInvalid, PolicyProblem, printable
from localguard.config.policy_schema import EndpointTable, PolicyFile, TestTable
from localguard.config.policy_words import dotted, explain
from localguard.config.toml_lines import Path, lines_of, nearest_line
from localguard.policy.model import (
    UNATTRIBUTED,
    Budget,
    Effect,
    Endpoint,
    EndpointClass,
    KnownValues,
    Layer,
    LayerName,
    NamesModel,
    Obligation,
    PolicyTest,
    Redact,
    Rule,
    Sensitivity,
    When,
    WorkspaceRule,
)
from localguard.policy.price import Pricing

_RESERVED_ENDPOINTS = ("w", "-")
"""First path segments with a meaning of their own (design section 4)."""
_RESERVED_RULES = ("default", "policy-invalid", *(rule.id for rule in builtin.builtin_rules()))


def parse_policy(data: bytes, file: str, name: LayerName) -> Layer:
    """Return the layer that a policy file says. Raises PolicyInvalid with all problems.

    For the user's layer the built-in policy is completed: its rules as long as the file has none of its own (or extends
    it), its endpoints unless redefined by name. A repository's endpoints and looser settings are listed in `not_applied`.
    """
    text = _decode(data, file)
    raw = _parse_toml(text, file)
    lines = lines_of(text)
    checks = _Checks(file, lines, raw)
    parsed = checks.schema()
    checks.duplicates()
    checks.endpoints()
    checks.workspaces()
    checks.rules()
    checks.prices()
    if checks.problems or parsed is None:
        raise PolicyInvalid(checks.problems)
    return _layer(parsed, name, file, lines, hashlib.sha256(data).hexdigest())


_DEEP_KEY = re.compile(r"(?<![\w\"'.-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){100}")


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyInvalid(
            [PolicyProblem(file, line, "", "This is not UTF-8 text. Save the file as UTF-8.")]
        ) from None


def _parse_toml(text: str, file: str) -> dict[str, Any]:
    deep = _DEEP_KEY.search(text)  # tomllib takes time in the square of a key's parts
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        raise PolicyInvalid([PolicyProblem(file, line, "", "A key here has more than 100 parts.")])
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)", said)
        line = int(place[1]) if place else text.count("\n") + 1
        raise PolicyInvalid([PolicyProblem(file, line, "", _toml_words(said))]) from None
    except (RecursionError, ValueError, ArithmeticError):
        raise PolicyInvalid(
            [PolicyProblem(file, 1, "", "This cannot be read as TOML: nested or long beyond reason.")]
        ) from None


def _toml_words(said: str) -> str:
    """Return tomllib's complaint in plain words, without any text of the file."""
    if "overwrite" in said or "Cannot declare" in said or "Duplicate" in said:
        return "A key or table stands here for the second time. Keep one of them."
    column = re.search(r"column (\d+)", said)
    place = f" (column {column[1]})" if column else ""
    return f"This is not TOML{place}. Look for a missing quote, bracket or equals sign, here or in the line above."


class _Checks:
    """Collects all problems of one file."""

    def __init__(self, file: str, lines: dict[Path, int], raw: dict[str, Any]) -> None:
        self.file = file
        self.lines = lines
        self.raw = raw
        self.problems: list[PolicyProblem] = []

    def report(self, path: Path, message: str) -> None:
        self.problems.append(PolicyProblem(self.file, nearest_line(self.lines, path), dotted(path), message))

    def schema(self) -> PolicyFile | None:
        try:
            return PolicyFile.model_validate(self.raw)
        except ValidationError as invalid:
            for error in invalid.errors(include_url=False, include_context=True, include_input=True):
                self.report(*explain(error))
            return None
        except RecursionError:
            self.report((), "This is nested beyond reason.")
            return None

    def duplicates(self) -> None:
        for table, key in (("endpoints", "name"), ("workspaces", "name"), ("rules", "id")):
            first: dict[str, int] = {}
            for position, entry in self._tables(table):
                value = entry.get(key)
                if not isinstance(value, str):
                    continue
                folded = value.casefold()
                path: Path = (table, position, key)
                if folded in first:
                    self.report(path, f"{printable(value)} is taken: it stands already in line {first[folded]}.")
                else:
                    first[folded] = nearest_line(self.lines, path)
        budgets: dict[tuple[object, object], int] = {}
        for position, entry in self._tables("budgets"):
            bucket, period = entry.get("bucket"), entry.get("period")
            if not isinstance(bucket, str) or not isinstance(period, str):
                continue
            line = nearest_line(self.lines, ("budgets", position))
            if (bucket, period) in budgets:
                self.report(
                    ("budgets", position),
                    f"this bucket has a budget per {printable(period)} already, in line {budgets[bucket, period]}.",
                )
            budgets.setdefault((bucket, period), line)

    def endpoints(self) -> None:
        for position, entry in self._tables("endpoints"):
            at: Path = ("endpoints", position)
            if entry.get("name") in _RESERVED_ENDPOINTS:
                self.report((*at, "name"), "w and - are first path segments of the guard's own. Choose another name.")
            kind, url = entry.get("kind"), entry.get("base_url")
            if isinstance(kind, str) and "base_url" not in entry and kind not in builtin.FIXED_ADDRESSES:
                self.report(at, "base_url is missing: endpoints of this kind have no fixed address.")
            if isinstance(url, str):
                problem = problem_with_url(url, allow_http=entry.get("allow_http") is True)
                if problem is not None:
                    self.report((*at, "base_url"), f"the address {problem}.")
                elif entry.get("class") == "local" and not is_loopback(host_of(url)):
                    self.report(
                        (*at, "class"),
                        'an endpoint on another machine is not "local". Say "enterprise", "hosted" or "experimental".',
                    )
            headers = entry.get("auth_headers")
            for index, header in enumerate(headers if isinstance(headers, list) else []):
                if isinstance(header, str) and (problem := problem_with_auth_header(header)) is not None:
                    self.report((*at, "auth_headers", index), f"{printable(header)} {problem}.")

    def workspaces(self) -> None:
        for position, entry in self._tables("workspaces"):
            at: Path = ("workspaces", position)
            if isinstance(entry.get("name"), str) and entry["name"].casefold() == UNATTRIBUTED:
                self.report((*at, "name"), f"{UNATTRIBUTED} is the name of work that cannot be attributed.")
            match = entry.get("match")
            if not isinstance(match, dict):
                continue
            if not match.keys() & {"remotes", "paths"}:
                self.report((*at, "match"), "give remotes, paths or both; without them this workspace matches nothing.")
            paths = match.get("paths")
            for index, path in enumerate(paths if isinstance(paths, list) else []):
                if isinstance(path, str) and not _absolute(path):
                    self.report((*at, "match", "paths", index), "must be absolute or start with ~/.")

    def rules(self) -> None:
        for position, entry in self._tables("rules"):
            if entry.get("id") in _RESERVED_RULES:
                self.report(("rules", position, "id"), "this id names a rule of the guard's own. Choose another.")

    def prices(self) -> None:
        for position, entry in self._tables("prices"):
            if (problem := problem_with_price(entry)) is not None:
                self.report(("prices", position), problem)

    def _tables(self, name: str) -> list[tuple[int, dict[str, Any]]]:
        entries = self.raw.get(name)
        if not isinstance(entries, list):
            return []
        return [(position, entry) for position, entry in enumerate(entries) if isinstance(entry, dict)]


def _absolute(path: str) -> bool:
    return path == "~" or path.startswith(("/", "~/", "~\\", "*")) or re.match(r"[A-Za-z]:[\\/]", path) is not None


def _layer(parsed: PolicyFile, name: LayerName, file: str, lines: dict[Path, int], digest: str) -> Layer:
    def line(*path: str | int) -> int:
        return nearest_line(lines, path)

    rules = tuple(
        Rule(
            id=rule.id,
            effect=Effect(rule.effect),
            when=When(**{key: _tuple(value) for key, value in rule.when}),
            reason=" ".join(rule.reason.split()),
            redact=Redact(**{key: Obligation(vote) if vote else None for key, vote in rule.redact}),
            file=file,
            line=line("rules", index),
        )
        for index, rule in enumerate(parsed.rules)
    )
    endpoints = tuple(_endpoint(table, file, line("endpoints", index)) for index, table in enumerate(parsed.endpoints))
    workspaces = tuple(
        WorkspaceRule(
            name=table.name,
            remotes=tuple(table.match.remotes or ()),
            paths=tuple(table.match.paths or ()),
            sensitivity=Sensitivity(table.sensitivity),
            cost_bucket=table.cost_bucket,
            tasks=tuple(table.tasks.items()),
            file=file,
            line=line("workspaces", index),
        )
        for index, table in enumerate(parsed.workspaces)
    )
    budgets = tuple(
        Budget(table.bucket, table.limit_usd, table.period, table.on_exceed, file, line("budgets", index))
        for index, table in enumerate(parsed.budgets)
    )
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
        budgets=budgets,
        tests=tests,
        digest=digest,
        file=file,
        default_line=line("default"),
        other_hosts=other_hosts,
        prices=price_rules(parsed, file, line) if name is not LayerName.REPOSITORY else (),
        pricing=pricing(parsed, line) if name is not LayerName.REPOSITORY else Pricing(),
        not_applied=tuple(not_applied),
        known_values=KnownValues(
            None if parsed.known_values.files is None else tuple(parsed.known_values.files),
            bool(parsed.known_values.git_authors),
        ),
        names=_names(parsed, file) if name is not LayerName.REPOSITORY else None,
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
    if parsed.extends:
        sentences.append(f"{file}:{line('extends')}: a repository cannot extend another policy; not applied.")
    if parsed.names is not None:
        sentences.append(f"{file}:{line('names')}: a repository cannot name a language model; not applied.")
    for table, given in (("prices", bool(parsed.prices)), ("pricing", bool(parsed.pricing.model_fields_set))):
        if given:
            sentences.append(f"{file}:{line(table)}: a repository cannot set {table}; not applied.")
    if parsed.proxy.other_hosts == "tunnel":
        sentences.append(f"{file}:{line('proxy')}: a repository cannot open other hosts; not applied.")
    return sentences


def _endpoint(table: EndpointTable, file: str, line: int) -> Endpoint:
    fixed = builtin.FIXED_ADDRESSES.get(table.kind)
    url = normal_url(table.base_url or (fixed.base_url if fixed else ""))
    if table.class_ is not None:
        endpoint_class = EndpointClass(table.class_)
    elif fixed is not None and (fixed.endpoint_class is not EndpointClass.LOCAL or is_loopback(host_of(url))):
        endpoint_class = fixed.endpoint_class
    else:  # P11: what may be a gateway or a tunnel is hosted until the policy says otherwise
        endpoint_class = EndpointClass.HOSTED
    return Endpoint(
        name=table.name,
        kind=table.kind,
        base_url=url,
        endpoint_class=endpoint_class,
        credential=table.credential,
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
    given: dict[str, str | tuple[str, ...]] = {
        key.rstrip("_"): tuple(value) if isinstance(value, list) else str(value)
        for key, value in table.given
        if value is not None
    }
    return PolicyTest(given, Effect(table.expect.effect), table.expect.rule, file, line)


def _tuple(values: list[Any] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
