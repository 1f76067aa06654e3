"""Asking a person: a request waits, with no byte sent, or a reply before a command with values, until somebody answers.

Answers come through the control API (command line, terminal UI, tray). Each question and each answer is in the log. A process
that descends from the agent cannot answer for it; other programs of the same user could, as they could read the control token.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.policy.approvals import Answer, Approvals, Question, QuestionUnknown, Scope, ScopeImpossible, Subject
from localguard.policy.decide import Decision
from localguard.proxy import refusals
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import Answered, QuestionList
from localguard.proxy.control_models import AnswerBody
from localguard.proxy.exchange_ids import ExchangeIds
from localguard.proxy.live import Exchange
from localguard.proxy.refusals import Refused
from localguard.proxy.session_approvals import user_name
from localguard.redact.report import ValuesWanted

WAIT_SECONDS = 60.0
"""How long a request waits at most: a person who is there answers sooner, and agents wait longer."""

_BREAKS = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass(slots=True)
class _Waiting:
    """One request that waits."""

    subject: Subject
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Asking:
    """The questions of one daemon. Lives in its event loop; its calls are offered to `control`."""

    def __init__(self, store: Store, control: Control, callers: Callers, *, wait: float = WAIT_SECONDS) -> None:
        self._store = store
        self._control = control
        self._callers = callers
        self._wait = wait
        self._approvals = Approvals()
        self._waiting: dict[str, _Waiting] = {}
        self._ids = ExchangeIds()
        control.offer(
            Call("GET", "/approvals", "Requests that wait for a person's answer.", self._list, gives=QuestionList),
            Call(
                "POST",
                "/approvals/{id}",
                "Answer one: `allow`, `scope`, `why`.",
                self._answer,
                takes=AnswerBody,
                gives=Answered,
            ),
        )

    async def admit(self, exchange: Exchange, decision: Decision, request: bytes) -> None:
        """Return once somebody has allowed this request; it notes the approval in the exchange. Raises Refused.

        `request` is everything that is about to be sent, before redaction.
        """
        subject = _subject(exchange, decision, request)
        granted = self._approvals.granted(subject, time.monotonic())
        if granted is None:
            question = Question(exchange.id, subject, time.monotonic(), decision.reason, self._facts(exchange))
            self.ask(question)
            granted = await self.settle(question)
        if granted is None:
            answer = self._approvals.denied(exchange.id)
            raise Refused(refusals.of_asking(decision, exchange.id, answer))
        exchange.approval = granted[0]

    async def values(self, exchange: Exchange, wanted: ValuesWanted) -> bool:
        """Whether somebody allows an argument of this exchange's reply the values that it would not be given else."""
        question = _about_values(self._ids.new(), exchange, wanted, self._facts(exchange))
        granted = self._approvals.granted(question.subject, time.monotonic())
        if granted is None:
            self.ask(question)
            granted = await self.settle(question)
        return granted is not None

    def ask(self, question: Question) -> None:
        """Put a question before whoever can answer it."""
        self._approvals.ask(question)
        self._note(question, "ask")
        self._control.publish("question", _shown(question, time.monotonic()))

    async def settle(self, question: Question) -> tuple[str, Answer] | None:
        """Wait for the answer to a question that was asked: the id and the answer that allow it, or None for no."""
        id, subject = question.id, question.subject
        self._waiting[id] = waiting = _Waiting(subject)
        if self._approvals.denied(id) is not None or self._approvals.granted(subject, time.monotonic()) is not None:
            waiting.answered.set()
        try:
            async with asyncio.timeout(self._wait):
                await waiting.answered.wait()
        except TimeoutError:
            self._control.publish("question-over", {"id": id})
        except asyncio.CancelledError:  # the client has gone: nothing would be sent
            self._approvals.withdraw(id)
            self._control.publish("question-over", {"id": id})
            raise
        finally:
            del self._waiting[id]
        granted = self._approvals.granted(subject, time.monotonic())
        if granted is not None:  # perhaps by the answer to another question, which reaches this one
            self._approvals.withdraw(id)
        return granted

    # control calls

    def _list(self, _: Arguments) -> Mapping[str, object]:
        now = time.monotonic()
        questions = self._approvals.waiting(now)
        return {"approvals": [_shown(one, now) | {"waiting": one.id in self._waiting} for one in questions]}

    async def _answer(self, given: Arguments) -> Mapping[str, object]:
        allow = given.body.get("allow")
        if not isinstance(allow, bool):
            raise ControlRefused(400, "allow must be true or false.")
        try:
            scope = Scope(given.text("scope", Scope.ONCE))
        except ValueError:
            raise ControlRefused(400, f"scope is none of {', '.join(Scope)}.") from None
        id = given.path["id"]
        if allow:
            await self._callers.only_persons(given.request, "approve its own request")
        answer = Answer(allow, scope, user_name(), given.text("why", ""))
        try:
            question = self._approvals.answer(id, answer, time.monotonic())
        except QuestionUnknown as error:
            raise ControlRefused(404, f"{error}") from None
        except ScopeImpossible as error:
            raise ControlRefused(400, f"{error}") from None
        self._note(question, "approve" if allow else "deny", answer)
        self._control.publish("answer", {"id": id, "allow": allow, "scope": str(scope)})
        for other, waiting in self._waiting.items():
            if other == id or self._approvals.granted(waiting.subject, time.monotonic()) is not None:
                waiting.answered.set()
        return {"id": id, "allow": allow, "scope": str(scope), "waiting": id in self._waiting}

    def _facts(self, exchange: Exchange) -> dict[str, str | None]:
        """`_facts` as the log has them: a branch or a model can be named after a secret."""
        facts = _facts(exchange)
        named = {name: text for name, text in facts.items() if text is not None}
        try:
            return {**facts, **self._store.as_recorded(named)}
        except RecordInvalid:
            return dict.fromkeys(facts)

    def _note(self, question: Question, event: str, answer: Answer | None = None) -> None:
        subject = question.subject
        detail: dict[str, str | int | bool | None] = {"rule": ", ".join(subject.rules)}
        if question.values:
            detail |= {"question": question.id, "values": ", ".join(question.values)}
        if answer is not None:
            detail["scope"] = str(answer.scope)
        metadata = {"event": event, "detail": detail} | ({"reason": answer.why} if answer is not None else {})
        local = {"by": answer.by} if answer is not None else {}
        with suppress(LogUnavailable, RecordInvalid):  # what cannot be recorded is refused at its intent
            exchange = question.exchange or question.id
            self._store.note("control", exchange=exchange, session=subject.session, metadata=metadata, local=local)


def _subject(exchange: Exchange, decision: Decision, request: bytes) -> Subject:
    head = f"{exchange.method} {exchange.admitted.path}?{exchange.admitted.query or ''}".encode()
    rules = tuple(sorted(f"{rule.layer}/{rule.id}" for rule in decision.deciding)) or ("default",)
    return _subject_of(exchange, rules, exchange.memory.digest(b"approval", head, request))


def _about_values(id: str, exchange: Exchange, wanted: ValuesWanted, facts: Mapping[str, str | None]) -> Question:
    """The question about one argument: answered for it alone, and shown with its placeholders, as nobody needs the values."""
    parts = (wanted.tool, wanted.argument, wanted.text)
    digest = exchange.memory.digest(b"values", *(part.encode("utf-8", "surrogatepass") for part in parts))
    types = ", ".join(f"{count} × {one}" if count > 1 else one for one, count in Counter(wanted.types).items())
    shown = in_one_line(exchange.memory.vault.shown(wanted.text))
    return Question(
        id,
        _subject_of(exchange, ("guard/values-in-calls",), digest),
        time.monotonic(),
        f"{wanted.tool} would be given real values ({types}): {shown} ({wanted.reason})",
        {**facts, "exchange": exchange.id, "tool": wanted.tool},
        most=(Scope.ONCE,),
        exchange=exchange.id,
        values=tuple(dict.fromkeys(wanted.types)),
    )


def in_one_line(command: str) -> str:
    """A command with its line breaks to be seen: shown as spaces, what comes after them could pass for a comment."""
    return command.translate(_BREAKS)


def _subject_of(exchange: Exchange, rules: tuple[str, ...], digest: bytes) -> Subject:
    caller, facts = exchange.caller, exchange.facts
    return Subject(
        workspace=caller.workspace.id,
        endpoint=caller.endpoint.name,
        model=facts.model if facts is not None else None,
        rules=rules,
        policy=" ".join([caller.policy_digest, *(one.digest for one in caller.layers)]),  # repositories' too
        session=exchange.session or (facts.conversation if facts is not None else None),
        task=caller.task,
        request=digest,
    )


def _facts(exchange: Exchange) -> dict[str, str | None]:
    """What a person sees of the request. What a client may fill with anything is only what policy has names for."""
    caller = exchange.caller
    return {
        "agent": caller.agent,
        "workspace": caller.workspace.name,
        "sensitivity": str(caller.workspace.sensitivity),
        "branch": caller.workspace.branch,
        "task": caller.task,
        "endpoint": caller.endpoint.name,
        "class": str(caller.endpoint.endpoint_class),
        "model": exchange.facts.model if exchange.facts is not None else None,
        "identity": caller.endpoint.identity,
    }


def _shown(question: Question, now: float) -> dict[str, object]:
    scopes = [str(scope) for scope in question.scopes]
    age = int(now - question.asked)
    return {"id": question.id, "age_seconds": age, "reason": question.reason, "scopes": scopes, **question.facts}
