"""Whether an Ollama model computes on this machine (promise P11): Ollama also runs models of its own cloud under local names.

Source: Ollama's API reference, `POST /api/show` and cloud models (`remote_host`, `remote_model`), read 2026-11-20.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import orjson

from localguard.proxy.upstream import Destination, Upstream, UpstreamError, joined_url

_TRUSTED_SECONDS = 30.0  # a name can be given to another model at any time, by `ollama cp` or `ollama pull`
_FAILED_SECONDS = 3.0
_ANSWER_SECONDS = 5.0
_MOST_MODELS = 256
_MOST_BYTES = 32 * 1024 * 1024  # licences and templates make answers of megabytes


class OllamaModels:
    """Asks Ollama about its models, and remembers the answers for a while.

    It does not protect against an Ollama that lies about itself.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        clock: Callable[[], float] = time.monotonic,
        announce: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`announce` is awaited with the endpoint's name before Ollama is asked; what it raises is passed on."""
        self._upstream = upstream
        self._announce = announce
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, str | None]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[str | None]] = {}

    async def leaves_machine(self, endpoint: str, base_url: str, model: str) -> str | None:
        """Say why work for `model` has to be taken as leaving this machine, or None where it is known to stay.

        Raises only what `announce` does: what cannot be found out counts as leaving. The reason holds no value of the
        request.
        """
        if named_cloud(model):
            return "the model's name says that it runs in Ollama's cloud"
        key = (base_url, model)
        known = self._known.get(key)
        if known is not None and self._clock() < known[0]:
            self._known.move_to_end(key)
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(endpoint, base_url, model))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _ask(self, endpoint: str, base_url: str, model: str) -> str | None:
        if self._announce is not None:
            await self._announce(endpoint)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reason, seconds = await self._show(endpoint, base_url, model), _TRUSTED_SECONDS
        except (UpstreamError, TimeoutError, ValueError):
            reason, seconds = "Ollama did not say where the model runs", _FAILED_SECONDS
        self._known[base_url, model] = (self._clock() + seconds, reason)
        while len(self._known) > _MOST_MODELS:
            self._known.popitem(last=False)
        return reason

    async def _show(self, endpoint: str, base_url: str, model: str) -> str | None:
        body = orjson.dumps({"model": model})
        headers = [
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Content-Length", str(len(body))),
        ]
        answer = bytearray()
        destination = Destination(endpoint, local=True, read_timeout=_ANSWER_SECONDS)
        async with self._upstream.send(destination, "POST", joined_url(base_url, "/api/show"), headers, body) as reply:
            async for chunk in reply.chunks():
                answer += chunk
                if len(answer) > _MOST_BYTES:
                    raise ValueError("the answer is too long")
        shown = orjson.loads(answer)
        if reply.status != 200 or not isinstance(shown, dict):
            raise ValueError("not the description of a model")
        if shown.get("remote_host") or shown.get("remote_model"):
            return "Ollama says that the model runs on another machine"
        return None


def named_cloud(model: str) -> bool:
    """Say whether a model's name marks it as one of Ollama's cloud (`kimi-k2:cloud`, `gpt-oss:120b-cloud`)."""
    return model.strip().lower().endswith((":cloud", "-cloud"))
