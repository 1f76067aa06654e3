"""The net under the log (P10): what was found clean once is believed only while nothing new is known."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localguard.audit.rows import ExchangeRow
from localguard.audit.store import Store
from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner
from localguard.proxy.early_refusals import EarlyRefusals
from localguard.proxy.recorder import Recorder
from localguard.proxy.scan_pool import build_scanner
from localguard.proxy.scrub import Scrubber
from localguard.redact.vault import Vault

VALUE = expand("⟦{alnum:24}⟧", random.Random(7)).text.decode()
TOKEN = expand("⟦ghp_{alnum:36}⟧", random.Random(7)).text.decode()
RECORD = (b"endpoint", b"openai", b"branch", b"main")


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return build_scanner()


def scrubber(scanner: Scanner, *vaults: Vault) -> Scrubber:
    made = Scrubber()
    made.arm(scanner, lambda: vaults)
    return made


def test_a_value_learnt_after_its_text_was_found_clean_is_found(scanner: Scanner) -> None:
    vault = Vault(bytes(32))
    scrub = scrubber(scanner, vault)
    branch = f"fix-{VALUE}".encode()
    assert scrub.is_clean((*RECORD, branch))
    assert scrub.is_clean((*RECORD, branch))
    vault.add_known(VALUE, "PASSWORD", distinctive=True)
    assert not scrub.is_clean((*RECORD, branch))
    assert VALUE not in scrub(branch.decode())


def test_a_value_known_to_any_workspace_is_found(scanner: Scanner) -> None:
    vaults = [Vault(bytes(32)), Vault(bytes([1]) * 32)]
    vaults[1].add_known(VALUE, "PASSWORD", distinctive=True)
    assert not scrubber(scanner, *vaults).is_clean((*RECORD, VALUE.encode()))


def test_a_workspace_that_comes_later_counts_for_texts_found_clean_before(scanner: Scanner) -> None:
    first, second = Vault(bytes(32)), Vault(bytes([1]) * 32)
    second.add_known(VALUE, "PASSWORD", distinctive=True)
    held: list[Sequence[Vault]] = [(first,)]
    scrub = Scrubber()
    scrub.arm(scanner, lambda: held[0])
    assert scrub.is_clean((VALUE.encode(),))
    held[0] = (first, second)
    assert not scrub.is_clean((VALUE.encode(),))


def test_what_our_rules_find_is_not_clean_however_often_it_is_asked(scanner: Scanner) -> None:
    scrub = scrubber(scanner, Vault(bytes(32)))
    assert scrub.is_clean(RECORD)
    for _ in range(2):
        assert not scrub.is_clean((*RECORD, TOKEN.encode()))


def test_a_value_at_the_edge_of_a_text_stands_at_a_boundary(scanner: Scanner) -> None:
    vault = Vault(bytes(32))
    vault.add_known(VALUE, "PASSWORD", distinctive=True)
    scrub = scrubber(scanner, vault)
    for texts in ((VALUE, "a"), ("a", VALUE), ("a", VALUE, "b")):
        assert not scrub.is_clean([text.encode() for text in texts])


def test_what_is_remembered_is_bounded(scanner: Scanner) -> None:
    scrub = scrubber(scanner, Vault(bytes(32)))
    for number in range(9_000):
        assert scrub.is_clean((b"model-%d" % number,))
    assert len(scrub._swept.texts) < 5_000
    assert len(scrub._ruled) < 5_000


def test_a_fingerprint_of_the_guard_s_own_is_not_looked_at_and_others_like_it_are(scanner: Scanner) -> None:
    vault = Vault(bytes(32))
    own, other = (expand("⟦{hex:24}⟧", random.Random(seed)).text.decode() for seed in (1, 2))
    for value in (own, other):
        vault.add_known(value, "PASSWORD", distinctive=True)
    scrub = scrubber(scanner, vault)
    scrub.trust(own)
    assert scrub.is_clean((*RECORD, own.encode()))
    assert not scrub.is_clean((*RECORD, other.encode()))
    assert not scrub.is_clean((*RECORD, f"fix-{own}".encode()))


def test_what_is_shown_of_an_exchange_while_it_runs_is_as_the_log_has_it(scanner: Scanner, tmp_path: Path) -> None:
    told: list[Mapping[str, object]] = []
    control: Any = SimpleNamespace(publish=lambda event, data: told.append(data))
    store = Store.open(tmp_path / "audit.db", clock=lambda: datetime.now(UTC), scrub=scrubber(scanner))
    with store:
        recorder = Recorder(store, control, EarlyRefusals(store))
        row: ExchangeRow = {
            "exchange": "x1",
            "time": "",
            "state": "running",
            "branch": f"fix/{TOKEN}",
            "model": "gpt-5",
        }
        recorder._show(row)
    assert TOKEN not in f"{told}{list(recorder.recent)}"
    assert (told[0]["model"], told[0]["state"]) == ("gpt-5", "running")
    assert str(told[0]["branch"]).startswith("fix/")
