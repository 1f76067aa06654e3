import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localguard.config import peer as peer_module
from localguard.config import sockets
from localguard.config.agents import agent_of, direct_connections
from localguard.config.peer import Peer, PeerFinder, peer_of, program_name, script_of
from localguard.config.sockets import tcp_table

CLIENT = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.connect((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)
sys.stdin.read()
"""

Connect = Callable[..., tuple[socket.socket, "subprocess.Popen[str]"]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Start a real process that connects from a directory; gives the accepted socket and the process."""
    with ExitStack() as stack:

        def run(
            cwd: Path,
            host: str = "127.0.0.1",
            listen: str | None = None,
            program: tuple[str, ...] = (sys.executable,),
            before: str = "",
        ) -> tuple[socket.socket, "subprocess.Popen[str]"]:
            listen = listen or host
            server = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in listen else socket.AF_INET))
            if listen == "::":
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind((listen, 0))
            server.listen()
            process = subprocess.Popen(
                [*program, "-c", CLIENT.replace("s = ", f"{before}\ns = ", 1), host, str(server.getsockname()[1])],
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            assert process.stdin is not None
            stack.callback(process.stdin.close)
            accepted = stack.enter_context(server.accept()[0])
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            stack.callback(process.stdout.close)
            return accepted, process

        yield run


def ends(accepted: socket.socket) -> tuple[tuple[str, int], tuple[str, int]]:
    return accepted.getsockname()[:2], accepted.getpeername()[:2]


@pytest.mark.parametrize(
    ("host", "listen"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.1", "::"), ("::ffff:127.0.0.1", "127.0.0.1")],
)
def test_a_peer_is_found_with_its_directory(connect: Connect, tmp_path: Path, host: str, listen: str) -> None:
    accepted, process = connect(tmp_path, host, listen)
    found = peer_of(*ends(accepted))
    assert found is not None
    assert (found.pid, found.uid, found.same_user, found.cwd) == (process.pid, os.geteuid(), True, tmp_path)
    assert found.name.startswith("python")
    assert found.ancestors[0].pid == os.getpid()
    assert len(found.ancestors) <= 6


@pytest.mark.parametrize("way", ["inode_by_netlink", "inode_by_table"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_netlink_and_the_table_name_the_same_socket(connect: Connect, tmp_path: Path, way: str, host: str) -> None:
    accepted, process = connect(tmp_path, host)
    found = getattr(sockets, way)(*ends(accepted))
    assert found is not None
    links = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
    assert f"socket:[{found[0]}]" in links
    assert found[1] == os.geteuid()


def test_psutil_finds_the_same_peer(connect: Connect, tmp_path: Path) -> None:
    accepted, _ = connect(tmp_path)
    by_psutil, by_netlink = peer_module._by_psutil(*ends(accepted)), peer_of(*ends(accepted))
    assert by_psutil is not None
    assert by_netlink is not None
    assert (by_psutil.pid, by_psutil.cwd, by_psutil.exe) == (by_netlink.pid, by_netlink.cwd, by_netlink.exe)


def test_a_connection_that_is_not_there_has_no_peer() -> None:
    assert peer_of(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
    assert peer_of(("127.0.0.1", 1), ("::1", 2)) is None
    assert peer_of(("", 0), ("nonsense", 0)) is None


def test_a_peer_is_looked_up_in_about_a_millisecond_once_it_is_known(connect: Connect, tmp_path: Path) -> None:
    accepted, _ = connect(tmp_path)
    finder = PeerFinder()
    finder.peer_of(*ends(accepted))
    took = []
    for _ in range(10):
        start = time.perf_counter()
        finder.peer_of(*ends(accepted))
        took.append(time.perf_counter() - start)
    assert min(took) < 2e-3


def test_a_socket_of_another_user_is_known_to_be_anothers(connect: Connect, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    accepted, _ = connect(tmp_path, before="import os; os.setuid(12345)")
    found = peer_of(*ends(accepted))
    assert found is not None
    assert (found.same_user, found.uid, found.pid, found.cwd) == (False, 12345, None, None)


def test_a_directory_that_is_gone_is_no_directory(connect: Connect, tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    accepted, _ = connect(place)
    place.rmdir()
    found = peer_of(*ends(accepted))
    assert found is not None
    assert found.cwd is None


@pytest.mark.parametrize(
    ("arguments", "script"),
    [
        (("node", "--no-warnings", "/x/cli.js", "secret"), "/x/cli.js"),
        (("/usr/bin/python3", "-m", "aider"), "aider"),
        (("python", "-c", "print()"), None),
        (("claude", "-p", "hello"), None),
        ((), None),
    ],
)
def test_of_a_command_line_only_the_script_is_kept(arguments: tuple[str, ...], script: str | None) -> None:
    assert script_of(arguments) == script


def test_a_program_is_named_by_its_file() -> None:
    assert program_name("/usr/lib/Docker-Proxy (deleted)", "x") == "docker-proxy"
    assert program_name("C:\\Program Files\\WSL\\wslrelay.exe", "") == "wslrelay"
    assert program_name(None, "Sshd") == "sshd"
    assert Peer(1, 0, True, None, None, "memfd", title="sshd-session").is_relay


NODE = Peer(1, 0, True, "/usr/bin/node", None, "node", script="/x/node_modules/@openai/codex/bin/codex.js")


@pytest.mark.parametrize(
    ("user_agent", "peer", "expected"),
    [
        ("claude-cli/2.1.3 (external, cli)", None, ("claude-code", "2.1.3")),
        ("codex_cli_rs/0.169.0 (Debian 12; x86_64) xterm", None, ("codex", "0.169.0")),
        ("codex_exec/0.169.0", None, ("codex", "0.169.0")),
        ("opencode/1.18.2 ai-sdk/provider-utils/4", None, ("opencode", "1.18.2")),
        ("ai-sdk/openai/3 opencode/1.18.2", None, ("opencode", "1.18.2")),
        ("GitHubCopilotChat/0.30", None, ("copilot", "0.30")),
        ("copilot/1.0.1 (linux)", None, ("copilot", "1.0.1")),
        ("GeminiCLI/0.61.0/gemini-2 (linux; x64)", None, ("gemini-cli", "0.61.0")),
        ("QwenCode/0.9 (linux)", None, ("qwen-code", "0.9")),
        ("Aider/0.86 +https://aider.chat", None, ("aider", "0.86")),
        ("OpenAI/Python 2.8.0", None, ("openai-python", "2.8.0")),
        ("AsyncOpenAI/Python 2.8.0", None, ("openai-python", "2.8.0")),
        ("Anthropic/Python 0.70", None, ("anthropic-python", "0.70")),
        ("ollama-python/0.6.1 (x86_64 linux) Python/3.11", None, ("ollama-python", "0.6.1")),
        ("OpenAI/JS 6.1.0", NODE, ("codex", None)),
        (None, NODE, ("codex", None)),
        ("node", NODE, ("codex", None)),
        ("curl/8", None, (None, None)),
        ("claude-cli/" + "A" * 50, None, ("claude-code", None)),
        (
            None,
            Peer(1, 0, True, "/home/u/.local/share/claude/versions/2.1.0", None, "2.1.0", title="claude"),
            ("claude-code", None),
        ),
        (None, None, (None, None)),
    ],
)
def test_an_agent_is_named_by_its_user_agent_else_its_program(
    user_agent: str | None, peer: Peer | None, expected: tuple[str | None, str | None]
) -> None:
    assert agent_of(user_agent, peer) == expected


def test_an_agent_connected_to_a_model_server_around_the_guard_is_named(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "opencode"
    shutil.copy(Path(sys.executable).resolve(), named)
    monkeypatch.setenv("PYTHONHOME", sys.base_prefix)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(Path(sys.base_prefix) / "lib"))
    accepted, process = connect(tmp_path, program=(str(named),))
    port = accepted.getsockname()[1]
    monkeypatch.setattr("localguard.config.agents._MODEL_SERVER_PORTS", (port,))
    [direct] = [agent for agent in direct_connections(guard_port=1) if agent.pid == process.pid]
    assert (direct.name, direct.remote) == ("opencode", f"127.0.0.1:{port}")
    assert [agent for agent in direct_connections(guard_port=port) if agent.pid == process.pid] == []


def test_the_socket_table_can_be_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname() in {entry.local for entry in tcp_table()}
