"""`localguard scan`: every format, no value in any, and no bad line that stops the others."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localguard.cli import scan as scan_command
from localguard.cli.scan_report import locate
from localguard.detect.finding import DataClass, Finding
from localguard.detect.scanner import Scanner
from localguard.policy.model import Obligation
from tests.cli.conftest import COMMAND, RunLocally, made_up_token, process

ACTIONS = dict.fromkeys((str(c) for c in DataClass), str(Obligation.REDACT))


def planted(folder: Path, name: str = "settings.env") -> tuple[Path, str]:
    """Write a file whose second line holds a token behind characters of several bytes."""
    value = made_up_token()
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(f"# naïve 😀\r\nå GITHUB_TOKEN={value}\n".encode())
    return file, value


def test_a_finding_is_named_by_place_and_type(localguard: RunLocally, work: Path) -> None:
    _, value = planted(work)
    code, out, err = localguard("scan", "settings.env")
    assert code == 1
    assert out == "settings.env:2:16: GITHUB_TOKEN (secret, github/token)\n"
    assert "1 finding in 1 file" in err
    assert value not in out + err


def test_nothing_found_is_exit_code_zero(localguard: RunLocally, work: Path) -> None:
    (work / "plain.txt").write_text("nothing to see\n")
    assert localguard("scan")[0] == 0


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "sarif"])
def test_no_format_prints_a_value(localguard: RunLocally, work: Path, form: str) -> None:
    _, value = planted(work)
    code, out, err = localguard("scan", "--format", form)
    assert code == 1
    assert "GITHUB_TOKEN" in out
    assert value not in out + err


def test_json_offsets_are_code_points_of_the_text(localguard: RunLocally, work: Path) -> None:
    file, value = planted(work)
    text = file.read_bytes().decode()
    printed = json.loads(localguard("scan", "--format", "json")[1])
    (finding,) = printed["findings"]
    assert text[finding["start"] : finding["end"]] == value
    assert finding["action"] == "redact"
    assert finding["class"] == "secret"
    assert printed["files"] == 1


def test_jsonl_of_files_has_one_line_a_file(localguard: RunLocally, work: Path) -> None:
    planted(work, "a.env")
    (work / "b.txt").write_text("plain\n")
    lines = [json.loads(line) for line in localguard("scan", "--format", "jsonl")[1].splitlines()]
    assert [line["id"] for line in lines] == ["a.env", "b.txt"]
    assert set(lines[0]["findings"][0]) == {"start", "end", "type", "class", "rule", "action"}
    assert lines[1]["findings"] == []


def test_sarif_names_rule_file_and_region(localguard: RunLocally, work: Path) -> None:
    planted(work, "with space/ü.env")
    log = json.loads(localguard("scan", "--format", "sarif")[1])
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "github/token"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "with%20space/%C3%BC.env"
    assert (place["region"]["startLine"], place["region"]["startColumn"]) == (2, 16)
    assert run["columnKind"] == "unicodeCodePoints"


def test_lines_are_answered_as_they_come() -> None:
    command = [*COMMAND, "scan", "--format", "jsonl", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for number in range(3):
            value = made_up_token()
            text = f"😀 token = {value}"
            child.stdin.write(json.dumps({"id": number, "text": text}).encode() + b"\n")
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            assert answer["id"] == number
            (finding,) = answer["findings"]
            assert text[finding["start"] : finding["end"]] == value
        child.stdin.close()
        assert child.wait(timeout=20) == 1


@pytest.mark.parametrize(
    ("line", "identifier"),
    [
        (b"no json", None),
        (b"[1]", None),
        (b'{"text": "a"}', None),
        (b'{"id": 7}', 7),
        (b'{"id": "x", "text": 5}', "x"),
        (b'{"id": 8, "text": "\\ud800"}', 8),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_bad_line_gets_an_error_and_the_next_is_answered(line: bytes, identifier: object) -> None:
    good = json.dumps({"id": "good", "text": "plain"}).encode()
    ran = process("scan", "--format", "jsonl", "-", data=line + b"\n" + good + b"\n")
    bad, answered = (json.loads(entry) for entry in ran.stdout.splitlines())
    assert bad["id"] == identifier
    assert set(bad) == {"id", "error"}
    assert answered == {"id": "good", "findings": []}
    assert ran.returncode == 1


def test_an_empty_stream_is_answered_with_nothing() -> None:
    ran = process("scan", "--format", "jsonl", "-", data=b"\n\n")
    assert (ran.returncode, ran.stdout) == (0, b"")


def test_standard_input_is_scanned_as_one_text() -> None:
    value = made_up_token()
    ran = process("scan", "-", data=f"a\nGITHUB_TOKEN={value}\n".encode())
    assert ran.returncode == 1
    assert ran.stdout.startswith(b"-:2:14: GITHUB_TOKEN")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_read(localguard: RunLocally, work: Path, encoding: str) -> None:
    (work / "x.env").write_bytes(f"# é\nGITHUB_TOKEN={made_up_token()}\n".encode(encoding))
    assert localguard("scan")[0] == 1


def test_binary_files_are_left_out(localguard: RunLocally, work: Path) -> None:
    (work / "x.bin").write_bytes(b"\0\1\2GITHUB_TOKEN=" + made_up_token().encode())
    code, out, _ = localguard("scan", "--format", "json")
    assert code == 0
    assert json.loads(out)["skipped"] == [{"path": "x.bin", "reason": "binary"}]


@pytest.fixture
def repository(work: Path) -> Path:
    if shutil.which("git") is None:
        pytest.fail("git is needed")
    subprocess.run(["git", "init", "--quiet"], cwd=work, check=True)
    (work / ".gitignore").write_text("ignored/\nlocal.env\n")
    planted(work, "kept/a.env")
    planted(work, "ignored/b.env")
    planted(work, "local.env")
    return work


def names(out: str) -> list[str]:
    return [line.split(":")[0] for line in out.splitlines()]


def test_what_git_ignores_is_left_out(localguard: RunLocally, repository: Path) -> None:
    assert names(localguard("scan")[1]) == [str(Path("kept", "a.env"))]


def test_what_git_ignores_is_scanned_when_it_is_named(localguard: RunLocally, repository: Path) -> None:
    assert names(localguard("scan", "local.env", "ignored")[1]) == ["local.env", str(Path("ignored", "b.env"))]


def test_links_out_of_the_directory_are_not_followed(localguard: RunLocally, work: Path, tmp_path: Path) -> None:
    outside, _ = planted(tmp_path, "outside.env")
    (work / "link.env").symlink_to(outside)
    assert localguard("scan")[0] == 0


def test_file_names_cannot_steer_the_terminal(localguard: RunLocally, work: Path) -> None:
    planted(work, "a\x1b[2Jb.env")
    out = localguard("scan")[1]
    assert "\x1b" not in out
    assert "a?[2Jb.env" in out


@pytest.mark.skipif(sys.platform == "win32", reason="no interval timer")
def test_a_text_that_takes_too_long_is_reported_and_the_next_is_scanned(
    localguard: RunLocally, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import re

    (work / "a.txt").write_text("a" * 40)
    planted(work, "b.env")
    genuine = Scanner.scan

    def slow(self: Scanner, text: bytes) -> list[Finding]:
        if text.startswith(b"aaaa"):
            re.fullmatch(rb"(a|a)*b", text)
        return genuine(self, text)

    monkeypatch.setattr(Scanner, "scan", slow)
    monkeypatch.setattr(scan_command, "_DEADLINE_SECONDS", 0.5)
    code, out, err = localguard("scan")
    assert code == 1
    assert names(out) == ["b.env"]
    assert "a.txt: left out (not scanned" in err


def test_the_action_is_what_policy_would_do(localguard: RunLocally, work: Path) -> None:
    planted(work)
    policy = work / "policy.toml"
    policy.write_text(
        'version = 1\n[[rules]]\nid = "all"\neffect = "allow"\nredact = { secret = "block" }\n', encoding="utf-8"
    )
    printed = json.loads(localguard("scan", "settings.env", "--format", "json", "--policy", str(policy))[1])
    assert [finding["action"] for finding in printed["findings"]] == ["block"]


def test_places_are_counted_once_over_the_text() -> None:
    text = "é\nåb\n\n😀c".encode()

    def finding(start: int, end: int) -> Finding:
        return Finding(start, end, "X", DataClass.SECRET, "x/x", True)

    first, second = locate(text, [finding(3, 6), finding(len(text) - 5, len(text))], ACTIONS)
    assert (first.start, first.end, first.line, first.column, first.end_line, first.end_column) == (2, 4, 2, 1, 2, 3)
    assert (second.start, second.end, second.line, second.column) == (6, 8, 4, 1)
