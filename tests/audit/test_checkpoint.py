"""A checkpoint is a C2SP signed note: what was signed is read back, and nothing else passes for it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    DeviceKey,
    cosign,
    public_key,
    read_checkpoint,
    verify_checkpoint,
)

KEY, OTHER = DeviceKey(bytes(range(32))), DeviceKey(bytes(32))
CHECKPOINT = Checkpoint(KEY.public.name, 1234, bytes(range(32)), "2026-01-31T08:15:00.000000Z")
NOTE = KEY.sign(CHECKPOINT)


@given(st.integers(0, 2**53), st.binary(min_size=32, max_size=32))
def test_what_was_signed_is_read_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(KEY.public.name, size, root, CHECKPOINT.time)
    assert verify_checkpoint(KEY.sign(checkpoint), KEY.public) == checkpoint


def test_the_note_has_the_lines_of_a_checkpoint() -> None:
    lines = NOTE.decode().split("\n")
    assert lines[:5] == [
        KEY.public.name,
        "1234",
        base64.b64encode(bytes(range(32))).decode(),
        "time 2026-01-31T08:15:00.000000Z",
        "",
    ]
    assert lines[5].startswith(f"— {KEY.public.name} ")
    assert lines[6:] == [""]


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(NOTE) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != NOTE[place]))
    forged = NOTE[:place] + bytes([byte]) + NOTE[place + 1 :]
    with pytest.raises(CheckpointInvalid):
        verify_checkpoint(forged, KEY.public)


def test_another_devices_checkpoint_or_signature_does_not_pass() -> None:
    with pytest.raises(CheckpointInvalid, match="another device"):
        verify_checkpoint(NOTE, OTHER.public)
    with pytest.raises(CheckpointInvalid, match="not signed"):
        verify_checkpoint(OTHER.sign(CHECKPOINT), KEY.public)


def test_a_second_signature_leaves_the_first_valid() -> None:
    both = cosign(NOTE, OTHER)
    assert both.startswith(NOTE)
    assert verify_checkpoint(both, KEY.public) == CHECKPOINT


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        NOTE.replace(b"1234", b"01234"),
        NOTE.replace(b"1234", b"-1"),
        NOTE.replace(b"1234", "١".encode()),
        NOTE.replace(b"time ", b"clock "),
        NOTE[:-1],
        NOTE + b"\n\n",
        NOTE * 1000,
        b"\xff" + NOTE,
        NOTE.replace("—".encode(), b"-"),
    ],
)
def test_what_is_no_checkpoint_is_an_error(note: bytes) -> None:
    with pytest.raises(CheckpointInvalid):
        verify_checkpoint(note, KEY.public)


def test_a_checkpoint_can_be_read_by_who_has_no_key() -> None:
    assert read_checkpoint(NOTE) == CHECKPOINT


def test_a_verifier_key_is_read_back_and_no_other_text_is() -> None:
    encoded = KEY.public.encoded()
    assert public_key(encoded + "\n") == KEY.public
    for wrong in ("", "a+b+c", encoded.replace("localguard/", "other/"), encoded[:-4], encoded + "AAAA"):
        with pytest.raises(CheckpointInvalid):
            public_key(wrong)


def test_other_signatures_are_kept_apart_by_their_context() -> None:
    signature = KEY.sign_bytes(b"batch", b"message")
    assert KEY.public.verify_bytes(b"batch", b"message", signature)
    assert not KEY.public.verify_bytes(b"request", b"message", signature)
    assert not KEY.public.verify_bytes(b"batch", b"messagE", signature)
    assert not OTHER.public.verify_bytes(b"batch", b"message", signature)
    assert not KEY.public.verify_bytes(b"batch", b"message", b"short")
