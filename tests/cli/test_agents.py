"""`agents connect` changes only what it says, keeps a copy, and `agents disconnect` undoes it to the last byte, whatever came between."""

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from localguard.audit.store import Store
from localguard.cli.agent_catalogue import AGENTS
from localguard.cli.agent_snippets import SNIPPETS
from localguard.config.home import Home
from localguard.config.settings.files import back_up
from tests.audit.samples import INTENT, SetClock
from tests.cli.conftest import RunLocally

GUARD = "http://127.0.0.1:4141"
CODEX = '# mine\nmodel = "gpt-5"   # best\n\n[history]\npersistence = "none"\n'
CLAUDE = '{\n    "env": {"ANTHROPIC_API_KEY": "k"},\n    "model": "opus"\n}\n'


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home directory in which nobody has worked yet."""
    place = tmp_path / "user"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("SHELL", "/bin/sh")
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "CLINE_DIR", "COPILOT_PROVIDER_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return place


def put(file: Path, text: str, mode: int = 0o644) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    file.chmod(mode)
    return file


def tree(place: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(place)): one.read_bytes() if one.is_file() else b"/" for one in sorted(place.rglob("*"))
    }


SETTINGS: dict[str, tuple[str, str, str]] = {
    "claude-code": (".claude/settings.json", CLAUDE, f'"ANTHROPIC_BASE_URL": "{GUARD}/anthropic"'),
    "codex": (".codex/config.toml", CODEX, f'openai_base_url = "{GUARD}/openai/v1"'),
    "opencode": (".config/opencode/opencode.json", '{ // c\n  "theme": "x",\n}\n', f'"baseURL": "{GUARD}/anthropic/v1"'),
    "gemini-cli": (".gemini/.env", "GEMINI_API_KEY=k\n", f"GOOGLE_GEMINI_BASE_URL={GUARD}/gemini"),
    "qwen-code": (".qwen/.env", "OPENAI_API_KEY=k", f"OPENAI_BASE_URL={GUARD}/openai/v1"),
    "continue": (
        ".continue/config.yaml",
        "models:\n  - name: m\n    provider: ollama # here\n    model: qwen\n",
        f"    apiBase: {GUARD}/ollama\n",
    ),
    "cline": (
        ".cline/data/settings/providers.json",
        '{"providers": {"anthropic": {"settings": {"apiKey": "k"}}}}',
        f'"baseUrl": "{GUARD}/anthropic/v1"',
    ),
    "aider": (".aider.conf.yml", "# c\nmodel: gpt-5\n", f"set-env:\n  - ANTHROPIC_API_BASE={GUARD}/anthropic\n"),
    "llm": (".profile", "PATH=/usr/bin\nexport PATH\n", f"export OPENAI_BASE_URL={GUARD}/openai/v1\n"),
    "copilot": (
        ".profile",
        "export COPILOT_PROVIDER_BASE_URL=https://api.openai.com/v1\n",
        f"export COPILOT_PROVIDER_BASE_URL={GUARD}/openai/v1\n",
    ),
}  # fmt: skip


def test_every_agent_of_the_catalogue_is_tried_here() -> None:
    assert set(SETTINGS) == {agent.name for agent in AGENTS}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_agent_is_connected_and_disconnected_to_the_last_byte(name: str, user: Path, localguard: RunLocally) -> None:
    file, before, expected = SETTINGS[name]
    put(user / file, before, 0o640)
    untouched = tree(user)
    code, out, err = localguard("agents", "connect", name, "--yes")
    assert code == 0, err
    after = (user / file).read_text("utf-8")
    assert expected in after
    assert "+ " in out
    assert stat.S_IMODE((user / file).stat().st_mode) == 0o640
    copy = user / f"{file}.before-localguard"
    assert copy.read_bytes() == before.encode()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert "nothing to change" in localguard("agents", "connect", name, "--yes")[1]
    assert localguard("agents", "disconnect", name, "--yes")[0] == 0
    assert tree(user) == untouched
    assert stat.S_IMODE((user / file).stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["claude-code", "codex", "opencode", "gemini-cli", "qwen-code", "aider", "llm"])
def test_files_and_directories_that_were_made_are_gone_afterwards(
    name: str, user: Path, localguard: RunLocally
) -> None:
    assert localguard("agents", "connect", name, "--yes")[0] == 0
    assert GUARD in b"".join(tree(user).values()).decode()
    assert localguard("agents", "disconnect", name, "--yes")[0] == 0
    assert tree(user) == {}


EDITS: dict[str, Callable[[str], str]] = {
    "claude-code": lambda text: text.replace('"opus"', '"sonnet",\n    "added": {"x": 1.0}'),
    "codex": lambda text: text.replace("gpt-5", "gpt-6") + "\n[new]\nk = 1\n",
    "opencode": lambda text: text.replace('"x"', '"dark"'),
    "gemini-cli": lambda text: "# new\n" + text,
    "continue": lambda text: text + "  - name: n\n    provider: openai\n    model: gpt-5\n",
    "aider": lambda text: text.replace("gpt-5", "gpt-6"),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_somebody_edited_meanwhile_stays_and_only_ours_goes(name: str, user: Path, localguard: RunLocally) -> None:
    file, before, _ = SETTINGS[name]
    put(user / file, before)
    localguard("agents", "connect", name, "--yes")
    edit = EDITS[name]
    put(user / file, edit((user / file).read_text("utf-8")))
    code, _, err = localguard("agents", "disconnect", name, "--yes")
    assert code == 0, err
    assert (user / file).read_text("utf-8") == edit(before)
    assert not (user / f"{file}.before-localguard").exists()


def test_an_address_that_somebody_changed_meanwhile_is_theirs(user: Path, localguard: RunLocally) -> None:
    file = put(user / ".codex/config.toml", CODEX)
    localguard("agents", "connect", "codex", "--yes")
    put(file, file.read_text("utf-8").replace(GUARD, "http://127.0.0.1:9"))
    theirs = file.read_bytes()
    localguard("agents", "disconnect", "codex", "--yes")
    assert file.read_bytes() == theirs


def test_an_earlier_address_comes_back_also_where_the_file_was_edited(user: Path, localguard: RunLocally) -> None:
    before = CODEX.replace("\n\n", '\nopenai_base_url = "https://api.openai.com/v1" # direct\n\n', 1)
    file = put(user / ".codex/config.toml", before)
    localguard("agents", "connect", "codex", "--yes")
    put(file, file.read_text("utf-8") + "# more\n")
    localguard("agents", "disconnect", "codex", "--yes")
    assert file.read_text("utf-8") == before + "# more\n"


def test_another_port_replaces_the_address_and_the_first_copy_counts(user: Path, localguard: RunLocally) -> None:
    file = put(user / ".codex/config.toml", CODEX)
    localguard("agents", "connect", "codex", "--yes")
    localguard("agents", "connect", "codex", "--yes", "--port", "4242")
    assert "127.0.0.1:4242" in file.read_text("utf-8")
    localguard("agents", "disconnect", "codex", "--yes")
    assert file.read_text("utf-8") == CODEX


def test_nothing_is_pointed_at_who_took_the_port_of_a_guard_that_was_killed(
    user: Path, home: Home, localguard: RunLocally
) -> None:
    file = put(user / ".codex/config.toml", CODEX)
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        home.create()
        home.port_file.write_text(str(squatter.getsockname()[1]))
        home.control_token.write_text("t" * 43)
        code, _, err = localguard("agents", "connect", "codex", "--yes")
    assert code == 3
    assert "something else listens there" in err
    assert file.read_text("utf-8") == CODEX


def test_a_copy_that_another_home_keeps_is_not_written_over(user: Path) -> None:
    file = put(user / ".codex/config.toml", CODEX)
    first, second = back_up(file, b"as it was"), back_up(file, b"as another home's guard left it")
    assert (first.read_bytes(), second.read_bytes()) == (b"as it was", b"as another home's guard left it")


def test_what_was_forgotten_is_undone_by_what_the_address_stands_for(
    user: Path, home: Home, localguard: RunLocally
) -> None:
    put(user / ".codex/config.toml", CODEX)
    models = put(
        user / ".continue/config.yaml",
        "models:\n  - {}\n  - name: m\n    provider: vllm\n    apiBase: http://127.0.0.1:1234/v1\n",
    )
    assert localguard("agents", "connect", "codex", "continue", "--yes")[0] == 0
    assert f"{GUARD}/lmstudio/v1" in models.read_text("utf-8")
    (home.state_dir / "agents.json").unlink()
    assert localguard("agents", "disconnect", "codex", "continue", "--yes")[0] == 0
    assert (user / ".codex/config.toml").read_text("utf-8") == CODEX
    assert "apiBase: http://127.0.0.1:1234/v1" in models.read_text("utf-8")


def test_a_chatgpt_login_goes_to_the_endpoint_of_its_own(user: Path, localguard: RunLocally) -> None:
    file = put(user / ".codex/config.toml", "")
    put(
        user / ".codex/auth.json",
        json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {"id_token": "x"}}),
    )
    localguard("agents", "connect", "codex", "--yes")
    assert file.read_text("utf-8") == f'openai_base_url = "{GUARD}/codex"\n'
    put(user / ".codex/auth.json", json.dumps({"OPENAI_API_KEY": "k", "tokens": None}))
    localguard("agents", "connect", "codex", "--yes")
    assert f"{GUARD}/openai/v1" in file.read_text("utf-8")


def test_codex_with_a_provider_of_its_own_is_redirected_there(user: Path, localguard: RunLocally) -> None:
    before = 'model_provider = "x"\n[model_providers.x]\nname = "X"\nbase_url = "https://api.openai.com/v1/deep"\n'
    file = put(user / ".codex/config.toml", before)
    localguard("agents", "connect", "codex", "--yes")
    assert f'base_url = "{GUARD}/openai/v1/deep"' in file.read_text("utf-8")


def test_an_address_that_no_endpoint_stands_for_is_left_alone_and_said(user: Path, localguard: RunLocally) -> None:
    before = CLAUDE.replace('"k"', '"k", "ANTHROPIC_BASE_URL": "https://dev:secret@gateway.example.com/anthropic"')
    file = put(user / ".claude/settings.json", before)
    code, out, err = localguard("agents", "connect", "claude-code", "--yes")
    assert (code, file.read_text("utf-8")) == (0, before)
    assert "gateway.example.com, which is no configured endpoint" in err
    assert "secret" not in out + err


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("claude-code", "ANTHROPIC_BASE_URL"),
        ("gemini-cli", "GOOGLE_GEMINI_BASE_URL"),
        ("qwen-code", "OPENAI_BASE_URL"),
        ("llm", "OPENAI_BASE_URL"),
        ("copilot", "COPILOT_PROVIDER_BASE_URL"),
    ],
)
def test_the_key_of_a_provider_that_the_environment_names_goes_to_no_other(
    name: str, variable: str, user: Path, localguard: RunLocally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "https://gateway.example.com/v1")
    code, _, err = localguard("agents", "connect", name, "--yes")
    assert code == 0
    assert "gateway.example.com, which is no configured endpoint" in err
    assert tree(user) == {}


def test_an_address_of_the_environment_is_redirected_where_an_endpoint_stands_for_it(
    user: Path, localguard: RunLocally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", "https://api.anthropic.com")
    localguard("agents", "connect", "copilot", "--yes")
    assert (user / ".profile").read_text("utf-8") == f"export COPILOT_PROVIDER_BASE_URL={GUARD}/anthropic\n"


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshenv"), ("sh", ".profile"), ("fish", None)]
)
def test_variables_stand_in_the_start_file_of_the_users_shell(
    shell: str, file: str | None, user: Path, localguard: RunLocally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    monkeypatch.delenv("ZDOTDIR", raising=False)
    _, _, err = localguard("agents", "connect", "llm", "--yes")
    assert sorted(tree(user)) == ([file] if file else [])
    assert ("sh, bash and zsh only" in err) == (file is None)


def test_qwen_with_a_provider_of_its_own_keeps_it(user: Path, localguard: RunLocally) -> None:
    put(user / ".qwen/settings.json", '{"security": {"auth": {"baseUrl": "https://dashscope.example.com/v1"}}}')
    before = tree(user)
    assert "no configured endpoint" in localguard("agents", "connect", "qwen-code", "--yes")[2]
    assert tree(user) == before


def test_a_dry_run_shows_the_difference_and_changes_nothing(user: Path, home: Home, localguard: RunLocally) -> None:
    put(user / ".codex/config.toml", CODEX.replace("\n\n", '\nopenai_base_url = "https://api.openai.com/v1"\n\n', 1))
    before = tree(user)
    code, out, _ = localguard("agents", "connect", "codex", "--dry-run")
    assert code == 0
    assert '- openai_base_url = "https://api.openai.com/v1"' in out
    assert f'+ openai_base_url = "{GUARD}/openai/v1"' in out
    assert "persistence" not in out  # nothing else of the file
    assert tree(user) == before
    assert not (home.state_dir / "agents.json").exists()


def test_a_symbolic_link_stays_and_its_target_changes(user: Path, localguard: RunLocally) -> None:
    target = put(user / "dotfiles/codex.toml", CODEX)
    link = user / ".codex/config.toml"
    link.parent.mkdir()
    link.symlink_to(target)
    localguard("agents", "connect", "codex", "--yes")
    assert link.is_symlink()
    assert GUARD in target.read_text("utf-8")
    localguard("agents", "disconnect", "codex", "--yes")
    assert link.is_symlink()
    assert target.read_text("utf-8") == CODEX


def broken(file: Path) -> None:
    put(file, "model = \n")


def read_only(file: Path) -> None:
    put(file, CODEX, 0o444)


def leads_nowhere(file: Path) -> None:
    file.parent.mkdir()
    file.symlink_to(file.parent / "gone" / "config.toml")


def a_directory(file: Path) -> None:
    file.mkdir(parents=True)


def not_utf8(file: Path) -> None:
    put(file, "")
    file.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (broken, "it is no TOML (at line 1"),
        (read_only, "is read-only"),
        (leads_nowhere, "leads nowhere"),
        (a_directory, "is no file"),
        (not_utf8, "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_changed_is_left_and_the_others_have_their_turn(
    spoil: Callable[[Path], None], said: str, user: Path, localguard: RunLocally
) -> None:
    file = user / ".codex/config.toml"
    spoil(file)
    before = tree(user)
    code, _, err = localguard("agents", "connect", "codex", "claude-code", "--yes")
    assert code == 1
    assert said in err
    after = tree(user)
    assert {name: after[name] for name in before} == before
    assert GUARD in (user / ".claude/settings.json").read_text("utf-8")


def test_settings_of_another_shape_are_left(user: Path, localguard: RunLocally) -> None:
    file = put(user / ".claude/settings.json", '{"env": ["x"]}')
    code, _, err = localguard("agents", "connect", "claude-code", "--yes")
    assert code == 1
    assert "Nothing was changed" in err
    assert file.read_text("utf-8") == '{"env": ["x"]}'


def test_no_is_no(user: Path, localguard: RunLocally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_: False)
    file = put(user / ".codex/config.toml", CODEX)
    assert localguard("agents", "connect", "codex")[0] == 1
    assert file.read_text("utf-8") == CODEX


def test_nothing_of_the_file_but_addresses_is_remembered(user: Path, home: Home, localguard: RunLocally) -> None:
    put(
        user / ".profile",
        "export COPILOT_PROVIDER_BASE_URL=https://dev:pass-word@api.openai.com/v1\nexport KEY=value-of-key\n",
    )
    localguard("agents", "connect", "copilot", "--yes")
    stored = (home.state_dir / "agents.json").read_text("utf-8")
    assert "api.openai.com" not in stored
    assert "value-of-key" not in stored
    put(user / ".profile", (user / ".profile").read_text("utf-8") + "# more\n")
    localguard("agents", "disconnect", "copilot", "--yes")
    assert "https://dev:pass-word@api.openai.com/v1" in (user / ".profile").read_text("utf-8")


def test_the_list_tells_how_agents_are_pointed_and_what_the_log_saw(
    user: Path, home: Home, localguard: RunLocally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    for name in ("codex", "claude"):
        put(programs / name, "#!/bin/sh\n", 0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin:/bin")
    home.create()
    with Store.open(home.audit_db, clock=SetClock()) as store:
        store.append("intent", exchange="x1", session="s", metadata=INTENT)
    put(user / ".gemini/.env", "GOOGLE_GEMINI_BASE_URL=https://elsewhere.example\n")
    put(user / ".claude/settings.json", "{")
    localguard("agents", "connect", "codex", "--yes")
    found = {one["name"]: one for one in json.loads(localguard("agents", "list", "--json")[1])}
    assert {name: one["pointed"] for name, one in found.items()} == dict.fromkeys(found, "default") | {
        "codex": "guard",
        "gemini-cli": "elsewhere",
        "claude-code": "broken",
    }
    assert found["codex"]["program"] == str(programs / "codex")
    assert (found["codex"]["last"][:10], found["codex"]["exchanges"]) == ("2026-01-31", 1)
    assert found["opencode"]["program"] is None
    _, out, _ = localguard("agents", "list")
    assert "localguard agents connect claude-code" in out
    assert "there should be a name in quotes" in out or "line 1" in out


def test_all_means_all_that_are_installed(
    user: Path, localguard: RunLocally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "bin/codex", "#!/bin/sh\n", 0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    localguard("agents", "connect", "--all", "--yes")
    assert sorted(tree(user)) == [".codex", ".codex/config.toml"]


@pytest.mark.parametrize("arguments", [("connect",), ("connect", "codecs"), ("snippet", "emacs")])
def test_a_name_is_needed_and_a_near_one_is_proposed(arguments: tuple[str, ...], localguard: RunLocally) -> None:
    code, _, err = localguard("agents", *arguments)
    assert code == 2
    assert "agents" in err


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_names_the_guard(name: str, localguard: RunLocally) -> None:
    code, out, _ = localguard("agents", "snippet", name, "--port", "4242")
    assert code == 0
    assert "http://127.0.0.1:4242/openai/v1" in out
    assert "{guard}" not in out
