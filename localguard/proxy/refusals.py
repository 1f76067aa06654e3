"""Every reason for which the guard stops a request, as the agent is told: one place for codes, statuses and words."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.errors import LocalguardError
from localguard.exchange.request import Facts, RequestRefused
from localguard.policy.approvals import Answer
from localguard.policy.budget_words import advice, described
from localguard.policy.decide import Decision
from localguard.policy.ledger import Standing, title
from localguard.policy.model import Effect, Endpoint, Obligation
from localguard.policy.sync_demand import Unmet
from localguard.proxy.admission import AdmissionRefused
from localguard.proxy.connection import BodyError, BodyTooLarge
from localguard.proxy.headers import EXCHANGE
from localguard.proxy.scan_pool import ScanTimeout
from localguard.proxy.upstream import UpstreamError, UpstreamRefused, UpstreamTimeout
from localguard.wire.coding import CodingError
from localguard.wire.refusal import HEADERS, Refusal, render


class Refused(LocalguardError):
    """The request stops here, with what the agent is told."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


_STATUSES: Final[Mapping[str, Mapping[int, int]]] = {
    "codex": dict.fromkeys(
        (401, 402, 403, 404, 405, 408, 409, 413, 417, 422, 429, 431, 500, 501, 502, 503, 504, 505), 400
    ),
    "opencode": dict.fromkeys((404, 500, 501, 502, 503, 504, 505), 400),
}
"""Agents that send a refused request again, and the status on which they send it once and show its text.

Measured in November 2026: Codex 0.169 sends once on 400, and on 429, whose text it does not show; all others below 500 it repeats
five times, 500 to 505 29 times, and of 500 it shows no text either. On 426 it leaves WebSocket for POST, so that stays. opencode
1.18 repeats 404 and all from 500 on without end, and takes 400, 403, 405 and 431 as final. The official SDKs repeat none, given
`x-should-retry: false`.
"""


def status_for(agent: str | None, status: int) -> int:
    """The status on which `agent` (a name of `config.agents`) sends a refused request once, instead of `status`."""
    return _STATUSES.get(agent or "", {}).get(status, status)


def for_agent(refusal: Refusal, agent: str | None) -> Refusal:
    """The refusal with the status that suits `agent` (a name of `config.agents`), or as it is. Failures of the network stay."""
    if refusal.origin == "network":
        return refusal
    status = status_for(agent, refusal.status)
    return refusal if status == refusal.status else replace(refusal, status=status)


def response(shape: str, refusal: Refusal, exchange: str) -> web.Response:
    """A refusal as an HTTP answer. A failed network is no refusal: clients may send again as they would without a guard."""
    headers = [pair for pair in HEADERS if pair[0] != "x-should-retry" or refusal.origin != "network"]
    return web.Response(
        status=refusal.status, body=render(shape, refusal, exchange), headers=[*headers, (EXCHANGE, exchange)]
    )


def of_admission(refused: AdmissionRefused) -> Refusal:
    """A head that may not pass."""
    return Refusal(refused.status, refused.code.removeprefix("localguard_"), "admission", refused.message, "", "agent")


def of_body(error: BodyError | CodingError) -> Refusal:
    """A body that could not be had or decoded."""
    reason = f"{error}."[:1].upper() + f"{error}."[1:]
    if isinstance(error, BodyTooLarge):
        return Refusal(400, "body_too_large", "body-limit", reason, "Send less at once.", "agent")
    if isinstance(error, BodyError):
        return Refusal(400, "body_incomplete", "body-complete", reason, "Send it again.", "agent")
    return Refusal(400, "coding", "content-coding", reason, "Send it uncompressed or as gzip.", "agent")


def of_content_type(kind: str) -> Refusal:
    """A body of a kind that is not read yet."""
    return Refusal(
        400,
        "content_type",
        "body-kind",
        f"Bodies of type {kind} are not scanned yet, so they are not passed on.",
        "Send JSON, or upload the file without the guard if policy allows that.",
        "agent",
    )


def of_form(error: LocalguardError) -> Refusal:
    """A form with files that cannot be read without doubt."""
    return Refusal(
        400,
        "form_invalid",
        "form-strict",
        f"The form cannot be read without doubt: {error}.",
        "Send it as browsers do, one part a field.",
        "agent",
    )


CHARSET = Refusal(
    400,
    "charset",
    "body-charset",
    "The Content-Type names a character set other than UTF-8, in which the body may mean something else.",
    "Send JSON in UTF-8.",
    "agent",
)


def of_request(refused: RequestRefused) -> Refusal:
    """A request that could not be read or redacted."""
    origin = "agent" if refused.code in _UNREADABLE else "redaction"
    return Refusal(refused.status, refused.code, refused.rule, refused.reason, refused.next_step, origin)


_UNREADABLE = frozenset({"body_invalid", "head_invalid"})
"""What the agent sent is no request; the other reasons lie in what was to be replaced."""


def of_scanner(error: LocalguardError) -> Refusal:
    """The scanner timed out or died: nothing leaves unscanned."""
    if isinstance(error, ScanTimeout):
        return Refusal(
            503,
            "scan_timeout",
            "scan-deadline",
            "Scanning this request took too long, so it was not sent.",
            "Send less text at once, or report the text that is slow to scan.",
        )
    return Refusal(
        503,
        "scanner_failed",
        "scan-first",
        "The scanner failed, and nothing leaves unscanned.",
        "Try again; if it stays so, run `localguard doctor`.",
    )


def of_rules(error: LocalguardError) -> Refusal:
    """A rule file of the repository is broken: what it was to find would leave."""
    return Refusal(
        503,
        "rules_invalid",
        "repository-rules",
        f"A rule file of this repository cannot be used: {error}",
        "Correct it (see `localguard rules test`), or move it out of .localguard/rules.",
    )


def of_keys(error: LocalguardError) -> Refusal:
    """A key that the guard needs is not to be had."""
    return Refusal(503, "key_unavailable", "keys", f"{error}", "See `localguard doctor` and `localguard key list`.")


INTERNAL = Refusal(
    500,
    "internal",
    "fails-closed",
    "The guard failed on this request in a way that nobody foresaw.",
    "Send it again once; if it stays so, report what the guard's log says at this time.",
)
"""A fault of the guard's own; where it happened is in its log, without a value."""

TAG_COLLISION = Refusal(
    400,
    "tag_collision",
    "placeholder-unique",
    "Two values would get the same placeholder, and one of them could come back in the other's place.",
    "Remove one of the values.",
    "redaction",
)

UNSEEN_RESPONSE = Refusal(
    400,
    "previous_response",
    "history-unseen",
    "The history held by the provider did not pass through this process.",
    "Send the whole history.",
)
"""Told in the provider's own words: clients then send the whole."""

UNSEEN_HISTORY = Refusal(
    400,
    "held_history",
    "history-unseen",
    "The request builds on a conversation, thread, item or cache that the provider holds and that did not pass through "
    "this process, so nobody has looked at it.",
    "Send the whole history, or begin a new conversation through the guard.",
)
"""No provider has an error of its own for these on which a client sends the whole."""


def of_policy(decision: Decision, facts: Facts) -> Refusal | None:
    """What policy has against a request, whatever a person may say to it: a denial, or an obligation that blocks."""
    rule = decision.deciding[0].id if decision.deciding else "default"
    if decision.effect is Effect.DENY:
        return Refusal(403, decision.code or "policy_denied", rule, decision.reason, decision.next_step, "policy")
    obligations = decision.obligations
    if obligations.attachments is Obligation.BLOCK and facts.unread:
        return Refusal(
            403,
            "attachments_blocked",
            rule,
            f"The request holds attachments ({', '.join(sorted(facts.unread))}) that cannot be looked through, or that hold "
            "what must not leave, and policy blocks them here.",
            "Send the text of the attachment instead.",
            "policy",
        )
    return None


def route_refused(decision: Decision | None, why: str) -> Refusal:
    """A rule routes a request to where it cannot go."""
    rule = decision.deciding[0].id if decision is not None and decision.deciding else "route"
    return Refusal(
        403,
        "route_impossible",
        rule,
        f"The policy routes this request to another endpoint, but {why}",
        "Correct the route in the policy; `localguard policy check` says what is wrong with it.",
        "policy",
    )


def of_route(reason: str, next_step: str) -> Refusal:
    """The developer switched the endpoint off."""
    return Refusal(403, "route_off", "route", reason, next_step, "policy")


def of_sync(unmet: Unmet) -> Refusal:
    """Policy wants this work's records to be synced, and its developer did not agree to that."""
    return Refusal(403, "sync_required", "sync", unmet.reason, unmet.next_step, "policy")


def of_asking(decision: Decision, exchange: str, answer: Answer | None) -> Refusal:
    """Nobody allowed a request that policy wants a person to be asked about."""
    rule = decision.deciding[0].id if decision.deciding else "default"
    if answer is not None:
        why = f" ({answer.why})" if answer.why else ""
        said = f"{decision.reason} {answer.by} was asked and said no{why}."
        return Refusal(403, "policy_ask_denied", rule, said, "Use another endpoint or model.", "policy")
    return Refusal(
        403,
        "policy_ask",
        rule,
        f"{decision.reason} Policy wants a person to be asked, and nobody answered in time.",
        f"Run `localguard approve {exchange}` in a terminal, then send the same request again within ten minutes.",
        "policy",
    )


def of_traffic(endpoint: Endpoint, seconds: int) -> Refusal:
    """The guard's own limit of an endpoint: the only 429 that is not a provider's."""
    limits = endpoint.limits
    said = [f"{limits.at_once} requests at once"] if limits.at_once is not None else []
    said += [f"{limits.per_minute} a minute"] if limits.per_minute is not None else []
    return Refusal(
        429,
        "rate_limited",
        f"limits of {endpoint.name}",
        f"Endpoint {endpoint.name} may have {' and '.join(said)}, and no turn came within {limits.wait:g} seconds.",
        f"Try again in {max(seconds, 1)} seconds, or use another endpoint.",
        "rate limit",
    )


def of_budget(standing: Standing) -> Refusal:
    """The money for this work is spent."""
    return Refusal(
        402, "budget_exceeded", f"budget {title(standing.budget)}", described(standing), advice(standing), "budget"
    )


def unattributed(endpoint: Endpoint) -> Refusal:
    """The guard's own key is not lent to work that nobody can name."""
    return Refusal(
        403,
        "unattributed",
        "keyring-needs-workspace",
        f"Endpoint {endpoint.name} uses a key of the guard, and this request cannot be attributed to a workspace.",
        "Start the agent with `localguard run`, or give it a workspace token.",
        "policy",
    )


def of_log(error: LogUnavailable | RecordInvalid) -> Refusal:
    """P1: what cannot be recorded is not sent."""
    return Refusal(
        503,
        "log_unavailable",
        "audit-before-egress",
        f"The audit log cannot be written ({error}), and nothing leaves without a record.",
        "Free disk space or repair the log, see `localguard doctor`.",
    )


def of_upstream(failure: UpstreamError) -> Refusal:
    """The provider could not be asked, or did not answer properly."""
    if isinstance(failure, UpstreamRefused):
        return Refusal(403, "upstream_refused", "upstream-address", f"{failure}.", "Check the endpoint's base_url.")
    status = 504 if isinstance(failure, UpstreamTimeout) else 502
    return Refusal(
        status, "upstream_failed", "upstream", f"{failure}.", "Check the endpoint, then try again.", "network"
    )


def of_reply(failure: LocalguardError) -> Refusal:
    """The reply came, and cannot be given to the agent as it has to be."""
    return Refusal(502, "reply_unreadable", "reply-exact", f"{failure}", "Try again.")
