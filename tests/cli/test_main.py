"""The command line as a whole: fast, honest exit codes, no value in an error."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from localguard.audit.schema import LogUnavailable
from localguard.cli import main
from localguard.cli.exit_codes import EXIT_CODES, ExitCode, NotReachable, WrongUse, exit_code_for
from localguard.config.home import Home
from localguard.errors import LocalguardError
from localguard.proxy.control_client import GuardNotReachable
from tests.cli.conftest import RunLocally, made_up_token, process


@pytest.mark.parametrize(
    "heavy", ["aiohttp", "presidio_analyzer", "detect_secrets", "pydantic", "keyring", "rich", "sqlite3", "asyncio"]
)
def test_the_command_line_loads_nothing_heavy_before_a_command_runs(heavy: str) -> None:
    script = f"import sys, localguard.cli.main; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], ExitCode.DONE),
        (["policy", "check"], ExitCode.DONE),
        (["endpoint", "list"], ExitCode.DONE),
        (["bogus"], ExitCode.WRONG_USE),
        (["serve", "--port", "0"], ExitCode.WRONG_USE),
        (["scan", "no-such-file"], ExitCode.WRONG_USE),
        (["endpoint", "add", "work", "--kind", "bogus"], ExitCode.WRONG_USE),
        (["endpoint", "add", "work", "--kind", "openai", "--class", "bogus"], ExitCode.WRONG_USE),
        (["endpoint", "add", "work", "--kind", "openai", "--base-url", "bogus"], ExitCode.WRONG_USE),
        (["endpoint", "list", "--policy", "no-such-file"], ExitCode.WRONG_USE),
        (["serve", "--policy", "no-such-file"], ExitCode.WRONG_USE),
        (["policy", "check", "no-such-file"], ExitCode.WRONG_USE),
        (["audit", "tail", "--kind", "bogus"], ExitCode.WRONG_USE),
        (["run", "--task", "t" * 65, "--", "true"], ExitCode.WRONG_USE),
        (["endpoint", "remove", "nothing"], ExitCode.WRONG_USE),
        (["key", "remove", "nothing"], ExitCode.WRONG_USE),
        (["workspace", "token", "--workspace", "nothing"], ExitCode.WRONG_USE),
        (["run", "--", "no-such-program-anywhere"], ExitCode.WRONG_USE),
        (["audit", "tail"], ExitCode.FOUND),
        (["status", "--port", "1"], ExitCode.UNREACHABLE),
    ],
)
def test_exit_codes_are_those_of_the_contract(home: Home, work: Path, arguments: list[str], code: ExitCode) -> None:
    assert process(*arguments, cwd=work).returncode == code


def test_a_setting_of_the_environment_that_cannot_be_right_is_wrong_use(
    home: Home, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALGUARD_BODY_LIMIT_MB", "bogus")
    assert process("serve", cwd=work).returncode == ExitCode.WRONG_USE


def test_an_endpoint_for_a_policy_file_with_mistakes_is_refused_not_wrong_use(home: Home, work: Path) -> None:
    home.root.mkdir(parents=True)
    home.policy_file.write_text("version = 1\nbogus = 1\n")
    assert process("endpoint", "add", "work", "--kind", "openai", cwd=work).returncode == ExitCode.FOUND


class _Deeper(GuardNotReachable):
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongUse(""), 2),
        (NotReachable(""), 3),
        (GuardNotReachable(""), 3),
        (_Deeper(""), 3),
        (LogUnavailable(""), 1),
        (LocalguardError(""), 1),
    ],
)
def test_an_error_has_the_exit_code_of_its_nearest_named_class(error: LocalguardError, code: int) -> None:
    assert exit_code_for(error) == code


def test_every_error_in_the_exit_code_table_exists() -> None:
    for module in (
        "collector.administration", "collector.database", "collector.serving", "config.endpoints", "config.git_hooks", "config.keys",
        "config.organisation", "proxy.assembly", "proxy.daemon", "sync.agreement",
    ):  # fmt: skip
        importlib.import_module(f"localguard.{module}")

    def names(error: type[Exception]) -> set[str]:
        return {error.__name__} | {name for child in error.__subclasses__() for name in names(child)}

    assert set(EXIT_CODES) <= names(LocalguardError)


def test_an_unforeseen_error_shows_where_it_happened_and_not_what_it_says(
    localguard: RunLocally, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = made_up_token()

    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot read {value}")

    monkeypatch.setattr("localguard.config.policy_files.load_policy", broken)
    code, out, err = localguard("policy", "show")
    assert code == ExitCode.FOUND
    assert "RuntimeError" in err
    assert "in broken" in err
    assert value not in out + err


def test_interrupting_a_command_ends_it_without_a_traceback(
    localguard: RunLocally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("localguard.config.policy_files.load_policy", interrupted)
    code, _, err = localguard("policy", "show")
    assert code == 130
    assert "Traceback" not in err


def test_without_arguments_the_way_to_the_commands_is_told(localguard: RunLocally) -> None:
    code, out, _ = localguard()
    assert code == 0
    assert "localguard doctor" in out


def test_main_ends_the_process_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["localguard", "--version"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 0
