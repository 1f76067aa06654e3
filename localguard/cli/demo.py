"""`localguard demo`: one request of an agent through a real guard to a provider of our own, shown before, upstream and after."""

import base64
import json
import os
import secrets
import socket
import string
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import typer

from localguard.cli.exit_codes import ExitCode
from localguard.cli.options import JsonOption
from localguard.cli.output import print_json

if TYPE_CHECKING:
    from localguard.config.home import Home

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_OLD_HOST, _NEW_HOST = "db-1.internal", "db-2.internal"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard demo")(demo)


@dataclass(frozen=True, slots=True)
class Planted:
    """A `.env` made up for this run, and the values in it that must not leave."""

    text: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What happened: the file before and after, what the provider got of it, and what was checked."""

    before: str
    upstream: str
    after: str
    checks: tuple[tuple[str, bool], ...]
    seconds: float
    exchange: str


def demo(as_json: JsonOption = False) -> None:
    """Show the guard at work on made-up secrets.

    A file, what the provider sees of it, and the file after the provider's edit. Uses a temporary home, a free port and a provider of its own on this machine: no key, no account, no network. Exit code
    1 if one of the checks at the end fails.
    """
    shown, planted = perform()
    if as_json:
        print_json(
            {
                "upstream": shown.upstream,
                "checks": [{"name": name, "passed": passed} for name, passed in shown.checks],
                "seconds": round(shown.seconds, 2),
            }
        )
    else:
        _print(shown, planted)
    if not all(passed for _, passed in shown.checks):
        raise typer.Exit(ExitCode.FOUND)


def perform() -> tuple[Shown, Planted]:
    """Run the demonstration and return what it showed. Raises LocalguardError where the guard does not come up."""
    import tempfile

    from localguard.cli.demo_provider import DemoProvider

    began = time.monotonic()
    planted = _planted()
    provider = DemoProvider(lambda text: text.replace(_OLD_HOST, _NEW_HOST))
    try:
        with tempfile.TemporaryDirectory(prefix="localguard-demo-", ignore_cleanup_errors=True) as folder:
            return _through_a_guard(Path(folder), provider, planted, began), planted
    finally:
        provider.close()


def _through_a_guard(folder: Path, provider: Any, planted: Planted, began: float) -> Shown:
    from localguard.audit.verify import verify
    from localguard.cli import background
    from localguard.config.home import Home

    home = Home(folder / "home")
    home.create()
    home.policy_file.write_text(_POLICY.format(port=provider.port), "utf-8")
    file = folder / ".env"
    file.write_bytes(planted.text.encode())
    port = _free_port()
    environment = {**os.environ, "LOCALGUARD_KEYRING": "off"}  # the user's keychain has no part in this
    environment.pop("LOCALGUARD_HOME", None)
    process = background.start(home, port, None, home.log_dir / "serve.log", environment=environment)
    try:
        background.wait_until_running(home, port, process)
        exchange, arguments = _ask(port, planted.text)
        file.write_bytes(json.loads(arguments)["content"].encode())
    finally:
        process.terminate()
        process.wait(timeout=10)
    after = file.read_bytes().decode()
    report = verify(home.audit_db)
    return Shown(
        before=planted.text,
        upstream=_tool_text(provider.seen[-1]),
        after=after,
        checks=(
            ("The provider saw none of the values, in no encoding.", not _holds(b"".join(provider.seen), planted)),
            ("The edited file has exactly the right bytes.", after == planted.text.replace(_OLD_HOST, _NEW_HOST)),
            ("The log, its journal and all other files of the guard hold none of the values.", _clean(home, planted)),
            (f"The log is internally consistent ({report.records} records).", report.consistent),
        ),
        seconds=time.monotonic() - began,
        exchange=exchange,
    )


_POLICY = """version = 1
extends = "builtin:solo"

[[endpoints]]
name = "demo"
kind = "openai-compatible"
base_url = "http://127.0.0.1:{port}"
"""


def _planted() -> Planted:
    """Return a `.env` with values that are valid in form and were never issued."""
    body = "".join(secrets.choice(_BASE62) for _ in range(30))
    github = "gh" + "p_" + body + _base62(zlib.crc32(body.encode()), 6)
    password = "".join(secrets.choice(_BASE62) for _ in range(20)) + "#7"
    cloud = "".join(secrets.choice(_BASE62 + "+/") for _ in range(40))
    mail = f"{secrets.choice(('mara', 'jonas', 'priya'))}.{secrets.token_hex(3)}@{secrets.choice(('brightfjord', 'northmill'))}.io"
    text = (
        "# settings of the demonstration\n"
        "LOG_LEVEL=info\n"
        f"GITHUB_TOKEN={github}\n"
        f"AWS_SECRET_ACCESS_KEY={cloud}\n"
        f"DATABASE_URL=postgres://app:{quote(password)}@{_OLD_HOST}:5432/orders\n"
        f"ALERTS_TO={mail}\n"
    )
    return Planted(text, (github, cloud, quote(password), mail))


def _base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(width, "0")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, text: str) -> tuple[str, str]:
    """Send what an agent sends after it read the file; return the exchange id and the tool call's arguments."""
    call = {"id": "call_1", "type": "function", "function": {"name": "read_file", "arguments": '{"path": ".env"}'}}
    body = {
        "model": "demo",
        "stream": True,
        "messages": [
            {"role": "user", "content": f"Move the database in .env to {_NEW_HOST}."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": text},
        ],
        "tools": [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
            for name in ("read_file", "write_file")
        ],
    }
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/demo/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read().decode()
        return answer.headers.get("X-LocalGuard-Exchange", ""), _arguments(raw)
    finally:
        connection.close()


def _arguments(stream: str) -> str:
    pieces = []
    for line in stream.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                pieces += [call["function"]["arguments"] for call in choice["delta"].get("tool_calls", ())]
    return "".join(pieces)


def _tool_text(request: bytes) -> str:
    body = json.loads(request[request.index(b"\n\n") + 2 :])
    return str(next(message["content"] for message in body["messages"] if message["role"] == "tool"))


def _holds(data: bytes, planted: Planted) -> bool:
    spellings = set[bytes]()
    for value in planted.values:
        raw = value.encode()
        spellings |= {raw, json.dumps(value)[1:-1].encode(), quote(value, safe="").encode(), raw.hex().encode()}
        spellings.add(base64.b64encode(raw).rstrip(b"=")[:-1])
    return any(spelling in data for spelling in spellings)


def _clean(home: "Home", planted: Planted) -> bool:
    return not any(_holds(path.read_bytes(), planted) for path in home.root.rglob("*") if path.is_file())


def _print(shown: Shown, planted: Planted) -> None:
    _section("Before: .env on disk", shown.before, planted.values, typer.colors.RED)
    seen = _placeholders(shown.upstream)
    _section("Upstream: what the provider saw", shown.upstream, seen, typer.colors.GREEN)
    _section("After: .env with the provider's edit", shown.after, planted.values, typer.colors.RED)
    for name, passed in shown.checks:
        typer.secho(f"{'ok  ' if passed else 'FAIL'}  {name}", fg=typer.colors.GREEN if passed else typer.colors.RED)
    typer.echo(f"\n{shown.seconds:.1f} s. All values were made up for this run. Next: localguard run -- YOUR-AGENT")


def _section(title: str, text: str, marked: tuple[str, ...], colour: str) -> None:
    typer.secho(title, bold=True)
    for value in marked:
        text = text.replace(value, typer.style(value, fg=colour))
    typer.echo("\n".join("  " + line for line in text.splitlines()) + "\n")


def _placeholders(text: str) -> tuple[str, ...]:
    from localguard.redact import placeholder

    return tuple(dict.fromkeys(match.group() for match in placeholder.PATTERN.finditer(text)))
