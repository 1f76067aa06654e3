"""Credentials made by programs: run without a shell, kept until they expire, never repeated in a message."""

import base64
import json
import shlex
import sys
import threading
import time
from pathlib import Path

import pytest

from localguard.config.credential_commands import (
    CredentialCommandFailed,
    CredentialCommands,
    is_bearer_token,
    named,
    read_answer,
)

NOW = 1_800_000_000.0


def web_token(expires: float | None) -> str:
    claims = {} if expires is None else {"exp": expires}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "x"}, claims)
    ]
    return ".".join([*parts, "c2lnbmF0dXJl"])


@pytest.mark.parametrize(
    ("output", "lives"),
    [
        ("opaque-value\n", 300),
        (json.dumps({"access_token": "t", "expires_in": 3600}), 3600),
        (json.dumps({"accessToken": "t", "expiresOn": "2027-01-15 08:30:00+00:00", "expires_on": NOW + 60}), 60),
        (json.dumps({"token": "t", "expiration": "2027-01-15T09:00:00Z"}), 3600),
        (json.dumps({"token": "t"}), 300),
    ],
)
def test_the_answer_says_how_long_it_lives(output: str, lives: float) -> None:
    assert read_answer(output, NOW)[1] == lives


def test_a_web_token_says_it_itself() -> None:
    token = web_token(NOW + 1234)
    assert read_answer(token, NOW) == (token, 1234)
    assert read_answer(web_token(None), NOW)[1] == 300
    assert is_bearer_token(token)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\n",
        "two\nlines",
        "with space",
        "{",
        "{}",
        '{"token": 5}',
        '{"token": ""}',
        "x" * 70000,
        "café",
        json.dumps({"token": "t", "expires_in": -1}),
        web_token(NOW - 1),
    ],
)
def test_what_is_no_credential_is_refused_without_repeating_it(output: str) -> None:
    with pytest.raises(CredentialCommandFailed) as told:
        read_answer(output, NOW)
    assert not output.strip() or output.strip() not in str(told.value)


def counting(tmp_path: Path, prints: str) -> tuple[str, Path]:
    """A command that leaves a mark for each run."""
    marks = tmp_path / "runs"
    program = f"import sys; open({str(marks)!r}, 'a').write('x'); print({prints})"
    return shlex.join([sys.executable, "-c", program]), marks


def test_an_answer_is_kept_until_a_minute_before_its_end(tmp_path: Path) -> None:
    now = [NOW]
    command, marks = counting(tmp_path, repr(json.dumps({"token": "made-up", "expires_in": 600})))
    commands = CredentialCommands(clock=lambda: now[0])
    runs = []
    for later in (0, 1, 539, 541):
        now[0] = NOW + later
        assert commands.get(command) == "made-up"
        runs.append(len(marks.read_text()))
    assert runs == [1, 1, 1, 2]


def test_many_who_want_it_at_once_start_one_program(tmp_path: Path) -> None:
    command, marks = counting(tmp_path, "'made-up'")
    commands = CredentialCommands()
    threads = [threading.Thread(target=commands.get, args=(command,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(marks.read_text()) == 1


def test_no_shell_reads_the_line(tmp_path: Path) -> None:
    command, _ = counting(tmp_path, "'-'.join(sys.argv[1:])")
    assert CredentialCommands().get(f"{command} '$HOME;' '`id`' '>x'") == "$HOME;-`id`->x"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; print('made-up'); print('made-up', file=sys.stderr); sys.exit(3)", "ended with status 3"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "answered no text"),
        ("import time; time.sleep(30)", "took too long"),
    ],
)
def test_a_failure_says_which_program_and_nothing_that_it_said(program: str, words: str) -> None:
    commands = CredentialCommands(timeout=1.0)
    with pytest.raises(CredentialCommandFailed) as told:
        commands.get(shlex.join([sys.executable, "-c", program]))
    assert words in str(told.value)
    assert "made-up" not in str(told.value)


def test_a_program_that_never_stops_writing_is_ended_with_what_it_started_and_not_read_to_the_end(
    tmp_path: Path,
) -> None:
    child = tmp_path / "child"
    program = (
        "import os, subprocess, sys\n"
        f"made = subprocess.Popen(['sleep', '60']); open({str(child)!r}, 'w').write(str(made.pid))\n"
        "while True: os.write(1, b'x' * 65536)"
    )
    with pytest.raises(CredentialCommandFailed, match="answered no single line"):
        CredentialCommands(timeout=20).get(shlex.join([sys.executable, "-c", program]))
    pid = int(child.read_text())
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
        assert time.monotonic() < until, "what it started still runs"


def test_a_program_that_ends_while_what_it_started_holds_its_output_takes_too_long_and_is_ended() -> None:
    program = "import subprocess, sys; print('made-up', flush=True); subprocess.Popen(['sleep', '60'])"
    begun = time.monotonic()
    with pytest.raises(CredentialCommandFailed, match="took too long"):
        CredentialCommands(timeout=1.0).get(shlex.join([sys.executable, "-c", program]))
    assert time.monotonic() - begun < 10


def test_a_failing_program_is_not_started_for_every_request(tmp_path: Path) -> None:
    now = [NOW]
    command, marks = counting(tmp_path, "''")
    commands = CredentialCommands(clock=lambda: now[0])
    for later in (0, 1, 4, 6):
        now[0] = NOW + later
        with pytest.raises(CredentialCommandFailed):
            commands.get(command)
    assert len(marks.read_text()) == 2


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(CredentialCommandFailed, match="no-such-program could not be run"):
        CredentialCommands().get("/nowhere/no-such-program --quiet")
    assert named("'") == "?"
