"""Who may answer for a person: nobody that an agent may have started, however far it has got away."""

import os
import subprocess
import sys

import pytest

from localguard.config.lineage import Forebear, agent_behind, lineage

INIT = Forebear(1, 1.0, "systemd")
MANAGER = Forebear(900, 50.0, "systemd")
AGENT = {500: 100.0}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([Forebear(700, 300.0, "python3"), Forebear(500, 100.0, "codex"), INIT], "an agent started it"),
        ([Forebear(500, None, "codex"), INIT], "an agent started it"),
        ([Forebear(700, 300.0, "python3"), INIT], "was started after an agent"),
        ([Forebear(700, 300.0, "python3"), MANAGER, INIT], "was started after an agent"),
        ([Forebear(700, 100.0, "python3"), INIT], "was started after an agent"),  # in the same tick of the clock
        ([Forebear(700, 300.0, "bash"), Forebear(690, 299.0, "script"), INIT], "was started after an agent"),
        ([Forebear(700, 300.0, "bash", marked=True), Forebear(690, 299.0, "xterm"), INIT], "environment is an agent's"),
        (
            [Forebear(700, 300.0, "bash"), Forebear(50, 20.0, "python3", supervises=True), INIT],
            "below `localguard run`",
        ),
    ],
)
def test_what_an_agent_may_have_started_is_no_person(line: list[Forebear], words: str) -> None:
    assert words in (agent_behind(line, AGENT) or "")


@pytest.mark.parametrize(
    "line",
    [
        [Forebear(700, 300.0, "localguard"), Forebear(400, 90.0, "bash"), INIT],  # a shell that was open before
        [Forebear(700, 300.0, "localguard"), Forebear(690, 299.0, "bash"), Forebear(680, 298.0, "xterm"), INIT],
        [Forebear(700, 300.0, "bash"), Forebear(690, 299.0, "sshd-session"), Forebear(300, 10.0, "sshd"), INIT],
        [Forebear(700, 300.0, "bash"), Forebear(690, 299.0, "tmux"), INIT],
        [Forebear(700, 300.0, "python3"), Forebear(690, 299.0, "bash", entered=True)],  # into a container
        [Forebear(700, 300.0, "python3", started_at_login=True), MANAGER, INIT],  # the tray, begun anew
        [Forebear(500, 300.0, "bash"), Forebear(400, 90.0, "bash"), INIT],  # an agent's process id, used again
        [Forebear(60, 20.0, "localguard", supervises=True), INIT],  # `localguard run` itself
        [Forebear(700, None, "localguard"), INIT],  # nothing is known of it
    ],
)
def test_a_person_s_programs_are(line: list[Forebear]) -> None:
    assert agent_behind(line, AGENT) is None


def test_without_agents_everybody_is_a_person_who_bears_no_mark_of_one() -> None:
    assert agent_behind([Forebear(700, 300.0, "python3"), INIT], {}) is None
    assert agent_behind([Forebear(700, 300.0, "python3", marked=True), INIT], {}) is not None
    assert agent_behind([Forebear(700, 300.0, "sh"), Forebear(60, 20.0, "python3", supervises=True), INIT], {})


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_the_line_of_a_process_is_read_as_the_kernel_tells_it() -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    environment = {**os.environ, "CLAUDECODE": "1"}
    command = [sys.executable, "-c", program, "localguard", "run"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        child.stdout.readline()
        line = lineage(child.pid)
        child.communicate()
    assert [one.pid for one in line[:2]] == [child.pid, os.getpid()]
    assert line[0].marked
    assert line[0].supervises
    assert not line[1].supervises
    assert line[0].started is not None
    assert line[1].started is not None
    assert line[0].started >= line[1].started
    assert line[-1].pid == 1 or line[-1].entered
    assert lineage(2**22 + 1)[0].started is None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(("command", "begun"), [("tray", True), ("pause", False), ("run", False)])
def test_what_a_terminal_that_the_tray_opened_runs_was_not_begun_at_login(
    monkeypatch: pytest.MonkeyPatch, command: str, begun: bool
) -> None:
    files = {
        "cgroup": [b"0::/user.slice/app.slice/app-localguard\\x2dtray@autostart.service\n"],
        "cmdline": [b"/usr/bin/python3", b"-m", b"localguard.cli.main", command.encode(), b""],
        "environ": [],
    }
    monkeypatch.setattr("localguard.config.lineage._strings", lambda file: files[file.rpartition("/")[2]])
    assert lineage(os.getpid())[0].started_at_login is begun
