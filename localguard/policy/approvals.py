"""What persons were asked and what they answered: questions, grants, and how far each grant reaches.

Pure: times are seconds of one clock that only goes forward, passed in. A grant never outlives the rules that asked: another
policy, workspace, endpoint or model is another question.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from localguard.errors import LocalguardError


class Scope(StrEnum):
    """How far an approval reaches beyond the request that was asked about."""

    ONCE = "once"
    """The identical request, for ten minutes."""
    SESSION = "session"
    """Every request of this session to which the same rules object."""
    HOUR = "hour"
    """Every request of this workspace to which the same rules object, for an hour."""
    TASK = "task"
    """The same, while the task stays the same, for twelve hours at most."""


SECONDS = {Scope.ONCE: 600.0, Scope.SESSION: 12 * 3600.0, Scope.HOUR: 3600.0, Scope.TASK: 12 * 3600.0}
"""For how long a grant of each scope holds."""
KEPT = 3600.0
"""Seconds for which a question can still be answered after it was asked."""
MOST_QUESTIONS = 200
"""Questions that are kept; the oldest is forgotten first."""
MOST_GRANTS = 1000


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question is about."""

    workspace: str
    """Its id."""
    endpoint: str
    model: str | None
    rules: tuple[str, ...]
    """The rules that ask, as `layer/id`."""
    policy: str
    """Digest of the policy that they stand in."""
    session: str | None
    task: str | None
    request: bytes
    """Keyed digest of everything that is sent."""

    def key(self, scope: Scope) -> tuple[object, ...] | None:
        """What a grant of this scope is about; None where the request has no such thing."""
        about = (scope, self.workspace, self.endpoint, self.model, self.rules, self.policy)
        if scope is Scope.ONCE:
            return (*about, self.request)
        if scope is Scope.SESSION:
            return (*about, self.session) if self.session else None
        if scope is Scope.TASK:
            return (*about, self.task) if self.task else None
        return about


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said to a question."""

    allow: bool
    scope: Scope
    by: str
    """Who: the name of a user of this machine."""
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request that policy wants a person to be asked about."""

    id: str
    """The exchange's id, or one of its own."""
    subject: Subject
    asked: float
    reason: str
    """In words, without any value of the request."""
    facts: dict[str, str | None] = field(default_factory=dict)
    """What a person sees beside the reason: workspace, agent, model and so on, as the log may hold them."""
    most: tuple[Scope, ...] = tuple(Scope)
    """How far an answer may reach."""
    exchange: str | None = None
    """The exchange that it belongs to, where its id is another: a question about its reply."""
    values: tuple[str, ...] = ()
    """Types of the values that a command would be given, where that is what is asked."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """How far an answer can reach."""
        return tuple(scope for scope in self.most if self.subject.key(scope) is not None)


class QuestionUnknown(LocalguardError):
    """No question has this id, or it is too old to be answered."""


class ScopeImpossible(LocalguardError):
    """What was asked about has no session or task that the approval could reach, or must be asked about each time."""


class Approvals:
    """Questions that wait, and grants that were given. Not for several threads."""

    def __init__(self) -> None:
        self._questions: OrderedDict[str, Question] = OrderedDict()
        self._answers: dict[str, Answer] = {}
        self._grants: OrderedDict[tuple[object, ...], tuple[float, str, Answer]] = OrderedDict()

    def ask(self, question: Question) -> None:
        """Keep a question until it is answered or an hour has passed."""
        self._forget(question.asked)
        self._questions[question.id] = question
        while len(self._questions) > MOST_QUESTIONS:
            self._drop(next(iter(self._questions)))

    def withdraw(self, id: str) -> None:
        """Nobody waits for the answer any more, and it would be of no use."""
        if id not in self._answers:
            self._drop(id)

    def answer(self, id: str, answer: Answer, now: float) -> Question:
        """Take an answer and return its question. The last answer counts: an approval can be taken back by a refusal.

        Raises QuestionUnknown, ScopeImpossible; nothing changes then.
        """
        self._forget(now)
        question = self._questions.get(id)
        if question is None:
            raise QuestionUnknown(
                "No question with this id waits for an answer. `localguard approve` lists those that do."
            )
        key = question.subject.key(answer.scope)
        if key is None or answer.scope not in question.scopes:
            raise ScopeImpossible(f"An approval of this can reach: {', '.join(question.scopes)}.")
        self._answers[id] = answer
        for scope in Scope:
            if (held := question.subject.key(scope)) is not None and not answer.allow:
                self._grants.pop(held, None)
        if answer.allow:
            self._grants[key] = (now + SECONDS[answer.scope], id, answer)
            while len(self._grants) > MOST_GRANTS:
                self._grants.popitem(last=False)
        return question

    def granted(self, subject: Subject, now: float) -> tuple[str, Answer] | None:
        """The question whose answer admits `subject`, and that answer; None where nobody has allowed it."""
        for scope in Scope:
            key = subject.key(scope)
            grant = self._grants.get(key) if key is not None else None
            if grant is not None and now < grant[0]:
                return grant[1], grant[2]
        return None

    def denied(self, id: str) -> Answer | None:
        """The refusal that somebody answered a question with."""
        answer = self._answers.get(id)
        return answer if answer is not None and not answer.allow else None

    def waiting(self, now: float) -> Sequence[Question]:
        """Questions that nobody has answered, oldest first."""
        self._forget(now)
        return [question for id, question in self._questions.items() if id not in self._answers]

    def _forget(self, now: float) -> None:
        for id in [id for id, question in self._questions.items() if now - question.asked > KEPT]:
            self._drop(id)
        for key in [key for key, (until, _, _) in self._grants.items() if until <= now]:
            del self._grants[key]

    def _drop(self, id: str) -> None:
        self._questions.pop(id, None)
        self._answers.pop(id, None)
