"""The redacted request: under what policy decided, and decided on again where something turns up only now."""

from dataclasses import replace

from localguard.exchange.request import Redacted, RequestReading, RequestRefused
from localguard.policy.decide import Decision
from localguard.policy.model import Effect, Obligation
from localguard.proxy import refusals
from localguard.proxy.asking import Asking
from localguard.proxy.deciding import Deciding, renamed
from localguard.proxy.live import Exchange
from localguard.proxy.pausing import Pause
from localguard.proxy.reading import off_loop
from localguard.proxy.refusals import Refused
from localguard.redact.redactor import Actions
from localguard.redact.vault import TagCollision
from localguard.wire import multipart

_PAUSED: Actions = {"secret": "allow", "pii": "allow", "custom": "allow"}


def _actions(decision: Decision) -> Actions:
    obligations = decision.obligations
    return {
        "secret": "allow" if obligations.secret is Obligation.ALLOW else "redact",
        "pii": "allow" if obligations.pii is Obligation.ALLOW else "redact",
        "custom": "allow" if obligations.custom is Obligation.ALLOW else "redact",
    }


class Redacting:
    """Makes of a request that was read and decided on what may leave."""

    def __init__(self, deciding: Deciding, asking: Asking, pause: Pause) -> None:
        self._deciding = deciding
        self._asking = asking
        self._pause = pause

    async def redact(self, exchange: Exchange, reading: RequestReading, body: bytes) -> Redacted:
        """Redact under what policy decided; what turns up only now (values known from elsewhere) is decided on again."""
        redacted = await self._redacted(exchange, reading)
        if await self._deciding.decide_again(exchange):
            assert exchange.decision is not None
            if exchange.decision.effect is Effect.ASK:
                await self._asking.admit(exchange, exchange.decision, body)
            redacted = await self._redacted(exchange, reading)
        assert exchange.facts is not None
        sweep = exchange.memory.vault.sweep
        model, routed = exchange.facts.model, exchange.routed
        if routed is not None:
            exchange.redacted = redacted = renamed(redacted, exchange)
            if routed.model is not None and sweep(routed.model.encode()):
                exchange.routed = replace(routed, model=None)
        if model is not None and sweep(model.encode()):
            exchange.facts = replace(exchange.facts, model=None)
        exchange.session = exchange.session and self._opaque_session(exchange, exchange.session)
        exchange.session = exchange.session or exchange.facts.conversation
        return redacted

    async def _redacted(self, exchange: Exchange, reading: RequestReading) -> Redacted:
        assert exchange.decision is not None
        assert exchange.facts is not None
        exchange.paused = self._pause.covers(exchange.caller)
        actions = _PAUSED if exchange.paused else _actions(exchange.decision)

        def redact() -> Redacted:
            made = reading.redact(actions)
            if exchange.format is not multipart.MULTIPART:
                return made
            return replace(made, body=multipart.from_json(made.body))

        try:
            exchange.redacted = await off_loop(redact, exchange.facts.new_bytes)
        except multipart.MultipartInvalid as error:
            raise Refused(refusals.of_form(error)) from None
        except RequestRefused as refused:
            raise Refused(refusals.of_request(refused)) from None
        except TagCollision:
            raise Refused(refusals.TAG_COLLISION) from None
        return exchange.redacted

    @staticmethod
    def _opaque_session(exchange: Exchange, session: str) -> str:
        """A client's session id is kept if it is plainly one, else its fingerprint."""
        plain = len(session) <= 80 and session.replace("-", "").replace("_", "").isalnum()
        if plain and not exchange.memory.vault.sweep(session.encode()):
            return session
        return exchange.memory.fingerprint(session)
