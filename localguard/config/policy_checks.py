"""What a policy file must keep beyond shapes and words: names that are unique, addresses, times, what refers to what."""

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from localguard.config import builtin
from localguard.config.endpoint_address import host_of, is_loopback, problem_with_auth_header, problem_with_url
from localguard.config.policy_building import GROUP
from localguard.config.policy_money import problem_with_price
from localguard.config.policy_problems import PolicyProblem, nearest, printable
from localguard.config.policy_schema import PolicyFile
from localguard.config.policy_words import dotted, explain
from localguard.config.time_zones import zone_named
from localguard.config.toml_lines import Path, nearest_line
from localguard.policy.model import UNATTRIBUTED, LayerName
from localguard.policy.times import parse_window

_UNIQUE = (("endpoints", "name"), ("workspaces", "name"), ("rules", "id"), ("models", "name"), ("model_groups", "name"))
_RESERVED_ENDPOINTS = ("w", "-")
"""First path segments with a meaning of their own (design section 4)."""
_RESERVED_RULES = ("default", "policy-invalid", "policy-expired", *(rule.id for rule in builtin.builtin_rules()))


class Checks:
    """Collects all problems of one file in `problems`."""

    def __init__(self, file: str, lines: dict[Path, int], raw: dict[str, Any], layer: LayerName) -> None:
        self._file = file
        self._lines = lines
        self._raw = raw
        self._layer = layer
        self.problems: list[PolicyProblem] = []

    def run(self) -> PolicyFile | None:
        """Check everything; return the file if its shapes and words are right."""
        parsed = self._schema()
        self._duplicates()
        self._endpoints()
        self._workspaces()
        self._rules()
        self._model_names()
        self._budgets()
        self._prices()
        self._organisation()
        self._tests()
        return parsed

    def _report(self, path: Path, message: str) -> None:
        self.problems.append(PolicyProblem(self._file, nearest_line(self._lines, path), dotted(path), message))

    def _schema(self) -> PolicyFile | None:
        try:
            return PolicyFile.model_validate(self._raw)
        except ValidationError as invalid:
            for error in invalid.errors(include_url=False, include_context=True, include_input=True):
                self._report(*explain(error))
            return None
        except RecursionError:
            self._report((), "This is nested beyond reason.")
            return None

    def _duplicates(self) -> None:
        for table, key in _UNIQUE:
            first: dict[str, int] = {}
            for position, entry in self._tables(table):
                value = entry.get(key)
                if not isinstance(value, str):
                    continue
                folded = value.casefold()
                path: Path = (table, position, key)
                if folded in first:
                    self._report(path, f"{printable(value)} is taken: it stands already in line {first[folded]}.")
                else:
                    first[folded] = nearest_line(self._lines, path)

    def _endpoints(self) -> None:
        for position, entry in self._tables("endpoints"):
            at: Path = ("endpoints", position)
            if entry.get("name") in _RESERVED_ENDPOINTS:
                self._report((*at, "name"), "w and - are first path segments of the guard's own. Choose another name.")
            kind, url = entry.get("kind"), entry.get("base_url")
            if isinstance(kind, str) and "base_url" not in entry and kind not in builtin.FIXED_ADDRESSES:
                self._report(at, "base_url is missing: endpoints of this kind have no fixed address.")
            if isinstance(url, str):
                problem = problem_with_url(url, allow_http=entry.get("allow_http") is True)
                if problem is not None:
                    self._report((*at, "base_url"), f"the address {problem}.")
                elif entry.get("class") == "local" and not is_loopback(host_of(url)):
                    self._report(
                        (*at, "class"),
                        'an endpoint on another machine is not "local". Say "enterprise", "hosted" or "experimental".',
                    )
            fallback = entry.get("fallback")
            if isinstance(fallback, str) and fallback == entry.get("name"):
                self._report((*at, "fallback"), "an endpoint cannot stand in for itself.")
            headers = entry.get("auth_headers")
            for index, header in enumerate(headers if isinstance(headers, list) else []):
                if isinstance(header, str) and (problem := problem_with_auth_header(header)) is not None:
                    self._report((*at, "auth_headers", index), f"{printable(header)} {problem}.")

    def _workspaces(self) -> None:
        for position, entry in self._tables("workspaces"):
            at: Path = ("workspaces", position)
            if isinstance(entry.get("name"), str) and entry["name"].casefold() == UNATTRIBUTED:
                self._report((*at, "name"), f"{UNATTRIBUTED} is the name of work that cannot be attributed.")
            match = entry.get("match")
            if not isinstance(match, dict):
                continue
            if not match.keys() & {"remotes", "paths", "markers"}:
                self._report(
                    (*at, "match"), "give remotes, paths or markers; without them this workspace matches nothing."
                )
            for index, path in _texts(match.get("paths")):
                if not _absolute(path):
                    self._report((*at, "match", "paths", index), "must be absolute or start with ~/.")
            for index, marker in _texts(match.get("markers")):
                if not _below(marker):
                    self._report(
                        (*at, "match", "markers", index), "must be a path below the work's directory, without .. in it."
                    )

    def _rules(self) -> None:
        for position, entry in self._tables("rules"):
            at: Path = ("rules", position)
            if entry.get("id") in _RESERVED_RULES:
                self._report((*at, "id"), "this id names a rule of the guard's own. Choose another.")
            when = entry.get("when")
            if not isinstance(when, dict):
                continue
            for index, text in _texts(when.get("times")):
                window = parse_window(text, zone_named)
                if isinstance(window, str):
                    self._report((*at, "when", "times", index), window)
            self._groups((*at, "when", "models"), when.get("models"))

    def _model_names(self) -> None:
        first: dict[str, int] = {}
        for position, entry in self._tables("models"):
            for index, alias in _texts(entry.get("aliases")):
                path: Path = ("models", position, "aliases", index)
                if alias.casefold() in first:
                    self._report(path, f"{printable(alias)} is an alias already, in line {first[alias.casefold()]}.")
                first.setdefault(alias.casefold(), nearest_line(self._lines, path))
        for position, entry in self._tables("model_groups"):
            for index, model in _texts(entry.get("models")):
                if model.startswith(GROUP):
                    self._report(("model_groups", position, "models", index), "a group holds models, not other groups.")

    def _budgets(self) -> None:
        first: dict[tuple[str, ...], int] = {}
        for position, entry in self._tables("budgets"):
            at: Path = ("budgets", position)
            if not entry.keys() & {"bucket", "workspace", "identity", "models"}:
                self._report(at, "say what it counts: bucket, workspace, identity or models.")
            self._groups((*at, "models"), entry.get("models"))
            zone = entry.get("timezone")
            if isinstance(zone, str) and zone_named(zone) is None:
                self._report(
                    (*at, "timezone"), "is no time zone that is known here; write one like Europe/Berlin or UTC."
                )
            scope = tuple(str(entry.get(key)) for key in ("bucket", "workspace", "identity", "models", "period"))
            if scope in first:
                self._report(at, f"there is a budget of this scope and period already, in line {first[scope]}.")
            first.setdefault(scope, nearest_line(self._lines, at))

    def _prices(self) -> None:
        for position, entry in self._tables("prices"):
            if (problem := problem_with_price(entry)) is not None:
                self._report(("prices", position), problem)

    def _organisation(self) -> None:
        table = self._raw.get("organisation")
        if self._layer is not LayerName.ORGANISATION:
            if table is not None:
                self._report(("organisation",), "stands in a signed policy of an organisation only.")
            return
        if table is None:
            self._report((), "[organisation] with name, revision and expires is missing.")
        elif isinstance(table, dict):
            self._zoned(("organisation", "expires"), table.get("expires"))
        if "extends" in self._raw:
            self._report(("extends",), "an organisation's policy stands by itself and extends nothing.")

    def _tests(self) -> None:
        for position, entry in self._tables("tests"):
            given = entry.get("given")
            if isinstance(given, dict):
                self._zoned(("tests", position, "given", "time"), given.get("time"))

    def _zoned(self, path: Path, moment: object) -> None:
        if isinstance(moment, datetime) and moment.tzinfo is None:
            self._report(path, "needs a time zone: write 2027-06-30T00:00:00Z or +02:00 instead of the Z.")

    def _groups(self, path: Path, entries: object) -> None:
        known = [str(entry.get("name")) for _, entry in self._tables("model_groups")]
        for index, entry in _texts(entries):
            if entry.startswith(GROUP) and entry.removeprefix(GROUP) not in known:
                hint = nearest(entry.removeprefix(GROUP), known) if known else " The file defines none."
                self._report((*path, index), f"there is no model group of this name.{hint}")

    def _tables(self, name: str) -> list[tuple[int, dict[str, Any]]]:
        entries = self._raw.get(name)
        if not isinstance(entries, list):
            return []
        return [(position, entry) for position, entry in enumerate(entries) if isinstance(entry, dict)]


def _absolute(path: str) -> bool:
    return path == "~" or path.startswith(("/", "~/", "~\\", "*")) or re.match(r"[A-Za-z]:[\\/]", path) is not None


def _below(path: str) -> bool:
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return bool(parts) and not path.startswith(("/", "~", "\\")) and ".." not in parts and ":" not in path


def _texts(entries: object) -> list[tuple[int, str]]:
    if not isinstance(entries, list):
        return []
    return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, str)]
