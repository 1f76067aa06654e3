"""The organisation's policy: only what a pinned key signed, never an older revision, never silently gone."""

import asyncio
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from localguard.config.home import Home, write_private
from localguard.config.organisation import KeyNotTrusted, Trust, TrustDamaged
from localguard.config.policy_files import PolicyInvalid, PolicyWatcher, load_layers
from localguard.config.signing import (
    KeyInvalid,
    PublicKey,
    SignatureMissing,
    SignatureWrong,
    check_signature,
    new_key,
    public_half,
    read_key,
    signed,
    signer_of,
)
from localguard.policy.decide import decide
from localguard.policy.model import Effect, EndpointClass, Layer, LayerName, Sensitivity, Work

NOW = "2026-11-22T12:00:00Z"
WORK = Work("w", Sensitivity.INTERNAL, None, "openai", EndpointClass.HOSTED, "gpt")


def policy(revision: int = 1, *, expires: str = "2099-01-01T00:00:00Z", effect: str = "deny", more: str = "") -> bytes:
    return (
        f'version = 1\n[organisation]\nname = "acme"\nrevision = {revision}\nexpires = {expires}\n'
        f'[[rules]]\nid = "r{revision}"\neffect = "{effect}"\n{more}'
    ).encode()


class Company:
    """A signing key, a home that trusts it, and the file that is rolled out."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.home = home
        self.public = new_key(directory / "signing.pem")
        self.key = read_key(directory / "signing.pem")
        self.trust = Trust(home)

    def roll_out(self, data: bytes) -> None:
        write_private(self.home.organisation_file, data)

    def layer(self) -> Layer:
        found = load_layers(self.home)
        assert found[0].name is LayerName.ORGANISATION
        return found[0]

    def refused(self) -> str:
        with pytest.raises(PolicyInvalid) as caught:
            load_layers(self.home)
        assert caught.value.file == str(self.home.organisation_file)
        return caught.value.message


@pytest.fixture
def company(home: Home, tmp_path: Path) -> Company:
    made = Company(home, tmp_path)
    made.trust.pin(made.public, name="acme", now=NOW)
    return made


def test_a_policy_that_a_pinned_key_signed_is_the_layer_above_the_users(company: Company) -> None:
    company.roll_out(signed(policy(7), company.key))
    layer = company.layer()
    assert (layer.organisation, layer.revision, layer.rules[0].line) == ("acme", 7, 6)
    assert [one.name for one in load_layers(company.home)] == [LayerName.ORGANISATION, LayerName.USER]
    assert company.trust.accepted()["acme"].revision == 7
    assert stat.S_IMODE((company.home.state_dir / "trust.json").stat().st_mode) == 0o600


def test_without_an_organisation_there_is_the_users_layer_only(home: Home) -> None:
    assert [layer.name for layer in load_layers(home)] == [LayerName.USER]


def test_a_file_that_nobody_trusted_signed_is_refused(company: Company, tmp_path: Path) -> None:
    company.roll_out(policy())
    assert "not signed" in company.refused()
    stranger = tmp_path / "stranger.pem"
    new_key(stranger)
    company.roll_out(signed(policy(), read_key(stranger)))
    assert "No trusted key" in company.refused()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"deny", b"allow"),
        lambda data: b"# x\n" + data,
        lambda data: data.replace(b"revision = 1", b"revision = 9"),
        lambda data: data.replace(b"ed25519 ", b"ed25519 0", 1),
        lambda data: data + b'[[rules]]\nid = "appended"\neffect = "allow"\n',
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data[:-20],
        lambda data: data[:-6] + b"AAA==\n",
        lambda data: data + data,
    ],
)
def test_any_change_after_signing_is_refused(company: Company, change: Callable[[bytes], bytes]) -> None:
    data = signed(policy(), company.key)
    company.roll_out(change(data))
    assert company.refused()


def test_an_older_revision_and_another_text_of_the_same_are_refused(company: Company) -> None:
    first, second = signed(policy(1), company.key), signed(policy(2), company.key)
    company.roll_out(second)
    company.layer()
    company.roll_out(first)
    assert "revision 1, and 2 was in force" in company.refused()
    company.roll_out(signed(policy(2, effect="allow"), company.key))
    assert "a new revision" in company.refused()
    company.roll_out(second)
    assert company.layer().revision == 2


def test_the_same_text_signed_anew_is_the_same_revision(company: Company, tmp_path: Path) -> None:
    company.roll_out(signed(policy(2), company.key))
    company.layer()
    other = new_key(tmp_path / "other.pem")
    company.trust.pin(other, name="acme 2", now=NOW)
    company.roll_out(signed(company.home.organisation_file.read_bytes(), read_key(tmp_path / "other.pem")))
    assert company.layer().revision == 2


def test_a_policy_that_was_in_force_cannot_simply_vanish(company: Company) -> None:
    company.roll_out(signed(policy(), company.key))
    company.layer()
    company.home.organisation_file.unlink()
    assert "not there any more" in company.refused()
    company.trust.unpin(company.public.id)
    assert [layer.name for layer in load_layers(company.home)] == [LayerName.USER]


def test_an_expired_policy_denies_everything_and_a_running_guard_notices(company: Company) -> None:
    company.roll_out(signed(policy(expires="2026-06-01T00:00:00+02:00", effect="allow"), company.key))
    layer = company.layer()
    assert layer.expires is not None
    before = replace(WORK, time=layer.expires - timedelta(minutes=1))
    assert decide([layer], before).effect is Effect.ALLOW
    assert decide([layer], replace(WORK, time=layer.expires)).effect is Effect.DENY


def test_a_damaged_list_of_keys_trusts_nobody(company: Company) -> None:
    company.roll_out(signed(policy(), company.key))
    (company.home.state_dir / "trust.json").write_text("{")
    assert "cannot be read" in company.refused()
    with pytest.raises(TrustDamaged):
        company.trust.pinned()


def test_keys_are_pinned_listed_and_unpinned_by_id(company: Company) -> None:
    [pinned] = company.trust.pinned()
    assert (pinned.id, pinned.name, pinned.public) == (company.public.id, "acme", str(company.public))
    with pytest.raises(KeyNotTrusted):
        company.trust.unpin("0" * 16)
    company.trust.unpin(pinned.id)
    assert company.trust.pinned() == ()


def test_signing_twice_leaves_one_signature_and_a_key_file_is_its_owners(company: Company, tmp_path: Path) -> None:
    once = signed(policy(), company.key)
    assert signed(once, company.key) == once
    assert signer_of(once) == company.public.id == public_half(company.key).id
    check_signature(once, company.public)
    assert stat.S_IMODE((tmp_path / "signing.pem").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        new_key(tmp_path / "signing.pem")


def test_what_is_no_key_is_told_without_quoting_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("private words")
    for broken in (file, tmp_path / "nowhere"):
        with pytest.raises(KeyInvalid) as caught:
            read_key(broken)
        assert "private words" not in str(caught.value)
    for text in ("", "ed25519:short", "rsa:" + "A" * 43 + "="):
        with pytest.raises(KeyInvalid):
            PublicKey.of_text(text)
    with pytest.raises(SignatureMissing):
        signer_of(b"version = 1\n")
    with pytest.raises(SignatureWrong):
        check_signature(b"version = 1\n", PublicKey(b"\0" * 32))


@pytest.mark.parametrize("kind", ["directory", "loop", "pipe"])
def test_what_is_no_file_in_its_place_is_refused(company: Company, kind: str) -> None:
    file = company.home.organisation_file
    if kind == "directory":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file)
    else:
        os.mkfifo(file)
    assert company.refused()


async def test_a_running_guard_takes_a_new_revision_and_keeps_the_last_good_one(company: Company) -> None:
    company.roll_out(signed(policy(1), company.key))
    seen: list[tuple[Layer, ...]] = []
    watcher = PolicyWatcher(company.home, seen.append)
    watcher.load()
    await watcher.start()
    await asyncio.sleep(0.3)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - any condition, not one event
                await asyncio.sleep(0.02)

    try:
        company.roll_out(signed(policy(2), company.key))
        await until(lambda: watcher.layers[0].revision == 2)
        company.roll_out(signed(policy(1), company.key))
        await until(lambda: watcher.error is not None)
        assert watcher.layers[0].revision == 2
        company.home.organisation_file.unlink()
        await until(lambda: watcher.error is not None and "not there" in watcher.error.message)
        assert watcher.layers[0].revision == 2
        company.roll_out(signed(policy(3), company.key))
        await until(lambda: watcher.layers[0].revision == 3)
        assert watcher.error is None
    finally:
        await watcher.close()


async def test_a_key_that_is_pinned_or_unpinned_counts_in_a_running_guard(company: Company) -> None:
    company.trust.unpin(company.public.id)
    company.roll_out(signed(policy(4), company.key))
    watcher = PolicyWatcher(company.home, lambda layers: None)
    watcher.load()
    assert watcher.error is not None
    await watcher.start()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():  # noqa: ASYNC110 - any condition, not one event
                await asyncio.sleep(0.05)

    try:
        company.trust.pin(company.public, name="acme", now=NOW)
        await until(lambda: watcher.layers[0].revision == 4)
        assert watcher.error is None
        company.home.organisation_file.unlink()
        company.trust.unpin(company.public.id)
        await until(lambda: [layer.name for layer in watcher.layers] == [LayerName.USER])
    finally:
        await watcher.close()


def test_a_refused_policy_at_the_start_refuses_everything(company: Company) -> None:
    company.roll_out(policy())
    watcher = PolicyWatcher(company.home, lambda layers: None)
    watcher.load()
    decision = decide(watcher.layers, WORK)
    assert decision.effect is Effect.DENY
    assert "organisation policy file cannot be used" in decision.reason
