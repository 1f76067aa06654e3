"""Policy asked about one exchange: with all that is known of it, along its route, and again for what only redaction finds.

The rule of this file: an exchange leaves it with a decision that was made about exactly the endpoint and the model that it
goes to.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from localguard.config.workspaces import Workspace
from localguard.exchange.request import Redacted
from localguard.policy.decide import Decision, decide_for_all
from localguard.policy.experiment import bucket_of
from localguard.policy.matching import glob_matches
from localguard.policy.model import Effect, Endpoint, EndpointClass, Route, Work
from localguard.policy.obligations import strictest_of
from localguard.policy.price import tokens_of
from localguard.proxy import refusals
from localguard.proxy.callers import Caller, ForOrganisation, PolicyState
from localguard.proxy.live import Exchange, Routed
from localguard.proxy.ollama_models import OllamaModels
from localguard.proxy.refusals import Refused
from localguard.wire.model_name import path_with_model, with_model
from localguard.wire.providers import speaks

_MODEL_NAME = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]{0,79}")


class Deciding:
    """Asks policy. `finds` says whether the guard's rules find anything in a text; `clock` gives the time, with its zone."""

    def __init__(self, ollama: OllamaModels, finds: Callable[[bytes], object], clock: Callable[[], datetime]) -> None:
        self._ollama = ollama
        self._finds = finds
        self._clock = clock

    async def decide(self, exchange: Exchange, policy: PolicyState) -> Decision:
        """Decide about a request that was read, and note decision, endpoint and model in the exchange. Raises Refused.

        A decision to ask is returned, not refused.
        """
        assert exchange.facts is not None
        _bind_claims(exchange, policy)
        decision = await self._decided(exchange, exchange.facts.types)
        route = decision.obligations.route if exchange.has_content else None
        if decision.effect is not Effect.DENY and route is not None and route.endpoint != exchange.caller.endpoint.name:
            await self._follow(exchange, route, policy.endpoints)
            there = await self._decided(exchange, exchange.facts.types)
            onward = there.obligations.route
            if onward is not None and onward.endpoint != route.endpoint:
                raise Refused(refusals.route_refused(decision, f"endpoint {route.endpoint} routes it on to another."))
            decision = _along(decision, there)
        return self._settled(exchange, decision)

    async def decide_again(self, exchange: Exchange) -> bool:
        """Decide about what redaction found beyond the scan: values known from elsewhere. Raises Refused.

        Returns whether anything about the decision is another now: obligations, or whether a person has to be asked.
        """
        assert exchange.facts is not None
        assert exchange.redacted is not None
        found = {word for one in exchange.redacted.replaced for word in (one.type, one.data_class)}
        if found <= exchange.facts.types:
            return False
        before = exchange.decision
        exchange.facts = replace(exchange.facts, types=exchange.facts.types | found)
        decision = await self._decided(exchange, exchange.facts.types)
        if before is not None and exchange.routed is not None:
            decision = _along(before, decision)
        self._settled(exchange, decision)
        return before is None or (before.effect, before.obligations) != (decision.effect, decision.obligations)

    @staticmethod
    def _settled(exchange: Exchange, decision: Decision) -> Decision:
        assert exchange.facts is not None
        exchange.decision = decision
        bucket = bucket_of(rule.id for rule in decision.deciding) or exchange.cost_bucket
        if bucket != exchange.caller.workspace.cost_bucket:  # an experiment pays for itself, and for nothing else
            workspace = replace(exchange.caller.workspace, cost_bucket=bucket)
            exchange.caller = replace(exchange.caller, workspace=workspace)
        refusal = refusals.of_policy(decision, exchange.facts)
        if refusal is not None:
            raise Refused(refusal)
        return decision

    async def _decided(self, exchange: Exchange, found: frozenset[str]) -> Decision:
        await self._see_where_it_computes(exchange)
        return decide_for_all(exchange.caller.layers, self._works(exchange, found))

    async def _see_where_it_computes(self, exchange: Exchange) -> None:
        """P11: a model of Ollama's that computes elsewhere makes its endpoint a hosted one."""
        endpoint, model = exchange.caller.endpoint, exchange.facts.model if exchange.facts is not None else None
        if endpoint.kind != "ollama" or endpoint.endpoint_class is not EndpointClass.LOCAL or model is None:
            return
        plain = self._is_plain_model(exchange, model)  # it is sent to Ollama before it is redacted
        if not plain or await self._ollama.leaves_machine(endpoint.name, endpoint.base_url, model):
            hosted = replace(endpoint, endpoint_class=EndpointClass.HOSTED, own_class=EndpointClass.HOSTED)
            exchange.caller = replace(exchange.caller, endpoint=hosted)

    def _is_plain_model(self, exchange: Exchange, model: str) -> bool:
        """Whether a model's name is nothing but that."""
        raw = model.encode("utf-8", "surrogatepass")
        return (
            _MODEL_NAME.fullmatch(model) is not None and not exchange.memory.vault.sweep(raw) and not self._finds(raw)
        )

    def _works(self, exchange: Exchange, found: frozenset[str]) -> list[Work]:
        """What the request may be work on: one piece for each workspace that binds it."""
        caller, facts = exchange.caller, exchange.facts
        assert facts is not None
        work = Work(
            workspace=caller.workspace.name,
            sensitivity=caller.workspace.sensitivity,
            task=caller.task,
            endpoint=caller.endpoint.name,
            endpoint_class=caller.endpoint.endpoint_class,
            # None is "not known" and matches every deny; a call without a body is about no model at all
            model=facts.model if facts.body_bytes else facts.model or "",
            identity=caller.endpoint.identity,
            agent=caller.agent,
            tools=frozenset(facts.tools),
            findings=found,
            attachments=facts.attachments,
            time=self._clock(),
            input_tokens=tokens_of(max(0, facts.body_bytes - facts.attached_bytes)),
        )
        task = exchange.admitted.task
        beside = caller.workspace.beside
        works = [] if caller.workspace.several else [work]
        works += [
            replace(work, workspace=one.name, sensitivity=one.sensitivity, task=task or one.task) for one in beside
        ]
        if caller.for_organisation is None:
            return works
        theirs = caller.for_organisation
        return [
            replace(one, to_organisation=_to_organisation(one, caller, theirs, workspace))
            for one in works
            for workspace in theirs.workspace.candidates
        ]

    async def fall_back(self, exchange: Exchange, policy: PolicyState) -> Decision:
        """Turn an exchange that reached nobody to its endpoint's fallback, and decide about it there. Raises Refused."""
        asked = exchange.routed
        await self._follow(exchange, Route(exchange.caller.endpoint.fallback or ""), policy.endpoints)
        if asked is not None:
            exchange.routed = asked  # what the agent asked for, whatever came between
        assert exchange.facts is not None
        decision = await self._decided(exchange, exchange.facts.types)
        onward = decision.obligations.route
        if onward is not None and onward.endpoint != exchange.caller.endpoint.name:
            raise Refused(refusals.route_refused(decision, "the fallback routes it on to another endpoint."))
        return self._settled(exchange, decision)

    async def _follow(self, exchange: Exchange, route: Route, endpoints: Mapping[str, Endpoint]) -> None:
        """Turn the exchange to the endpoint of a route, under the name that its model has there. Raises Refused."""
        caller, facts = exchange.caller, exchange.facts
        assert facts is not None
        target = endpoints.get(route.endpoint)
        if target is None:
            raise Refused(refusals.route_refused(None, f"no endpoint is called {route.endpoint}."))
        if caller.within is not None and target.name not in caller.within:
            raise Refused(refusals.route_refused(None, f"the workspace token is not good for endpoint {target.name}."))
        if not speaks(target.kind, exchange.format.name):
            raise Refused(
                refusals.route_refused(None, f"endpoint {target.name} does not speak {exchange.format.name}.")
            )
        if target.credential == "client" and target.own_class is not EndpointClass.LOCAL:
            raise Refused(
                refusals.route_refused(None, f"endpoint {target.name} has no key of the guard's own (keyring:NAME).")
            )
        exchange.routed = Routed(caller.endpoint.name, facts.model)
        exchange.caller = replace(caller, endpoint=target)
        if facts.model is not None:
            name = next((name for glob, name in route.models if glob_matches([glob], facts.model or "")), facts.model)
            exchange.facts = replace(facts, model=name)


def renamed(redacted: Redacted, exchange: Exchange) -> Redacted:
    """Return a redacted request that is routed under the name that its model has where it goes. Raises Refused."""
    facts, routed = exchange.facts, exchange.routed
    assert facts is not None
    assert routed is not None
    if facts.model is None or facts.model == routed.model:
        return redacted
    body, path = with_model(redacted.body, facts.model), path_with_model(redacted.path, facts.model)
    if body is None and path is None:
        raise Refused(refusals.route_refused(exchange.decision, "the model's name stands where it cannot be changed."))
    return replace(
        redacted,
        body=redacted.body if body is None else body,
        path=redacted.path if path is None else path,
    )


def _along(here: Decision, there: Decision) -> Decision:
    """The decision about a request that is routed: about both endpoints, the stricter of each."""
    if there.effect is Effect.DENY:
        return there
    strict = here if here.effect >= there.effect else there
    refs = tuple(dict.fromkeys((*here.deciding, *there.deciding)))
    return replace(
        strict,
        deciding=refs,
        obligations=strictest_of(here.obligations, replace(there.obligations, route=here.obligations.route)),
    )


def _bind_claims(exchange: Exchange, policy: PolicyState) -> None:
    """What the request says of places binds too: it can only add."""
    caller, facts = exchange.caller, exchange.facts
    assert facts is not None
    paths, remotes = facts.claims.paths, facts.claims.remotes
    workspace = caller.workspace.and_also(policy.workspaces.claimed(paths, remotes))
    theirs = caller.for_organisation
    if theirs is not None and policy.organisation is not None:
        theirs = replace(theirs, workspace=theirs.workspace.and_also(policy.organisation[0].claimed(paths, remotes)))
    if workspace is not caller.workspace or theirs is not caller.for_organisation:
        exchange.caller = replace(caller, workspace=workspace, for_organisation=theirs)


def _to_organisation(work: Work, caller: Caller, theirs: ForOrganisation, workspace: Workspace) -> Work:
    """The work in the organisation's own words: what the user's file says of endpoint and workspace does not count."""
    endpoint = caller.endpoint
    own = endpoint.name in theirs.endpoints
    return replace(
        work,
        workspace=workspace.name,
        sensitivity=max(workspace.sensitivity, work.sensitivity),
        endpoint_class=endpoint.endpoint_class if own else endpoint.own_class,
        identity=endpoint.identity if own else None,
    )
