"""What the rooms of the guard answer to control calls, as types for its description."""

from typing import Any, Required, TypedDict

from localguard.policy.routes import RouteMode


class StatusView(TypedDict, total=False):
    """What the guard says of itself."""

    version: Required[str]
    pid: int
    port: int
    uptime_seconds: int
    running: int
    policy: dict[str, Any]
    log: dict[str, Any]
    budgets: list[dict[str, Any]]
    endpoints: list[dict[str, Any]]
    counters: dict[str, int]


class Stopping(TypedDict):
    """That the guard ends."""

    stopping: bool


class Question(TypedDict, total=False):
    """A request, or a command, that waits for a person. `scopes` are how far a yes can reach; only a command has a `tool`."""

    id: Required[str]
    age_seconds: Required[int]
    reason: Required[str]
    scopes: Required[list[str]]
    waiting: bool
    agent: str | None
    workspace: str | None
    sensitivity: str | None
    branch: str | None
    task: str | None
    endpoint: str | None
    model: str | None
    identity: str | None
    exchange: str | None
    tool: str | None


class QuestionList(TypedDict):
    """The questions that nobody has answered, oldest first."""

    approvals: list[Question]


class Answered(TypedDict):
    """An answer that was taken. `waiting`: the request goes on by itself."""

    id: str
    allow: bool
    scope: str
    waiting: bool


class BudgetView(TypedDict):
    """How a budget stands. Amounts are decimal digits in USD, times those of its zone."""

    name: str
    period: str
    zone: str
    starts: str
    ends: str
    limit_usd: str
    spent_usd: str
    reserved_usd: str
    forecast_usd: str | None
    runs_out: str | None
    on_exceed: str
    used_up: bool
    file: str
    line: int


class BudgetList(TypedDict):
    """The budgets, and the time that they go by."""

    now: str
    clock_held: bool
    budgets: list[BudgetView]


class ClockView(TypedDict):
    """The time that budgets go by."""

    now: str


RouteView = TypedDict("RouteView", {"name": str, "class": str, "on": bool})
"""An endpoint and whether it is on."""


class RoutesView(TypedDict):
    """The route switches."""

    mode: RouteMode
    endpoints: list[RouteView]
    error: str | None


class PauseView(TypedDict):
    """Whether redaction is paused, and what the policy allows."""

    paused: bool
    seconds_left: int
    reason: str | None
    most_minutes: int
    sensitivity: list[str]


class ExperimentView(TypedDict):
    """An experiment that runs."""

    endpoint: str
    seconds_left: int
    limit_usd: str
    reason: str


class ExperimentList(TypedDict):
    """The experiments that run."""

    experiments: list[ExperimentView]


class SessionApproved(TypedDict):
    """An approval of a session as it is in the log."""

    session: str
    by: str
    identity: str | None
    records: int
    until: str


class OutcomeTold(TypedDict):
    """What was said of a session."""

    session: str
    workflow: str
    result: str


class TaskView(TypedDict):
    """A task that was set."""

    workspace: str
    task: str


class TaskList(TypedDict):
    """The tasks that were set, those that policy names, and the workspaces that it names."""

    tasks: list[TaskView]
    known: list[str]
    workspaces: list[str]


class TaskSet(TypedDict):
    """The task of a workspace, and the one that its branch says."""

    workspace: str
    task: str | None
    by_branch: str | None


class CommandAsked(TypedDict):
    """A command that somebody is asked about, and which types of values it would get."""

    id: str
    types: dict[str, int]


class CommandTaken(TypedDict):
    """The command with its values."""

    argv: list[str]


class Signed(TypedDict):
    """Whether the device has a key to sign with."""

    signed: bool


class Pruned(TypedDict):
    """How many records lost something."""

    records: int


class Erased(TypedDict):
    """The workspace, as the log names it."""

    erased: str


class Recorded(TypedDict):
    """That it is in the log."""

    recorded: bool


class SyncView(TypedDict, total=False):
    """What was agreed about sync, and how far it is."""

    enabled: Required[bool]
    problem: Required[str | None]
    to: str
    level: str
    names: bool
    exclude: list[str]
    since: int
    agreed: str
    size: int
    sent: int
    code: str | None
    failures: int
