"""One call of an official SDK each: what a program does with a provider, and what it gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anthropic
import ollama
import openai

KEY = "client-key-" + "0123456789" * 3
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {"type": "object", "properties": {"content": {"type": "string"}}},
        },
    }
    for name in ("write", "bash")
]
CLAUDE_TOOLS: list[Any] = [
    {"name": one["function"]["name"], "input_schema": one["function"]["parameters"]} for one in TOOLS
]
RESPONSES_TOOLS: list[Any] = [
    *({"type": "function", "strict": False, **one["function"]} for one in TOOLS),
    {"type": "custom", "name": "apply_patch", "description": "patch"},
]


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the provider: at itself, or through a guard."""

    openai_url: str
    anthropic_url: str
    ollama_url: str
    azure_url: str
    retries: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def direct(cls, url: str) -> "Way":
        """Straight to the provider."""
        return cls(f"{url}/v1", url, url, url)

    @classmethod
    def guarded(cls, url: str, retries: int = 0, **headers: str) -> "Way":
        """Through the guard at `url`, with `headers` (`_` for `-`) in every request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(f"{url}/openai/v1", f"{url}/anthropic", f"{url}/ollama", f"{url}/azure", retries, named)

    def openai_client(self, **given: Any) -> openai.OpenAI:
        """OpenAI's client."""
        return openai.OpenAI(
            base_url=self.openai_url,
            api_key=KEY,
            max_retries=self.retries,
            timeout=20,
            default_headers=self.headers,
            **given,
        )

    def azure_client(self) -> openai.AzureOpenAI:
        """Azure's client."""
        return openai.AzureOpenAI(
            azure_endpoint=self.azure_url,
            api_key=KEY,
            api_version="2025-01-01",
            max_retries=self.retries,
            timeout=20,
            default_headers=self.headers,
        )

    def anthropic_client(self, **given: Any) -> anthropic.Anthropic:
        """Anthropic's client."""
        key = {} if "auth_token" in given else {"api_key": KEY}
        return anthropic.Anthropic(
            base_url=self.anthropic_url,
            max_retries=self.retries,
            timeout=20,
            default_headers=self.headers,
            **{**key, **given},
        )

    def ollama_client(self) -> ollama.Client:
        """Ollama's client."""
        return ollama.Client(host=self.ollama_url, timeout=20, headers=dict(self.headers))


@dataclass(slots=True)
class Got:
    """A streamed reply, put together as agents do."""

    text: str = ""
    thinking: str = ""
    calls: dict[Any, list[str]] = field(default_factory=dict)
    end: str | None = None
    usage: object = None
    failed: str | None = None

    def call(self, key: object, *, name: str = "", piece: str = "") -> None:
        """One more piece of a call's arguments."""
        self.calls.setdefault(key, ["", ""])[0] += name
        self.calls[key][1] += piece


def _chat_stream(client: openai.OpenAI, text: str) -> Got:
    got = Got()
    messages: Any = [{"role": "system", "content": "Be short."}, {"role": "user", "content": text}]
    try:
        with client.chat.completions.create(
            model="stub-1", messages=messages, tools=TOOLS, stream=True, stream_options={"include_usage": True}
        ) as stream:
            for chunk in stream:
                got.usage = chunk.usage.model_dump() if chunk.usage else got.usage
                for choice in chunk.choices:
                    got.text += choice.delta.content or ""
                    got.end = choice.finish_reason or got.end
                    for one in choice.delta.tool_calls or []:
                        function = one.function
                        if function is not None:
                            got.call(one.index, name=function.name or "", piece=function.arguments or "")
    except Exception as error:
        got.failed = type(error).__name__
    return got


def _responses_stream(client: openai.OpenAI, text: str) -> Got:
    got = Got()
    try:
        with client.responses.create(model="stub-1", input=text, tools=RESPONSES_TOOLS, stream=True) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    got.text += event.delta
                elif event.type == "response.reasoning_summary_text.delta":
                    got.thinking += event.delta
                elif event.type in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
                    got.call(event.output_index, piece=event.delta)
                elif event.type == "response.completed":
                    got.end = event.response.status
                    got.usage = event.response.model_dump()
                elif event.type == "response.output_item.done":
                    got.calls[event.item.id] = [event.item.model_dump_json()]
    except Exception as error:
        got.failed = type(error).__name__
    return got


def _messages_stream(client: anthropic.Anthropic, text: str) -> Got:
    got = Got()
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    try:
        with client.messages.stream(
            model="stub-1", max_tokens=100, system="Be short.", messages=messages, tools=CLAUDE_TOOLS
        ) as stream:
            for event in stream:
                if event.type == "text":
                    got.text += event.text
                elif event.type == "thinking":
                    got.thinking += event.thinking
                elif event.type == "input_json":
                    got.call("input", piece=event.partial_json)
            final = stream.get_final_message()
            got.end, got.usage = final.stop_reason, final.model_dump()
    except Exception as error:
        got.failed = type(error).__name__
    return got


def _completion_stream(client: openai.OpenAI, text: str) -> Got:
    got = Got()
    for chunk in client.completions.create(model="stub-1", prompt=text, stream=True):
        got.text += chunk.choices[0].text
        got.end = chunk.choices[0].finish_reason or got.end
    return got


def _ollama_stream(client: ollama.Client, text: str) -> Got:
    got = Got()
    try:
        for part in client.chat(model="stub-1", messages=[{"role": "user", "content": text}], tools=TOOLS, stream=True):
            got.text += part.message.content or ""
            for number, one in enumerate(part.message.tool_calls or []):
                got.call(number, name=one.function.name, piece=str(dict(one.function.arguments)))
            got.end = part.done_reason or got.end
            got.usage = part.eval_count or got.usage
    except Exception as error:
        got.failed = type(error).__name__
    return got


def _generate_stream(client: ollama.Client, text: str) -> Got:
    got = Got()
    for part in client.generate(model="stub-1", prompt=text, stream=True):
        got.text += part.response or ""
        got.end = part.done_reason or got.end
    return got


def _user(text: str) -> Any:
    return [{"role": "user", "content": text}]


Call = Callable[[Way, str], Any]
WHOLE: dict[str, Call] = {
    "openai chat": lambda way, text: (
        way.openai_client().chat.completions.create(model="stub-1", messages=_user(text), tools=TOOLS).model_dump()
    ),
    "openai responses": lambda way, text: (
        way.openai_client().responses.create(model="stub-1", input=text, tools=RESPONSES_TOOLS).model_dump()
    ),
    "azure chat": lambda way, text: (
        way.azure_client().chat.completions.create(model="deployment-1", messages=_user(text), tools=TOOLS).model_dump()
    ),
    "anthropic messages": lambda way, text: (
        way.anthropic_client()
        .messages.create(model="stub-1", max_tokens=100, messages=_user(text), tools=CLAUDE_TOOLS)
        .model_dump()
    ),
    "ollama chat": lambda way, text: (
        way.ollama_client().chat(model="stub-1", messages=_user(text), tools=TOOLS).model_dump()
    ),
}
STREAMED: dict[str, Call] = {
    "openai chat": lambda way, text: _chat_stream(way.openai_client(), text),
    "openai responses": lambda way, text: _responses_stream(way.openai_client(), text),
    "azure chat": lambda way, text: _chat_stream(way.azure_client(), text),
    "anthropic messages": lambda way, text: _messages_stream(way.anthropic_client(), text),
    "ollama chat": lambda way, text: _ollama_stream(way.ollama_client(), text),
}
OTHER: dict[str, Call] = {
    "openai completions": lambda way, text: (
        way.openai_client().completions.create(model="stub-1", prompt=[text, "and"]).model_dump()
    ),
    "openai completions, streamed": lambda way, text: _completion_stream(way.openai_client(), text),
    "openai embeddings": lambda way, text: (
        way.openai_client().embeddings.create(model="stub-1", input=[text]).model_dump()
    ),
    "anthropic count_tokens": lambda way, text: (
        way.anthropic_client().messages.count_tokens(model="stub-1", messages=_user(text), system=text).model_dump()
    ),
    "ollama generate": lambda way, text: (
        way.ollama_client().generate(model="stub-1", prompt=text, system=text).model_dump()
    ),
    "ollama generate, streamed": lambda way, text: _generate_stream(way.ollama_client(), text),
    "ollama embed": lambda way, text: way.ollama_client().embed(model="stub-1", input=text).model_dump(),
}
BODILESS: dict[str, Call] = {
    "openai models": lambda way, text: way.openai_client().models.list().model_dump(),
    "anthropic models": lambda way, text: way.anthropic_client().models.list().model_dump(),
    "ollama list": lambda way, text: way.ollama_client().list().model_dump(),
    "ollama ps": lambda way, text: way.ollama_client().ps().model_dump(),
}
