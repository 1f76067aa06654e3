"""What callers of the control API give and get, as types: by them calls are checked and the OpenAPI description is made."""

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from localguard.audit.rows import ExchangeRow
from localguard.audit.session_rows import SessionRow
from localguard.policy.approvals import Scope
from localguard.policy.model import Sensitivity
from localguard.policy.routes import RouteMode

MOST_TEXT = 2000
"""Characters of one text that a caller may give."""
MOST_ROWS = 1000

Text = Annotated[str, Meta(max_length=MOST_TEXT)]
Given = Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]
Names = Annotated[tuple[Given, ...], Meta(max_length=200)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Rows = Annotated[int, Meta(ge=0, le=MOST_ROWS)]


class Asked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a caller gives; a member that is not named here is an error, since it is misspelled."""


class Nothing(Asked, frozen=True):
    """No parameters."""


# what is asked


class ExchangesQuery(Asked, frozen=True):
    """How many exchanges, and before or after which one."""

    limit: Rows = 50
    before: Given | None = None
    after: Given | None = None


class SessionsQuery(Asked, frozen=True):
    """How many sessions, and before which record."""

    limit: Rows = 50
    before_seq: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class AnswerBody(Asked, frozen=True):
    """An answer to a question: yes or no, and how far a yes reaches."""

    allow: bool
    scope: Scope = Scope.ONCE
    why: Text = ""


class ModeBody(Asked, frozen=True):
    """What routes go by: the policy, or local endpoints only."""

    mode: RouteMode


class SwitchBody(Asked, frozen=True):
    """An endpoint's switch."""

    on: bool


class ExplainBody(Asked, frozen=True):
    """Some work, as far as it is known, or the exchange whose work is asked about anew."""

    exchange: Given | None = None
    endpoint: Given | None = None
    model: Given | None = None
    workspace: Given | None = None
    task: Given | None = None
    sensitivity: Sensitivity | None = None
    identity: Given | None = None
    agent: Given | None = None
    tools: Names = ()
    findings: Names = ()
    attachments: Names = ()
    input_tokens: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class ReportBody(Asked, frozen=True):
    """Of what a report is asked for; times as `localguard report` takes them."""

    since: Given | None = None
    to: Given | None = None
    workspace: Given | None = None
    session: Given | None = None
    verify: bool | None = None


class NothingBody(Asked, frozen=True):
    """Nothing is given; the body may be left out."""


class PauseBody(Asked, frozen=True):
    """How long redaction is paused, and why."""

    minutes: Count
    reason: Given


class TrustBody(Asked, frozen=True):
    """That the machine's clock is right."""

    trust: bool = True


class WaitBody(Asked, frozen=True):
    """That the answer is waited for."""

    wait: bool = True


class CommandBody(Asked, frozen=True):
    """A command, argument by argument."""

    argv: Annotated[list[str], Meta(min_length=1, max_length=1000)]


class ExperimentBody(Asked, frozen=True):
    """How long an experiment runs, why, and what it may cost a day in USD."""

    hours: Count
    reason: Given
    limit_usd: (
        Annotated[str, Meta(pattern=r"^\d{1,9}(\.\d{1,6})?$", description="an amount above 0, like 2.50")] | None
    ) = None


class SessionApprovalBody(Asked, frozen=True):
    """A session that somebody approves: who, by git's configuration, and a note."""

    session: Given
    note: Text = ""
    identity: Text = ""


class OutcomeBody(Asked, frozen=True):
    """What became of a session."""

    session: Given
    workflow: Given
    result: Literal["accepted", "reworked", "rejected"]
    review_minutes: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    note: Text = ""
    commits: dict[str, int] | None = None


class TaskBody(Asked, frozen=True):
    """A task category, and for which workspace, by name or by a directory; an empty one ends it."""

    task: Text
    workspace: Text = ""
    directory: Text = ""


class KeyBody(Asked, frozen=True):
    """What was done with a key."""

    action: Literal["set", "rotate", "remove"]


class PruneBody(Asked, frozen=True):
    """Which sections of which kinds of records are dropped, and before when (RFC 3339)."""

    before: Given
    sections: Names = ()
    kinds: Names = ()


class EraseBody(Asked, frozen=True):
    """A workspace's id, and the name by which people know it."""

    workspace: Given
    name: Text = ""


class SyncBody(Asked, frozen=True):
    """Where records go, at which level, and with what they are sent."""

    to: Given
    level: Given
    names: bool = False
    exclude: Names = ()
    token: Text = ""
    ca_file: Text = ""
    client_cert: Text = ""
    from_now: bool = True


# what comes back


class ReportLink(TypedDict):
    """An address of this guard that opens the report in a browser, once, and for how long it is good."""

    path: str
    seconds: int


class ExchangeList(TypedDict):
    """Exchanges, oldest first. `more` says that the log may hold further ones in that direction."""

    exchanges: list[ExchangeRow]
    more: bool


class SessionList(TypedDict):
    """Sessions, newest first."""

    sessions: list[SessionRow]


SessionView = dict[str, Any]


HealthState = Literal["unused", "ok", "unsteady", "failing"]


class Health(TypedDict):
    """How an endpoint's latest exchanges went. The guard asks no provider by itself: what nobody used is ``unused``."""

    state: HealthState
    exchanges: int
    failed: int
    last: str | None
    """When the latest one began."""
    last_status: int | None
    last_error: str | None
    first_byte_ms: int | None
    """In the middle."""


EndpointView = TypedDict(
    "EndpointView",
    {
        "name": str,
        "kind": str,
        "class": str,
        "base_url": str,
        "credential": str,
        "identity": str | None,
        "support": str | None,
        "region": str | None,
        "retention": str | None,
        "fallback": str | None,
        "file": str,
        "line": int,
        "on": bool,
        "health": Health,
    },
)
"""An endpoint that policy knows, whether it is switched on, and how it does."""


class EndpointList(TypedDict):
    """The endpoints, and whether routes go by the policy or to local ones only."""

    mode: RouteMode
    endpoints: list[EndpointView]


class RuleView(TypedDict):
    """A rule of a policy: its conditions by field."""

    id: str
    effect: str
    reason: str
    line: int
    when: dict[str, list[str]]


class LayerView(TypedDict):
    """A policy layer in force. `text` is its file's, where that still says what is in force."""

    name: str
    file: str
    digest: str
    default: str
    organisation: str | None
    revision: int
    rules: list[RuleView]
    text: str | None


class PolicyView(TypedDict):
    """What binds work on this machine, repositories' own policies aside; `error` is why a newer file is not in force."""

    digest: str
    error: str | None
    layers: list[LayerView]


class ErrorText(TypedDict):
    """What went wrong: a code, and a message that says why and what to do."""

    type: str
    code: str
    message: str
    param: None


class ControlError(TypedDict):
    """The body of every answer that is not 200."""

    type: Literal["error"]
    error: ErrorText
