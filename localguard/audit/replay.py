"""Recorded decisions asked again under another policy. Pure: records in, work out.

What a record does not hold stays not known, as policy understands it: a pruned section, a model that was not written down
because the request was refused before it was redacted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from localguard.audit.queries import Record
from localguard.policy.decide import Decision, decide
from localguard.policy.given import with_organisation
from localguard.policy.layers import effective_endpoints
from localguard.policy.matching import glob_matches
from localguard.policy.model import Endpoint, EndpointClass, Layer, LayerName, Sensitivity, Work, WorkspaceRule
from localguard.policy.price import tokens_of


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded request that another policy decides otherwise."""

    exchange: str
    time: str
    work: Work
    before: Decision
    after: Decision


def changes(records: Iterable[Record], old: Sequence[Layer], new: Sequence[Layer]) -> tuple[int, list[Change]]:
    """Return how many requests were asked again, and those that `new` decides otherwise than `old`, in their order."""
    asked = 0
    found: list[Change] = []
    for record in records:
        if record.metadata is None or record.kind not in ("intent", "refusal") or not record.metadata.get("endpoint"):
            continue
        asked += 1
        works = work_of_record(record, old), work_of_record(record, new)
        before, after = decide(old, works[0]), decide(new, works[1])
        if _differ(before, after):
            found.append(Change(record.exchange or "", record.time, works[1], before, after))
    return asked, found


def work_of_record(record: Record, layers: Sequence[Layer]) -> Work:
    """Return the work that a request was, in the words of these layers: their endpoints and workspaces, where they have them."""
    m: dict[str, Any] = record.metadata or {}
    local: dict[str, Any] = record.local or {}
    routed = m.get("routed_from") or {}
    endpoint = routed.get("endpoint") or m["endpoint"]
    known = effective_endpoints(layers).get(endpoint)
    workspace = local.get("workspace") or m.get("workspace")
    work = Work(
        workspace=workspace,
        sensitivity=Sensitivity(m.get("sensitivity") or Sensitivity.RESTRICTED),
        task=m.get("task"),
        endpoint=endpoint,
        endpoint_class=_class(m, known, bool(routed)),
        model=routed.get("model") or m.get("model"),
        identity=known.identity if known is not None else m.get("identity"),
        agent=m.get("agent"),
        tools=frozenset(m.get("tools") or ()),
        findings=frozenset(
            word for one in record.findings or () for word in (one.get("type"), one.get("class")) if word
        ),
        attachments=frozenset(m.get("attachments") or ()),
        time=datetime.fromisoformat(record.time),
        input_tokens=tokens_of(m["request_bytes"]) if m.get("request_bytes") is not None else None,
    )
    matching = _matching(local, layers)
    if matching:
        work = replace(
            work,
            workspace=matching[0].name,
            sensitivity=max(rule.sensitivity for rule in matching),
            task=work.task or _task(matching, local.get("branch")),
        )
    return with_organisation(work, layers)


def _class(metadata: dict[str, Any], endpoint: Endpoint | None, routed: bool) -> EndpointClass:
    recorded = metadata.get("endpoint_class")
    if endpoint is not None and (routed or endpoint.kind != "ollama"):
        return endpoint.endpoint_class
    return EndpointClass(recorded) if recorded else EndpointClass.HOSTED  # of Ollama's models some compute elsewhere


def _matching(local: dict[str, Any], layers: Sequence[Layer]) -> list[WorkspaceRule]:
    repository, root = local.get("repository"), local.get("root")
    rules = [
        rule
        for layer in sorted(layers, key=lambda layer: layer.name.rank)
        if layer.name is not LayerName.REPOSITORY
        for rule in layer.workspaces
    ]
    return [
        rule
        for rule in rules
        if (repository and glob_matches(rule.remotes, repository))
        or (root and any(glob_matches((path.rstrip("/"), path.rstrip("/") + "/*"), root) for path in rule.paths))
        or rule.name == local.get("workspace")
    ]


def _task(rules: Sequence[WorkspaceRule], branch: str | None) -> str | None:
    if branch is None:
        return None
    return next((task for rule in rules for glob, task in rule.tasks if glob_matches([glob], branch)), None)


def _differ(before: Decision, after: Decision) -> bool:
    return (before.effect, before.obligations) != (after.effect, after.obligations)
