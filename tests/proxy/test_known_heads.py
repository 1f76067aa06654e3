"""A head that came before is answered as it was judged then, and no other head is taken for it."""

from types import SimpleNamespace
from typing import Any

import pytest

from localguard.proxy.admission import Admission, AdmissionRefused, Admitted, Head
from localguard.proxy.headers import text_headers
from localguard.proxy.known_heads import KnownHeads

HEAD = (
    (b"Host", b"127.0.0.1:4141"),
    (b"Authorization", b"Bearer agent"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"17"),
    (b"X-LocalGuard-Task", b"docs"),
    (b"x-stainless-lang", b"python"),
)


def request(*headers: tuple[bytes, bytes], method: str = "POST", target: str = "/openai/v1/x?a=b") -> Any:
    return SimpleNamespace(method=method, raw_path=target, raw_headers=headers)


def heads() -> KnownHeads:
    return KnownHeads(Admission(4141))


def test_a_head_is_answered_as_admission_does_its_length_aside() -> None:
    known = heads()
    judged = Admission(4141).admit(Head("POST", "/openai/v1/x?a=b", text_headers(HEAD)))
    assert isinstance(judged, Admitted)
    for _ in range(2):
        admitted = known.admit(request(*HEAD))
        assert isinstance(admitted, Admitted)
        blank = tuple((name, "" if name == "Content-Length" else value) for name, value in judged.headers)
        assert admitted.headers == blank
        assert (admitted.endpoint, admitted.path, admitted.query) == (judged.endpoint, judged.path, judged.query)
        assert (admitted.task, admitted.workspace_token) == (judged.task, judged.workspace_token)


def test_the_same_head_with_another_length_is_known() -> None:
    known = heads()
    longer = tuple((name, b"18" if name == b"Content-Length" else value) for name, value in HEAD)
    assert known.admit(request(*HEAD)) is known.admit(request(*longer))


@pytest.mark.parametrize("index", range(len(HEAD)))
def test_a_head_with_anything_else_changed_is_another(index: int) -> None:
    known = heads()
    first = known.admit(request(*HEAD))
    name, value = HEAD[index]
    if name != b"Host":
        renamed = (*HEAD[:index], (name + b"x", value), *HEAD[index + 1 :])
        assert known.admit(request(*renamed)) is not first
    if name not in (b"Host", b"Content-Length"):
        changed = (*HEAD[:index], (name, value + b"x"), *HEAD[index + 1 :])
        assert known.admit(request(*changed)) is not first
    assert known.admit(request(*HEAD, method="PUT")) is not first
    assert known.admit(request(*HEAD, target="/openai/v1/y")) is not first
    assert known.admit(request(*reversed(HEAD))) is not first
    assert known.admit(request(*HEAD)) is first


def test_a_refusal_is_made_anew_every_time() -> None:
    known = heads()
    for _ in range(3):
        with pytest.raises(AdmissionRefused):
            known.admit(request(*HEAD, (b"Origin", b"https://example.com")))
    assert known.admit(request(*HEAD))


def test_what_is_remembered_is_bounded() -> None:
    known = heads()
    for number in range(500):
        known.admit(request(*HEAD, (b"x-request-id", b"%d" % number)))
    assert len(known._known) <= 64
