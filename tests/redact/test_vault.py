"""The vault and the sweep: one value, one placeholder; known values found again at token boundaries."""

import base64
import html
import json
import re
import threading
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.redact import placeholder, sweep
from localguard.redact import vault as vault_module
from localguard.redact.sweep import core_of
from localguard.redact.vault import TagCollision, Vault, looks_distinctive, shell_spellings
from localguard.redact.views import hides
from tests.redact.conftest import KEY, OTHER_KEY, secret


def learn(vault: Vault, value: str, type: str = "PASSWORD") -> str:
    return vault.placeholder_for(value, type, data_class="secret", distinctive=True)


def swept(vault: Vault, text: str) -> list[str]:
    data = text.encode()
    return [data[span.start : span.end].decode() for span in vault.sweep(data)]


class TestOneValueOnePlaceholder:
    def test_the_same_value_has_the_same_placeholder_after_a_restart(self) -> None:
        assert learn(Vault(KEY), secret()) == learn(Vault(KEY), secret())

    def test_another_workspace_has_another(self) -> None:
        assert learn(Vault(KEY), secret()) != learn(Vault(OTHER_KEY), secret())

    def test_the_first_type_of_a_value_stays(self, vault: Vault) -> None:
        first = learn(vault, secret(), "API_KEY")
        assert learn(vault, secret(), "PASSWORD") == first

    def test_a_placeholder_of_the_same_value_under_another_type_resolves(self, vault: Vault) -> None:
        """After a restart the value may have been found as something else first."""
        learn(vault, secret(), "API_KEY")
        before = placeholder.make(KEY, secret(), "PASSWORD")
        known = vault.resolve(before)
        assert known is not None
        assert (known.value, known.type) == (secret(), "API_KEY")

    def test_nothing_but_own_placeholders_resolves(self, vault: Vault) -> None:
        own = learn(vault, secret())
        assert vault.resolve(own) is not None
        for other in (own[:-4] + "0000", placeholder.make(OTHER_KEY, secret(), "PASSWORD"), own.lower(), "LG_A_", ""):
            assert vault.resolve(other) is None

    def test_two_values_with_one_tag_are_refused(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(placeholder, "value_tag", lambda key, value: "0" * 12)
        learn(vault, secret(1))
        with pytest.raises(TagCollision) as caught:
            learn(vault, secret(2))
        assert secret(1) not in str(caught.value)
        assert secret(2) not in str(caught.value)

    def test_values_never_show(self, vault: Vault) -> None:
        own = learn(vault, secret())
        assert secret() not in repr(vault) + repr(vault.resolve(own)) + str(vault.resolve(own))

    def test_what_was_used_longest_ago_is_forgotten_first(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vault_module, "MAX_VALUES", 3)
        placeholders = [learn(vault, secret(seed)) for seed in range(3)]
        vault.resolve(placeholders[0])
        learn(vault, secret(3))
        assert vault.resolve(placeholders[0]) is not None
        assert vault.resolve(placeholders[1]) is None
        assert vault.is_own(placeholders[1])
        assert len(vault) == 3

    def test_memory_is_bounded_by_bytes_too(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vault_module, "MAX_BYTES", 10_000)
        for seed in range(50):
            vault.placeholder_for(secret(seed, 1000), "KEY", data_class="secret", distinctive=False)
        assert 1 <= len(vault) <= 10

    def test_threads_may_learn_and_sweep_at_once(self, vault: Vault) -> None:
        problems: list[Exception] = []

        def work(seed: int) -> None:
            try:
                for turn in range(60):
                    value = secret(seed * 1000 + turn)
                    own = learn(vault, value)
                    assert [span.placeholder for span in vault.sweep(f"x {value} y".encode())] == [own]
            except Exception as problem:
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []


class TestSweep:
    @pytest.mark.parametrize(
        "text",
        [
            "{}",
            " {} ",
            "'{}'",
            "={}&",
            "/{}/",
            "-{}-",
            ".{}.",
            "密码{}是",
            "“{}”",
            "\n{}\n",
            "\u2028{}\x0c",
            "({})",
            "@{}:",
            r"\n{}\n",
            r"\t{}",
            r"\u0022{}",
            r"\x1b[31m{}",
            "\x1b[0;1m{}\x1b[0m",
            "%3D{}%20",
            r"\033[1m{}",
            "&quot;{}&quot;",
        ],
    )
    def test_known_value_is_found_at_token_boundaries(self, vault: Vault, text: str) -> None:
        learn(vault, secret())
        assert swept(vault, text.format(secret())) == [secret()]

    @pytest.mark.parametrize("text", ["x{}", "{}x", "_{}", "{}_", "9{}", "{}0", "A{}Z"])
    def test_a_longer_token_is_another_value(self, vault: Vault, text: str) -> None:
        learn(vault, secret())
        assert swept(vault, text.format(secret())) == []

    def test_every_occurrence_is_found(self, vault: Vault) -> None:
        """Peers, line 1."""
        learn(vault, secret())
        assert swept(vault, f"{secret()}\n{secret()} {secret()}") == [secret()] * 3

    def test_edge_that_is_no_letter_needs_no_boundary(self, vault: Vault) -> None:
        value = "=" + secret() + "+/="
        learn(vault, value)
        assert swept(vault, f"abc{value}def") == [value]

    def test_letters_of_other_scripts_have_boundaries_of_their_own(self, vault: Vault) -> None:
        learn(vault, "пароль-девять9я")
        assert swept(vault, "(пароль-девять9я)") == ["пароль-девять9я"]
        assert swept(vault, "ыпароль-девять9я") == []
        assert swept(vault, "пароль-девять9яы") == []

    def test_where_a_longer_value_fails_the_shorter_is_still_found(self, vault: Vault) -> None:
        short, long = secret(), secret() + "-" + secret(2)
        learn(vault, short)
        learn(vault, long)
        assert swept(vault, long) == [long]
        assert swept(vault, long + "x") == [short]

    def test_a_value_inside_one_that_fails_is_still_found(self, vault: Vault) -> None:
        inner = secret(2)
        learn(vault, inner)
        learn(vault, secret() + "-" + inner + "-tail9")
        assert swept(vault, f"x{secret()}-{inner}-tail9") == [inner]

    def test_overlapping_values_become_one_span(self, vault: Vault) -> None:
        a, b, c = secret(1), secret(2), secret(3)
        learn(vault, f"{a}.{b}")
        learn(vault, f"{b}.{c}")
        assert swept(vault, f"x {a}.{b}.{c} y") == [f"{a}.{b}.{c}"]

    def test_own_placeholders_are_not_looked_into_and_are_tokens_like_others(self, vault: Vault) -> None:
        own = learn(vault, secret())
        inside = own.split("_")[-1]
        learn(vault, inside)
        assert swept(vault, own) == []
        assert swept(vault, f"{own}.{secret()}/{own}") == [secret()]
        assert swept(vault, f"{own}{secret()}{own}") == []

    @pytest.mark.parametrize("value", ['a"b\\c' + "12345678", "line one1\nline two2\n", "schlüssel-öffner-9"])
    @pytest.mark.parametrize("ascii_only", [True, False])
    def test_json_spellings_are_found_and_stand_for_exactly_themselves(
        self, vault: Vault, value: str, ascii_only: bool
    ) -> None:
        learn(vault, value)
        once = json.dumps({"k": value}, ensure_ascii=ascii_only)
        for text in (once, json.dumps([once], ensure_ascii=ascii_only)):
            [span] = vault.sweep(text.encode())
            known = vault.resolve(span.placeholder)
            assert known is not None
            assert known.value == text.encode()[span.start : span.end].decode()
            assert known.value in (json.dumps(value, ensure_ascii=ascii_only)[1:-1], known.value)

    def test_value_found_in_json_text_is_found_plain(self, vault: Vault) -> None:
        learn(vault, r"BEGIN\nabcDEF123\nEND9")
        assert swept(vault, "x BEGIN\nabcDEF123\nEND9 y") == ["BEGIN\nabcDEF123\nEND9"]

    def test_values_that_are_not_distinctive_are_not_swept(self, vault: Vault) -> None:
        vault.placeholder_for("production", "PASSWORD", data_class="secret", distinctive=False)
        assert swept(vault, "env: production") == []

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.text(alphabet="ab1-_ ", min_size=1, max_size=6), max_size=12),
        st.text(alphabet="ab1-_ ", max_size=60),
    )
    def test_every_occurrence_at_boundaries_is_covered(self, values: list[str], text: str) -> None:
        """Against the definition: each value, each position, boundaries by a look-around."""
        vault = Vault(KEY)
        for value in values:
            learn(vault, value)
        data = text.encode()
        covered = {at for span in vault.sweep(data) for at in range(span.start, span.end)}
        for value in values:
            left = r"(?<![A-Za-z0-9_])" if re.match(r"\w", value) else ""
            right = r"(?![A-Za-z0-9_])" if re.search(r"\w\Z", value) else ""
            for hit in re.finditer(f"(?={left}{re.escape(value)}{right})", text):
                assert set(range(hit.start(), hit.start() + len(value))) <= covered, (value, text)

    def test_many_values_stay_findable_over_all_levels(self, vault: Vault) -> None:
        values = [secret(seed) for seed in range(5000)]
        for value in values:
            learn(vault, value)
        assert swept(vault, " ".join(values[::7])) == values[::7]
        assert vault.unswept == 0

    @given(
        st.lists(st.text("ab1-", min_size=1, max_size=6), min_size=1, max_size=120, unique=True),
        st.lists(st.text("ab1- ", max_size=9), max_size=12).map("".join),
    )
    @settings(max_examples=60, deadline=None)
    def test_how_patterns_are_arranged_changes_nothing_that_is_found(self, values: list[str], text: str) -> None:
        found = []
        for group, most, bytes_a_call in ((32, 96, 0), (32, 96, 1 << 40), (2, 96, 0), (2, 96, 1 << 40), (2, 0, 0)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sweep, "_GROUP", group)
                patch.setattr(sweep, "_MAX_GROUPS", most)
                patch.setattr(sweep, "_BYTES_A_CALL", bytes_a_call)
                vault = Vault(KEY)
                for value in values:
                    learn(vault, value)
                found.append(vault.sweep(text.encode()))
        assert all(one == found[0] for one in found)

    def test_every_pattern_is_looked_for_in_short_and_long_texts(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "_MAX_GROUPS", 20)
        for seed in range(150):
            own = learn(vault, secret(seed))
            for other in (seed, seed // 2, 0):
                value = secret(other)
                assert swept(vault, value) == [value]
                assert swept(vault, "." * 5000 + value) == [value]
            vault.let_pass(secret(seed).__eq__)
            assert swept(vault, f"{secret(seed)} {own}") == []
            vault.let_pass(None)

    def test_beyond_its_bounds_the_oldest_are_given_up_and_counted(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "MAX_PATTERNS", 40)
        for seed in range(50):
            learn(vault, secret(seed))
        assert vault.unswept > 0
        assert swept(vault, f"{secret(49)} {secret(0)}") == [secret(49)]

    @pytest.mark.timeout(20)
    def test_values_made_to_overlap_each_other_take_no_unbounded_time(self, vault: Vault) -> None:
        for length in range(16, 2000, 8):
            learn(vault, "-a" * length)
        vault.sweep(b"-a" * 200_000)
        vault.sweep(b"a" * 400_000)


def encodings(value: str) -> dict[str, str]:
    """A value as encoders write it, in the middle of other text."""
    raw = value.encode()
    escaped = quote(value, safe="")
    found = {
        "hex": f"x{raw.hex()}00",
        "HEX": f"0A{raw.hex().upper()}",
        "percent": f"?q={escaped}&x",
        "percent, lower": "?q=" + re.sub("%..", lambda one: one[0].lower(), escaped),
        "path": f"a {quote(value)} b",
        "form": f"q={quote_plus(value)}",
        "encodeURIComponent": quote(value, safe="!'()*"),
        "html": f"<b>{html.escape(value)}</b>",
        "html, decimal": html.escape(value).replace("&#x27;", "&#39;"),
        "json": json.dumps(json.dumps({"a": value})),
    }
    for shift in range(3):
        for end in range(3):
            data = b"\xffuser:"[: shift + 3] + raw + b" and more"[: end + 3]
            found[f"base64 {shift} {end}"] = base64.b64encode(data).decode()
            found[f"base64url {shift} {end}"] = "https://h/x?d=" + base64.urlsafe_b64encode(data).decode().rstrip("=")
    found["base64 alone"] = f"data = '{base64.b64encode(raw).decode()}'"
    return found


def broken_encodings(value: str) -> dict[str, str]:
    """A value in an encoding that no list of spellings holds: broken over lines, or of some of its characters."""
    raw = value.encode()
    found: dict[str, str] = {}
    for shift in range(3):
        wrapped = base64.b64encode(b"x" * (40 + shift) + raw + b"y" * 30).decode()
        for size, line in ((60, "\n"), (64, "\r\n"), (61, "\n    ")):
            rows = [wrapped[at : at + size] for at in range(0, len(wrapped), size)]
            found[f"base64 in lines of {size}, {shift}"] = line.join(["begin", *rows, "end"])
    found["base64 in lines, as JSON text"] = json.dumps({"k": found["base64 in lines of 60, 1"]})
    found["percent, all of it"] = "?q=" + "".join(f"%{byte:02x}" for byte in raw)
    if value.isascii():
        halves = [f"%{byte:02X}" if at % 2 else chr(byte) for at, byte in enumerate(raw)]
        found["percent, every second"] = "".join(halves)
        at = next(at for at, one in enumerate(value) if one.isalnum())
        found["percent, one letter"] = f"q={value[:at]}%{raw[at]:02X}{value[at + 1 :]}"
    return found


def disguises(value: str) -> dict[str, str]:
    """A value as the README says that it is not found."""
    raw = value.encode()
    encoded = base64.b64encode(raw).decode()
    return {
        "base64 in short rows": f"{encoded[:9]}\n{encoded[9:]}",
        "hex with spaces": raw.hex(" "),
        "hex with colons": raw.hex(":"),
        "UTF-16 in hex": value.encode("utf-16-le").hex(),
        "UTF-16 in base64": base64.b64encode(value.encode("utf-16-le")).decode(),
        "base64 twice": base64.b64encode(encoded.encode()).decode(),
        "base64 of hex": base64.b64encode(raw.hex().encode()).decode(),
        "reversed": value[::-1],
    }


AWKWARD = ["Ab3$xyz9", "p+ss/w=rd1 &x<'\"9Q", "naïve-Pässwörd-77", secret(), "?>?>?>?>Aa1~~~"]


class TestEncodings:
    def test_own_placeholders_are_not_looked_into_nor_covered(self, vault: Vault) -> None:
        own = learn(vault, "Ab3$xyz9")
        text = f"x%20{own}%20Ab3%24xyz9%20{own}"
        [span] = vault.sweep(text.encode())
        assert text[span.start : span.end] == "Ab3%24xyz9"

    def test_words_in_lines_and_needless_escapes_of_other_texts_hold_nothing(self, vault: Vault) -> None:
        learn(vault, "Ab3$xyz9")
        assert vault.sweep(b"password-one\npassword-two\n%41%42%43 Ab3%24xyz\n9 QWIzJHh5\n") == []

    @pytest.mark.timeout(20)
    def test_disguises_are_taken_off_in_linear_time(self, vault: Vault) -> None:
        learn(vault, "Ab3$xyz9")
        for hostile in (
            b"%41" * 300_000,
            b"a" * 16 + b"\nabcd" * 200_000,
            b"\\n" * 400_000,
            b"a\n" * 400_000,
            b"%" * 10**6,
        ):
            vault.sweep(hostile)

    @pytest.mark.parametrize("value", AWKWARD)
    def test_a_known_value_is_found_in_every_encoding(self, vault: Vault, value: str) -> None:
        learn(vault, value)
        for name, text in {**encodings(value), **broken_encodings(value)}.items():
            raw = text.encode()
            assert vault.sweep(raw), name

    @pytest.mark.parametrize("value", AWKWARD)
    def test_what_no_core_tells_is_known_to_hide(self, vault: Vault, value: str) -> None:
        learn(vault, value)
        for name, text in broken_encodings(value).items():
            raw = json.dumps(text, ensure_ascii=False).encode()
            assert hides(raw) or any(core in raw for core in vault.cores_since(0)), name

    def test_what_the_readme_says_is_not_found_is_not(self, vault: Vault) -> None:
        """Fails when one of them is: then the README may promise it."""
        value = secret()
        learn(vault, value)
        assert [name for name, text in disguises(value).items() if vault.sweep(text.encode())] == []

    @pytest.mark.parametrize("value", AWKWARD)
    def test_what_stands_for_an_encoding_comes_back_to_the_bytes(self, vault: Vault, value: str) -> None:
        learn(vault, value)
        for text in [*encodings(value).values(), *broken_encodings(value).values()]:
            raw = text.encode()
            made, at = "", 0
            for span in vault.sweep(raw):
                made += raw[at : span.start].decode() + span.placeholder
                at = span.end
            made += raw[at:].decode()
            assert vault.sweep(made.encode()) == []
            back = re.sub("LG_[A-Z0-9_]+_[0-9A-Z]{16}", lambda one: resolved(vault, one[0]), made)
            assert back == text

    @pytest.mark.parametrize("value", AWKWARD)
    def test_no_bit_of_it_is_left_in_base64(self, vault: Vault, value: str) -> None:
        """Whichever bytes stand beside a value, all its own bits are replaced."""
        learn(vault, value)
        raw = value.encode()
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + raw + bytes(3))
            (span,) = vault.sweep(text)
            left = text[: span.start] + b"~" + text[span.end :]
            assert set(left) <= set(b"A~="), shift

    def test_an_encoding_that_was_replaced_is_not_looked_for_in_encodings_of_its_own(self, vault: Vault) -> None:
        learn(vault, secret())
        generation = vault.generation
        vault.sweep(base64.b64encode(b"x" + secret().encode()))
        assert vault.generation == generation

    def test_its_cores_tell_every_encoding(self, vault: Vault) -> None:
        for value in AWKWARD:
            before = vault.generation
            learn(vault, value)
            cores = vault.cores_since(before)
            for name, text in encodings(value).items():
                assert any(core in text.encode() for core in cores), name

    def test_a_value_that_is_allowed_is_not_looked_for_in_encodings(self, vault: Vault) -> None:
        learn(vault, secret())
        vault.let_pass(lambda value: True)
        assert [vault.sweep(text.encode()) for text in encodings(secret()).values()] == [[]] * len(encodings(secret()))

    @pytest.mark.parametrize("text", ["import os, sys", "ab" * 4000, "0123456789abcdef" * 100, "Zm9vYmFyYmF6" * 50])
    def test_other_text_is_left_alone(self, vault: Vault, text: str) -> None:
        for value in AWKWARD:
            learn(vault, value)
        assert vault.sweep(text.encode()) == []

    @pytest.mark.parametrize("value", ["Ab3$xy9", "x" * 7])
    def test_short_values_have_no_encodings(self, vault: Vault, value: str) -> None:
        learn(vault, value)
        assert vault.sweep(base64.b64encode(value.encode() * 3)) == []


def resolved(vault: Vault, own: str) -> str:
    known = vault.resolve(own)
    assert known is not None
    return known.value


class TestGenerations:
    def test_a_new_distinctive_value_makes_a_new_generation_with_its_core(self, vault: Vault) -> None:
        before = vault.generation
        learn(vault, "ab-" + secret())
        assert vault.cores_since(before)[0] == b"ab-" + secret().encode()
        learn(vault, "ab-" + secret())
        assert vault.cores_since(vault.generation) == ()
        before = vault.generation
        learn(vault, 'a"b-' + secret())
        assert vault.cores_since(before)[0] == secret().encode()

    @pytest.mark.parametrize("others", [0, 5, 200])
    def test_a_text_that_may_hold_a_value_is_told_in_every_spelling(self, vault: Vault, others: int) -> None:
        for seed in range(others):
            learn(vault, secret(seed + 100))
        assert not vault.may_hold(b"nothing of that kind " * 5000)
        for value in (secret(), 'a"b-' + secret(), "line\nline " + secret(2), "\u00fc" * 9):
            learn(vault, value)
            once = json.dumps(value)
            spelled = (value, once, json.dumps(once), *shell_spellings(value), *encodings(value).values())
            for text in spelled:
                for before in ("", "." * 5000):
                    assert vault.may_hold(f"{before}{text}".encode("utf-8", "surrogatepass")), text

    def test_others_do_not(self, vault: Vault) -> None:
        before = vault.generation
        vault.placeholder_for("production", "PASSWORD", data_class="secret", distinctive=False)
        assert vault.generation == before

    @given(st.text(min_size=1, max_size=30), st.booleans())
    def test_the_core_stands_in_every_spelling(self, value: str, ascii_only: bool) -> None:
        core = core_of(value.encode())
        once = json.dumps(value, ensure_ascii=ascii_only)
        assert core in value.encode()
        assert core in once.encode("utf-8", "surrogatepass")
        assert core in json.dumps(once, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        assert all(core in spelled.encode("utf-8", "surrogatepass") for spelled in shell_spellings(value))

    def test_what_is_too_long_ago_is_answered_by_the_core_of_everything(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vault_module, "_MAX_CORES", 10)
        for seed in range(20):
            learn(vault, secret(seed))
        assert vault.generation == 20
        assert vault.cores_since(0) == (b"",)
        assert vault.cores_since(19)[0] == secret(19).encode()


class TestCredentials:
    def test_a_credential_seen_in_a_header_is_swept_from_bodies(self, vault: Vault) -> None:
        own = vault.add_known(secret(), "CREDENTIAL")
        assert [span.placeholder for span in vault.sweep(f"key {secret()}".encode())] == [own]

    @pytest.mark.parametrize("dummy", ["ollama", "lm-studio", "sk-no-key-required", "not-needed", "none", "dummy", ""])
    def test_a_dummy_key_is_not(self, vault: Vault, dummy: str) -> None:
        assert not looks_distinctive(dummy)
        assert vault.add_known(dummy, "CREDENTIAL") is None
        assert len(vault) == 0
