"""A workspace's fingerprint key is drawn once, outlasts restarts, and is gone for good when it is destroyed."""

import os
import stat
import threading
from pathlib import Path

import pytest

from localguard.config.fingerprint_keys import FingerprintKeyDamaged, FingerprintKeys
from localguard.config.home import Home
from localguard.config.keys import Keys, KeysDamaged

WRAPPING = bytes(range(32))


@pytest.fixture
def keys(tmp_path: Path) -> FingerprintKeys:
    return FingerprintKeys(tmp_path / "fingerprints", tmp_path / "lock")


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "fingerprints").iterdir())


def test_a_key_is_drawn_once_a_workspace_and_not_derived(keys: FingerprintKeys, tmp_path: Path) -> None:
    made = keys.key(WRAPPING, "payments")
    again = FingerprintKeys(tmp_path / "fingerprints", tmp_path / "lock")
    assert again.key(WRAPPING, "payments") == made
    assert len({made, keys.key(WRAPPING, "docs"), keys.key(WRAPPING, "")}) == 3
    elsewhere = FingerprintKeys(tmp_path / "elsewhere", tmp_path / "lock")
    assert elsewhere.key(WRAPPING, "payments") != made
    assert all(made not in file.read_bytes() and b"payments" not in file.name.encode() for file in files(tmp_path))
    if os.name == "posix":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files(tmp_path)} == {0o600}


def test_many_at_once_get_the_same_key(keys: FingerprintKeys) -> None:
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(keys.key(WRAPPING, "w"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1


def test_a_destroyed_key_is_overwritten_and_the_next_is_another(keys: FingerprintKeys, tmp_path: Path) -> None:
    first, other = keys.key(WRAPPING, "payments"), keys.key(WRAPPING, "docs")
    [payments] = [file for file in files(tmp_path) if file == keys._path(WRAPPING, "payments")]
    kept = payments.open("rb")  # as whoever reads the blocks of the deleted file
    sealed = kept.read()
    assert keys.destroy(WRAPPING, "payments") is True
    kept.seek(0)
    assert kept.read() != sealed
    kept.close()
    assert keys.destroy(WRAPPING, "payments") is False
    assert keys.key(WRAPPING, "payments") != first
    assert keys.key(WRAPPING, "docs") == other


def test_a_damaged_or_foreign_file_is_no_key_and_can_be_erased(keys: FingerprintKeys, tmp_path: Path) -> None:
    keys.key(WRAPPING, "payments")
    keys.key(WRAPPING, "docs")
    one, other = files(tmp_path)
    one.write_bytes(other.read_bytes())  # another workspace's key in this one's place
    other.write_bytes(b"short")
    for workspace in ("payments", "docs"):
        with pytest.raises(FingerprintKeyDamaged, match="audit erase"):
            keys.key(WRAPPING, workspace)
        assert keys.destroy(WRAPPING, workspace)
        assert keys.key(WRAPPING, workspace)


def test_placeholders_outlast_an_erasure_and_fingerprints_do_not(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    keys = Keys(home, env={"LOCALGUARD_KEYRING": "off"})
    placeholders, fingerprints = keys.workspace_key("w"), keys.fingerprint_key("w")
    assert keys.erase_fingerprints("w")
    assert keys.workspace_key("w") == placeholders
    assert keys.fingerprint_key("w") != fingerprints
    assert Keys(home, env={"LOCALGUARD_KEYRING": "off"}).fingerprint_key("w") == keys.fingerprint_key("w")
    next((home.state_dir / "fingerprints").iterdir()).write_bytes(b"")
    with pytest.raises(KeysDamaged):
        keys.fingerprint_key("w")
