import json
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import keyring
import keyring.backend
import pytest
from keyring.backends.fail import Keyring as FailKeyring
from keyring.backends.null import Keyring as NullKeyring

from localguard.config.home import Home
from localguard.config.keys import KeychainUnavailable, Keys, KeysDamaged, KeyUnknown

NOW = "2026-11-22T12:00:00Z"
OFF = {"LOCALGUARD_KEYRING": "off"}
VALUE = "sk" + "-proj-" + "x" * 40


class Desktop(keyring.backend.KeyringBackend):
    """Stands for a desktop's keychain, which cannot run here."""

    priority = 1

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.before: Callable[[], None] = lambda: None

    def get_password(self, service: str, username: str) -> str | None:
        self.before()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.before()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Desktop:
    monkeypatch.setattr(Desktop, "__module__", "keyring.backends.SecretService")
    found = Desktop()
    monkeypatch.setattr(keyring, "get_keyring", lambda: found)
    return found


def test_keys_of_a_workspace_are_the_same_after_a_restart_and_differ_from_all_others(home: Home) -> None:
    one, again = Keys(home, env=OFF), Keys(home, env=OFF)
    key = one.workspace_key("payments")
    assert len(key) == 32
    assert again.workspace_key("payments") == key
    others = {
        one.workspace_key("other"),
        one.workspace_key(""),
        one.fingerprint_key("payments"),
        one.derived_key("payments"),
    }
    assert len(others | {key}) == 5
    assert one.replaced is None


def test_without_a_keychain_everything_stands_in_files_for_the_owner_only(home: Home) -> None:
    keys = Keys(home, env=OFF)
    keys.set("openai", VALUE, now=NOW)
    assert keys.backend == "file"
    for file in home.state_dir.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert VALUE.encode() not in file.read_bytes()
    assert Keys(home, env=OFF).get("openai") == VALUE


def test_endpoint_keys_are_set_listed_replaced_and_removed(home: Home) -> None:
    keys = Keys(home, env=OFF)
    assert keys.list() == ()
    keys.set("b", "one", now=NOW)
    keys.set("a", "long " * 2000, now=NOW)
    keys.set("b", "two", now="2026-11-23T12:00:00Z")
    assert [(key.name, key.created[:10]) for key in keys.list()] == [("a", "2026-11-22"), ("b", "2026-11-23")]
    assert (keys.get("b"), keys.get("a")) == ("two", "long " * 2000)
    keys.remove("b")
    for call in (keys.get, keys.remove):
        with pytest.raises(KeyUnknown, match="named b"):
            call("b")


@pytest.mark.parametrize("value", ["", "two\nlines", "nul\0", "x" * 70_000])
def test_a_key_is_one_line_of_bounded_length(home: Home, value: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        Keys(home, env=OFF).set("a", value, now=NOW)


def test_the_keychain_holds_the_root_and_nothing_else_does(home: Home, desktop: Desktop) -> None:
    keys = Keys(home, env={})
    keys.set("openai", VALUE, now=NOW)
    assert keys.backend == "keychain"
    [root] = desktop.entries.values()
    assert not (home.state_dir / "master.key").exists()
    assert root.encode() not in (home.state_dir / "keys.json").read_bytes()
    assert Keys(home, env={}).get("openai") == VALUE


def test_two_homes_of_one_user_keep_their_own_roots(home: Home, desktop: Desktop, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.create()
    assert Keys(home, env={}).workspace_key("x") != Keys(other, env={}).workspace_key("x")
    assert len(desktop.entries) == 2


def lose_the_entry(home: Home, desktop: Desktop) -> None:
    desktop.entries.clear()


def damage_the_entry(home: Home, desktop: Desktop) -> None:
    for name in desktop.entries:
        desktop.entries[name] = "not base64!"


def swap_the_entry(home: Home, desktop: Desktop) -> None:
    for name in desktop.entries:
        desktop.entries[name] = "A" * 43 + "="


@pytest.mark.parametrize("lose", [lose_the_entry, damage_the_entry, swap_the_entry])
def test_a_lost_root_is_replaced_and_reported_and_work_continues(
    home: Home, desktop: Desktop, lose: Callable[[Home, Desktop], None]
) -> None:
    keys = Keys(home, env={})
    keys.set("openai", VALUE, now=NOW)
    before = keys.workspace_key("x")
    lose(home, desktop)
    keys = Keys(home, env={})
    assert keys.workspace_key("x") != before
    assert keys.replaced is not None
    assert keys.lost == ("openai",)
    assert Keys(home, env={}).replaced is None


def test_a_lost_file_is_replaced_and_reported(home: Home) -> None:
    Keys(home, env=OFF).workspace_key("x")
    (home.state_dir / "master.key").unlink()
    keys = Keys(home, env=OFF)
    keys.workspace_key("x")
    assert keys.replaced is not None
    assert "master.key" in keys.replaced


@pytest.mark.parametrize("backend", [NullKeyring, FailKeyring])
def test_a_backend_that_keeps_nothing_is_refused_and_the_file_is_used(
    home: Home, monkeypatch: pytest.MonkeyPatch, backend: type
) -> None:
    monkeypatch.setattr(keyring, "get_keyring", backend)
    assert Keys(home, env={}).backend == "file"


def test_a_plaintext_backend_is_refused(home: Home, desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desktop, "__module__", "keyrings.alt.file")
    assert Keys(home, env={}).backend == "file"
    assert desktop.entries == {}


def test_a_keychain_that_hangs_or_refuses_is_told_and_replaces_nothing(
    home: Home, desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Keys(home, env={}).workspace_key("x")
    release = threading.Event()
    desktop.before = lambda: (release.wait(5), None)[1]
    start = time.monotonic()
    with pytest.raises(KeychainUnavailable, match="does not answer"):
        Keys(home, env={}, patience=0.1).workspace_key("x")
    assert time.monotonic() - start < 2
    release.set()

    def refuse() -> None:
        raise RuntimeError("locked, with a private detail")

    desktop.before = refuse
    with pytest.raises(KeychainUnavailable) as caught:
        Keys(home, env={}).workspace_key("x")
    assert "private detail" not in str(caught.value)
    monkeypatch.setattr(keyring, "get_keyring", FailKeyring)
    with pytest.raises(KeychainUnavailable, match="not there"):
        Keys(home, env={}).workspace_key("x")
    desktop.before = lambda: None
    monkeypatch.setattr(keyring, "get_keyring", lambda: desktop)
    assert Keys(home, env={}).workspace_key("x") == before


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"version": 2}'])
def test_a_damaged_document_is_told_and_not_overwritten(home: Home, content: bytes) -> None:
    Keys(home, env=OFF).set("a", VALUE, now=NOW)
    (home.state_dir / "keys.json").write_bytes(content)
    keys = Keys(home, env=OFF)
    for call in (keys.list, lambda: keys.workspace_key("x"), lambda: keys.set("b", "c", now=NOW)):
        with pytest.raises(KeysDamaged, match="damaged"):
            call()
    assert (home.state_dir / "keys.json").read_bytes() == content


def test_an_entry_cannot_be_moved_to_another_name(home: Home) -> None:
    keys = Keys(home, env=OFF)
    keys.set("cheap", VALUE, now=NOW)
    file = home.state_dir / "keys.json"
    document = json.loads(file.read_bytes())
    document["entries"]["dear"] = document["entries"]["cheap"]
    file.write_text(json.dumps(document))
    with pytest.raises(KeysDamaged, match="dear"):
        keys.get("dear")


def test_the_library_for_keychains_loads_only_when_a_key_is_needed() -> None:
    import subprocess

    code = (
        "import sys, localguard.config.keys, localguard.config.policy_files, localguard.config.workspaces,"
        " localguard.config.agents, localguard.config.endpoints, localguard.policy.decide\n"
        "print(sorted({'keyring', 'pydantic', 'watchfiles', 'tomlkit', 'psutil', 'platformdirs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
