"""What callers of the control API give and get, as types: by them calls are checked and the OpenAPI description is made."""

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from localguard.audit.rows import ExchangeRow
from localguard.audit.session_rows import SessionRow
from localguard.policy.approvals import Scope
from localguard.policy.routes import RouteMode

MOST_TEXT = 2000
"""Characters of one text that a caller may give."""
MOST_ROWS = 1000

Text = Annotated[str, Meta(max_length=MOST_TEXT)]
Given = Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]
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


# what comes back


class ExchangeList(TypedDict):
    """Exchanges, oldest first. `more` says that the log may hold further ones in that direction."""

    exchanges: list[ExchangeRow]
    more: bool


class SessionList(TypedDict):
    """Sessions, newest first."""

    sessions: list[SessionRow]


SessionView = dict[str, Any]


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
