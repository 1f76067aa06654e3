"""A model of Ollama is local only if it says so itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from localguard.proxy.ollama_models import OllamaModels, named_cloud
from localguard.proxy.upstream import Upstream

LOCAL: dict[str, object] = {"details": {"family": "qwen3"}, "model_info": {}, "capabilities": ["completion"]}


class Ollama:
    """A server with `/api/show`; `models` are its answers by name."""

    def __init__(self) -> None:
        self.models: dict[str, object] = {"qwen3:8b": LOCAL}
        self.asked: list[str] = []
        self.delay = 0.0
        self.url = ""
        self.now = 1000.0

    async def show(self, request: web.Request) -> web.Response:
        model = (await request.json())["model"]
        self.asked.append(model)
        await asyncio.sleep(self.delay)
        answer = self.models.get(model)
        if answer is None:
            return web.json_response({"error": f"model '{model}' not found"}, status=404)
        return web.Response(text=answer) if isinstance(answer, str) else web.json_response(answer)

    def models_of(self, upstream: Upstream) -> OllamaModels:
        return OllamaModels(upstream, clock=lambda: self.now)


@pytest.fixture
async def ollama() -> AsyncIterator[Ollama]:
    server = Ollama()
    app = web.Application()
    app.router.add_post("/api/show", server.show)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    client = Upstream()
    yield client
    await client.close()


@pytest.mark.parametrize("model", ["kimi-k2:cloud", "gpt-oss:120b-cloud", "GPT-OSS:120B-CLOUD", "x-cloud", " a:cloud "])
async def test_cloud_names_leave_without_asking(ollama: Ollama, upstream: Upstream, model: str) -> None:
    assert named_cloud(model)
    assert await ollama.models_of(upstream).leaves_machine("ollama", ollama.url, model) is not None
    assert ollama.asked == []


@pytest.mark.parametrize("model", ["qwen3:8b", "cloudy", "cloud", "mycloud:7b", "cloud-7b"])
def test_other_names_say_nothing(model: str) -> None:
    assert not named_cloud(model)


async def test_a_local_model_stays_and_is_asked_for_once(ollama: Ollama, upstream: Upstream) -> None:
    models = ollama.models_of(upstream)
    ollama.delay = 0.05
    answers = await asyncio.gather(*(models.leaves_machine("ollama", ollama.url, "qwen3:8b") for _ in range(20)))
    assert answers == [None] * 20
    assert await models.leaves_machine("ollama", ollama.url, "qwen3:8b") is None
    assert ollama.asked == ["qwen3:8b"]


@pytest.mark.parametrize("field", ["remote_host", "remote_model"])
async def test_a_model_with_a_remote_leaves_whatever_its_name(ollama: Ollama, upstream: Upstream, field: str) -> None:
    ollama.models["mine"] = {**LOCAL, field: "https://ollama.example"}
    reason = await ollama.models_of(upstream).leaves_machine("ollama", ollama.url, "mine")
    assert reason is not None
    assert "ollama.example" not in reason


async def test_a_name_given_to_another_model_is_noticed(ollama: Ollama, upstream: Upstream) -> None:
    models = ollama.models_of(upstream)
    assert await models.leaves_machine("ollama", ollama.url, "qwen3:8b") is None
    ollama.models["qwen3:8b"] = {**LOCAL, "remote_host": "https://ollama.example"}
    ollama.now += 60
    assert await models.leaves_machine("ollama", ollama.url, "qwen3:8b") is not None


@pytest.mark.parametrize("answer", [None, "not json", "[]", '"x"'])
async def test_what_cannot_be_found_out_leaves_and_is_asked_again_soon(
    ollama: Ollama, upstream: Upstream, answer: str | None
) -> None:
    models = ollama.models_of(upstream)
    ollama.models["odd"] = answer
    assert await models.leaves_machine("ollama", ollama.url, "odd") is not None
    ollama.models["odd"] = LOCAL
    assert await models.leaves_machine("ollama", ollama.url, "odd") is not None
    ollama.now += 5
    assert await models.leaves_machine("ollama", ollama.url, "odd") is None


async def test_no_ollama_means_leaving(upstream: Upstream) -> None:
    for url in ("http://127.0.0.1:1", "http://192.0.2.1:11434", "http://169.254.169.254"):
        assert await OllamaModels(upstream).leaves_machine("ollama", url, "qwen3:8b") is not None


async def test_one_caller_that_gives_up_does_not_spoil_the_answer_for_others(
    ollama: Ollama, upstream: Upstream
) -> None:
    models = ollama.models_of(upstream)
    ollama.delay = 0.2
    first = asyncio.create_task(models.leaves_machine("ollama", ollama.url, "qwen3:8b"))
    second = asyncio.create_task(models.leaves_machine("ollama", ollama.url, "qwen3:8b"))
    await asyncio.sleep(0.05)
    first.cancel()
    assert await second is None
