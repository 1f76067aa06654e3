"""The agents whose own settings `agents connect` writes: where those lie, and which of their values are addresses.

From the agents' documentation and from running them (`verified`, 2026-11; tests/e2e/test_agents_connect.py).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localguard.cli.agent_environment import Variable
from localguard.config.builtin import CODEX
from localguard.config.settings.path import Path as SettingPath


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whose settings are meant: the user's home directory and environment."""

    home: Path
    environment: Mapping[str, str]

    def folder(self, variable: str, *default: str) -> Path:
        """The directory that a variable names, else one below the home directory."""
        named = self.environment.get(variable)
        return Path(named) if named else self.home.joinpath(*default)


@dataclass(frozen=True, slots=True)
class Setting:
    """One address in a file. `before` is what stands before it in the same value (`NAME=`).

    `elsewhere` is what the agent goes by where the file says nothing, if another place names an address: writing the guard's
    default over that would carry the key of one provider to another.
    """

    path: SettingPath
    variable: Variable
    before: str = ""
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One file of an agent, and its addresses, as far as they can be told from what it holds (`settings(document)`)."""

    path: Path
    form: str
    settings: Callable[[Any], Iterator[Setting]]
    needed: bool = True
    """Whether it is made where it is not there."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent. `name` is that of its records in the log; `verified` is the version that was run connected and disconnected, empty for none."""

    name: str
    title: str
    programs: tuple[str, ...]
    files: Callable[[Surroundings], list[SettingsFile]]
    setting: str
    """What is written, as the README's table tells it."""
    verified: str = ""
    note: str = ""


def _openai(name: str, suffix: str = "/v1", *, only_if_set: bool = False, endpoint: str = "") -> Variable:
    return Variable(name, ("openai",), suffix, only_if_set, endpoint)


def _claude(where: Surroundings) -> list[SettingsFile]:
    def settings(document: Any) -> Iterator[Setting]:
        yield Setting(
            ("env", "ANTHROPIC_BASE_URL"),
            Variable("ANTHROPIC_BASE_URL", ("anthropic",)),
            elsewhere=where.environment.get("ANTHROPIC_BASE_URL", ""),
        )
        foundry = Variable("ANTHROPIC_FOUNDRY_BASE_URL", ("foundry",), "/anthropic", only_if_set=True)
        yield Setting(("env", "ANTHROPIC_FOUNDRY_BASE_URL"), foundry)

    return [SettingsFile(where.folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json", "json", settings)]


def _codex(where: Surroundings) -> list[SettingsFile]:
    folder = where.folder("CODEX_HOME", ".codex")

    def settings(document: Any) -> Iterator[Setting]:
        provider = document.get("model_provider", "openai")
        tables = document.get("model_providers")
        if provider == "openai" or not isinstance(tables, dict) or not isinstance(tables.get(provider), dict):
            login = signed_in_with_chatgpt(folder)
            variable = _openai("openai_base_url", "", endpoint=CODEX) if login else _openai("openai_base_url")
            yield Setting(("openai_base_url",), variable)
        else:
            yield Setting(("model_providers", provider, "base_url"), _openai("base_url", only_if_set=True))

    return [SettingsFile(folder / "config.toml", "toml", settings)]


def signed_in_with_chatgpt(folder: Path) -> bool:
    """Whether Codex's stored login is ChatGPT's and not an API key. Reads which, and no more."""
    import json

    try:
        stored = json.loads((folder / "auth.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(stored, dict):
        return False
    mode = stored.get("auth_mode")
    return mode == "chatgpt" if mode else bool(stored.get("tokens")) and not stored.get("OPENAI_API_KEY")


_OPENCODE = (("openai", "openai", "/v1"), ("anthropic", "anthropic", "/v1"), ("google", "gemini", "/v1beta"))


def _opencode(where: Surroundings) -> list[SettingsFile]:
    folder = where.folder("XDG_CONFIG_HOME", ".config") / "opencode"

    def settings(document: Any) -> Iterator[Setting]:
        known = [name for name, _, _ in _OPENCODE]
        for name, kind, suffix in _OPENCODE:
            yield Setting(("provider", name, "options", "baseURL"), Variable("baseURL", (kind,), suffix))
        for name in _members(document.get("provider")):
            if name not in known:
                yield Setting(("provider", name, "options", "baseURL"), Variable("baseURL", (), only_if_set=True))

    present = [name for name in ("opencode.jsonc", "opencode.json", "config.json") if (folder / name).exists()]
    return [SettingsFile(folder / (present[0] if present else "opencode.json"), "json", settings)]


def _gemini(where: Surroundings) -> list[SettingsFile]:
    def settings(document: Any) -> Iterator[Setting]:
        yield Setting(
            ("GOOGLE_GEMINI_BASE_URL",),
            Variable("GOOGLE_GEMINI_BASE_URL", ("gemini",)),
            elsewhere=where.environment.get("GOOGLE_GEMINI_BASE_URL", ""),
        )

    return [SettingsFile(where.home / ".gemini" / ".env", "env", settings)]


def _qwen(where: Surroundings) -> list[SettingsFile]:
    folder = where.home / ".qwen"

    def variables(document: Any) -> Iterator[Setting]:
        # with an address of its own in settings.json the key is that provider's
        named = _names(folder / "settings.json", "baseUrl")
        elsewhere = where.environment.get("OPENAI_BASE_URL", "")
        yield Setting(("OPENAI_BASE_URL",), _openai("OPENAI_BASE_URL", only_if_set=named), elsewhere=elsewhere)

    def providers(document: Any) -> Iterator[Setting]:
        yield Setting(("security", "auth", "baseUrl"), Variable("baseUrl", (), only_if_set=True))
        for kind, models in (document.get("modelProviders") or {}).items():
            for number, _ in enumerate(models if isinstance(models, list) else ()):
                yield Setting(("modelProviders", kind, number, "baseUrl"), Variable("baseUrl", (), only_if_set=True))

    return [
        SettingsFile(folder / ".env", "env", variables),
        SettingsFile(folder / "settings.json", "json", providers, needed=False),
    ]


_CONTINUE = {
    "openai": Variable("apiBase", ("openai",), "/v1"),
    "anthropic": Variable("apiBase", ("anthropic",), "/v1"),
    "gemini": Variable("apiBase", ("gemini",), "/v1beta"),
    "ollama": Variable("apiBase", ("ollama",)),
    "lmstudio": Variable("apiBase", ("lmstudio",), "/v1"),
}


def _continue(where: Surroundings) -> list[SettingsFile]:
    def settings(document: Any) -> Iterator[Setting]:
        for number, model in enumerate(document.get("models") or ()):
            if isinstance(model, dict):
                given = _CONTINUE.get(str(model.get("provider")), Variable("apiBase", (), only_if_set=True))
                yield Setting(("models", number, "apiBase"), given)

    folder = where.folder("CONTINUE_GLOBAL_DIR", ".continue")
    return [SettingsFile(folder / "config.yaml", "yaml", settings, needed=False)]


_CLINE = (
    ("openAiBaseUrl", Variable("openAiBaseUrl", ("openai",), "/v1", only_if_set=True)),
    ("anthropicBaseUrl", Variable("anthropicBaseUrl", ("anthropic",))),
    ("geminiBaseUrl", Variable("geminiBaseUrl", ("gemini",))),
    ("ollamaBaseUrl", Variable("ollamaBaseUrl", ("ollama",))),
    ("lmStudioBaseUrl", Variable("lmStudioBaseUrl", ("lmstudio",))),
)
_CLINE_PROVIDERS = {
    "openai-native": Variable("baseUrl", ("openai",), "/v1"),
    "anthropic": Variable("baseUrl", ("anthropic",), "/v1"),
    "gemini": Variable("baseUrl", ("gemini",)),
    "ollama": Variable("baseUrl", ("ollama",)),
    "lmstudio": Variable("baseUrl", ("lmstudio",)),
}


def _cline(where: Surroundings) -> list[SettingsFile]:
    def state(document: Any) -> Iterator[Setting]:
        for name, variable in _CLINE:
            yield Setting((name,), variable)

    def providers(document: Any) -> Iterator[Setting]:
        for name in _members(document.get("providers")):
            variable = _CLINE_PROVIDERS.get(name, Variable("baseUrl", (), only_if_set=True))
            yield Setting(("providers", name, "settings", "baseUrl"), variable)

    folder = where.folder("CLINE_DIR", ".cline") / "data"
    return [
        SettingsFile(folder / "settings" / "providers.json", "json", providers, needed=False),
        SettingsFile(folder / "globalState.json", "json", state, needed=False),
    ]


def _aider(where: Surroundings) -> list[SettingsFile]:
    def settings(document: Any) -> Iterator[Setting]:
        yield Setting(
            ("openai-api-base",), _openai("openai-api-base"), elsewhere=where.environment.get("OPENAI_API_BASE", "")
        )
        others = (("ANTHROPIC_API_BASE", "anthropic"), ("OLLAMA_API_BASE", "ollama"))
        given = document.get("set-env")
        listed = [str(one) for one in given] if isinstance(given, list) else []
        free = len(listed)
        for name, kind in others:
            place = next((i for i, one in enumerate(listed) if one.startswith(f"{name}=")), None)
            if place is None:
                place, free = free, free + 1
            elsewhere = where.environment.get(name, "")
            yield Setting(("set-env", place), Variable(name, (kind,)), f"{name}=", elsewhere)

    return [SettingsFile(where.home / ".aider.conf.yml", "yaml", settings)]


def _llm(where: Surroundings) -> list[SettingsFile]:
    def models(document: Any) -> Iterator[Setting]:
        for number, _ in enumerate(document if isinstance(document, list) else ()):
            yield Setting((number, "api_base"), Variable("api_base", (), only_if_set=True))

    def variables(document: Any) -> Iterator[Setting]:
        elsewhere = where.environment.get("OPENAI_BASE_URL", "")
        yield Setting(("OPENAI_BASE_URL",), _openai("OPENAI_BASE_URL"), elsewhere=elsewhere)

    folder = where.folder("LLM_USER_PATH", ".config", "io.datasette.llm")
    return [
        *_start(where, variables),
        SettingsFile(folder / "extra-openai-models.yaml", "yaml", models, needed=False),
    ]


def _copilot(where: Surroundings) -> list[SettingsFile]:
    def settings(document: Any) -> Iterator[Setting]:
        given = where.environment.get("COPILOT_PROVIDER_BASE_URL", "")
        kind = "anthropic" if where.environment.get("COPILOT_PROVIDER_TYPE") == "anthropic" else "openai"
        variable = Variable(
            "COPILOT_PROVIDER_BASE_URL", (kind,), "" if kind == "anthropic" else "/v1", only_if_set=True
        )
        yield Setting(("COPILOT_PROVIDER_BASE_URL",), variable, elsewhere=given)

    return _start(where, settings)


def _start(where: Surroundings, settings: Callable[[Any], Iterator[Setting]]) -> list[SettingsFile]:
    """The start file of the user's shell in which variables belong that are to hold for every program; none for shells of another syntax."""
    shell = where.environment.get("SHELL", "").rpartition("/")[2]
    if shell == "zsh":
        return [SettingsFile(where.folder("ZDOTDIR") / ".zshenv", "shell", settings)]
    if shell in ("fish", "nu", "tcsh", "csh", "elvish", "pwsh", "xonsh"):
        return []
    return [SettingsFile(where.home / (".bashrc" if shell == "bash" else ".profile"), "shell", settings)]


def _names(file: Path, member: str) -> bool:
    """Whether a JSON file names a member anywhere; one that cannot be read may."""
    try:
        return f'"{member}"' in file.read_text("utf-8")
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True


def _members(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


AGENTS: tuple[Agent, ...] = (
    Agent(
        "claude-code",
        "Claude Code",
        ("claude",),
        _claude,
        "`env.ANTHROPIC_BASE_URL` in `~/.claude/settings.json`",
        verified="2.1.197",
    ),
    Agent(
        "codex",
        "Codex CLI",
        ("codex",),
        _codex,
        "`openai_base_url`, or its provider's `base_url`, in `~/.codex/config.toml`; with a ChatGPT login the endpoint `codex`",
        verified="0.169.0",
    ),
    Agent(
        "opencode",
        "opencode",
        ("opencode",),
        _opencode,
        "`provider.*.options.baseURL` in `~/.config/opencode/opencode.json`",
        verified="1.18.33",
    ),
    Agent(
        "copilot",
        "Copilot CLI (own key)",
        ("copilot",),
        _copilot,
        "`COPILOT_PROVIDER_BASE_URL` in the shell's start file, if it is set already",
        note="With a GitHub login Copilot CLI talks to GitHub only; with an own key it reads COPILOT_PROVIDER_BASE_URL, "
        "which is redirected in the start files of sh, bash and zsh. Set that first.",
        verified="1.0.102",
    ),
    Agent(
        "gemini-cli",
        "Gemini CLI",
        ("gemini",),
        _gemini,
        "`GOOGLE_GEMINI_BASE_URL` in `~/.gemini/.env`",
        verified="0.61.0",
    ),
    Agent(
        "qwen-code",
        "Qwen Code",
        ("qwen",),
        _qwen,
        "`OPENAI_BASE_URL` in `~/.qwen/.env`, and the `baseUrl` of model providers in `settings.json`",
        verified="0.15.10",
    ),
    Agent(
        "cline",
        "Cline",
        ("cline",),
        _cline,
        "`baseUrl` of each provider in `~/.cline/data/settings/providers.json`",
        note="Cline writes its settings when a provider is chosen: do that first.",
        verified="3.0.65",
    ),
    Agent(
        "continue",
        "Continue",
        ("cn",),
        _continue,
        "`apiBase` of each model in `~/.continue/config.yaml`",
        note="Continue's models stand in its config.yaml: add one first.",
        verified="1.5.47",
    ),
    Agent(
        "aider",
        "aider",
        ("aider",),
        _aider,
        "`openai-api-base`, and `set-env` for Anthropic and Ollama, in `~/.aider.conf.yml`",
        verified="0.86.2",
    ),
    Agent(
        "llm",
        "llm",
        ("llm",),
        _llm,
        "`OPENAI_BASE_URL` in the shell's start file, `api_base` of models in `extra-openai-models.yaml`",
        note="OPENAI_BASE_URL holds for every program that is started from the shell and uses OpenAI's library. "
        "It is written for sh, bash and zsh only.",
        verified="0.36",
    ),
)
"""In the order in which they are listed."""
