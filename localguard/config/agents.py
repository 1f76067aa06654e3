"""Which coding agent is calling, and which agents on this machine talk to providers around the guard.

Names come from the user agent and the program's own name. Both are claims: they serve records and rules of convenience.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localguard.config.peer import Peer, program_name, script_of, short_name
from localguard.config.sockets import tcp_table

_USER_AGENTS: Final[tuple[tuple[str, str], ...]] = (
    (r"claude-(?:cli|code)", "claude-code"),
    (r"codex[\w.-]*", "codex"),
    (r"opencode", "opencode"),
    (r"(?:github)?copilot[\w-]*|copilot", "copilot"),
    (r"gemini-?cli[\w-]*", "gemini-cli"),
    (r"qwen-?code[\w-]*", "qwen-code"),
    (r"aider[\w-]*", "aider"),
    (r"goose", "goose"),
    (r"cline", "cline"),
    (r"roo-?code", "roo-code"),
    (r"continue[\w-]*", "continue"),
    (r"cursor[\w-]*", "cursor"),
    (r"pi-coding-agent|pi", "pi"),
    (r"ollama-python", "ollama-python"),
    (r"ollama", "ollama"),
    (r"(?:async)?openai/python", "openai-python"),
    (r"(?:async)?openai/js", "openai-js"),
    (r"(?:async)?anthropic/python", "anthropic-python"),
    (r"(?:async)?anthropic/js", "anthropic-js"),
    (r"google-genai-sdk", "google-genai"),
    (r"litellm", "litellm"),
)
"""First product token (case-insensitive) and the agent's name; agents before the libraries that they are built with."""

_PROGRAMS: Final[dict[str, str]] = {
    "claude": "claude-code",
    "claude-code": "claude-code",
    "codex": "codex",
    "opencode": "opencode",
    "copilot": "copilot",
    "gemini": "gemini-cli",
    "qwen": "qwen-code",
    "aider": "aider",
    "goose": "goose",
    "goosed": "goose",
    "cursor-agent": "cursor",
    "crush": "crush",
    "amp": "amp",
    "pi": "pi",
    "cline": "cline",
    "cn": "continue",
    "droid": "droid",
    "llm": "llm",
}
"""Program or script names of agents."""

_PACKAGES: Final[dict[str, str]] = {
    "@anthropic-ai/claude-code": "claude-code",
    "@openai/codex": "codex",
    "opencode-ai": "opencode",
    "@github/copilot": "copilot",
    "@google/gemini-cli": "gemini-cli",
    "@qwen-code/qwen-code": "qwen-code",
    "@mariozechner/pi-coding-agent": "pi",
    "@continuedev/cli": "continue",
    "cline": "cline",
}
"""npm packages that an agent's script lies in."""

_PLATFORM: Final = re.compile(r"-(?:linux|darwin|win32)(?:-(?:x64|arm64|musl))*$")
"""What follows the name of a program that is built for one platform."""
_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")
_MODEL_SERVER_PORTS: Final = (1234, 11434)
"""LM Studio and Ollama."""


def agent_of(user_agent: str | None, peer: Peer | None) -> tuple[str | None, str | None]:
    """Return an agent's name and version, each None where unknown; the version comes from the user agent only.

    `claude-cli/2.1.3 (external)` gives `("claude-code", "2.1.3")`. Never returns other text of the user agent.
    """
    text = (user_agent or "")[:1000]
    by_program = _agent_of_program(peer.name, peer.title, peer.script) if peer is not None else None
    for pattern, name in _USER_AGENTS:
        found = re.search(rf"(?:^|[\s(;])(?:{pattern})(?:[/ ]v?(?P<version>\S+))?(?=$|[\s);,/])", text, re.IGNORECASE)
        if found:
            version = _VERSION.match(found["version"] or "")
            library = name.endswith(("-python", "-js")) or name in ("google-genai", "litellm")
            if library and by_program is not None:
                return by_program, None
            return name, version[0] if version else None
    return by_program, None


def _agent_of_program(name: str, title: str, script: str | None) -> str | None:
    name = _PLATFORM.sub("", name)
    if name in _PROGRAMS or title in _PROGRAMS:
        return _PROGRAMS.get(name) or _PROGRAMS[title]
    if script is None:
        return None
    path = script.replace("\\", "/")
    for package, agent in _PACKAGES.items():
        if f"/node_modules/{package}/" in path:
            return agent
    stem = _PLATFORM.sub("", path.rsplit("/", 1)[-1])
    return _PROGRAMS.get(re.sub(r"\.(?:[cm]?js|py|exe)$", "", stem).lower())


@dataclass(frozen=True, slots=True)
class DirectAgent:
    """An agent that is connected to a provider or model server itself, and not to the guard."""

    pid: int
    name: str
    remote: str
    """Address and port of one such connection."""


def direct_connections(guard_port: int) -> list[DirectAgent]:
    """Return agents of this user that hold a connection to a provider around the guard, ordered by process id.

    An agent counts if it has an established connection to port 443 of another machine or to a model server's port on this
    one, and none to the guard's. Providers are not looked up (P9): an agent that fetches a web page counts too, and one
    that keeps no connection open between requests may be missed. Blocking, some milliseconds.
    """
    if sys.platform == "linux":
        connections = _connections_by_table()
    else:
        connections = _connections_by_psutil()
    direct = []
    for pid, (name, remotes) in sorted(connections.items()):
        if any(port == guard_port and _loopback(host) for host, port in remotes):
            continue
        around = [
            (host, port)
            for host, port in remotes
            if (port == 443 and not _loopback(host)) or (port in _MODEL_SERVER_PORTS and _loopback(host))
        ]
        if around:
            host, port = min(around)
            direct.append(DirectAgent(pid, name, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    return direct


def _loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")


def _connections_by_table() -> dict[int, tuple[str, set[tuple[str, int]]]]:
    euid = os.geteuid()
    remotes = {entry.inode: entry.remote for entry in tcp_table() if entry.established and entry.uid == euid}
    found: dict[int, tuple[str, set[tuple[str, int]]]] = {}
    if not any(port == 443 or port in _MODEL_SERVER_PORTS for _, port in remotes.values()):
        return found  # nobody goes around; processes need not be looked at
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid != euid:
                continue
            arguments = (entry / "cmdline").read_bytes()[:4096].decode("utf-8", "replace").split("\0")[:8]
            name = program_name(str((entry / "exe").readlink()), "")
            agent = _agent_of_program(name, short_name(int(entry.name)).lower(), script_of(tuple(arguments)))
            if agent is None:
                continue
            for descriptor in (entry / "fd").iterdir():
                target = str(descriptor.readlink())
                if target.startswith("socket:[") and (remote := remotes.get(int(target[8:-1]))) is not None:
                    found.setdefault(int(entry.name), (agent, set()))[1].add(remote)
        except OSError:
            continue
    return found


def _connections_by_psutil() -> dict[int, tuple[str, set[tuple[str, int]]]]:
    import psutil

    own = psutil.Process().username()
    found: dict[int, tuple[str, set[tuple[str, int]]]] = {}
    for process in psutil.process_iter():
        try:
            if process.username() != own:
                continue
            title = program_name(None, process.name())
            agent = _agent_of_program(
                program_name(process.exe(), title), title, script_of(tuple(process.cmdline()[:8]))
            )
            if agent is None:
                continue
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_ESTABLISHED and len(connection.raddr) == 2:
                    found.setdefault(process.pid, (agent, set()))[1].add((connection.raddr[0], connection.raddr[1]))
        except (psutil.Error, OSError):
            continue
    return found
