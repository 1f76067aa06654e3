"""Redaction of one text: every finding and every known value, nothing else, and all of it comes back."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.redact import placeholder
from localguard.redact.redactor import Actions, apply, learn, replacements
from localguard.redact.turnback import restore_text
from localguard.redact.vault import Vault
from tests.redact.conftest import KEY, OTHER_KEY, Found, found, secret

REDACT: Actions = {"secret": "redact", "pii": "redact", "custom": "redact"}


def redacted(text: str, findings: list[Found], vault: Vault, actions: Actions = REDACT, **more: tuple[str, ...]) -> str:
    data = text.encode()
    return apply(data, replacements(data, findings, vault, actions, **more)).decode()


def restored(text: str, vault: Vault) -> str:
    def value(own: str) -> str | None:
        known = vault.resolve(own)
        return None if known is None else known.value

    return restore_text(text, vault, value)


@st.composite
def texts_with_findings(draw: st.DrawFn) -> tuple[bytes, list[Found]]:
    text = draw(st.text(max_size=80)).encode()
    offsets = st.integers(0, len(text))
    findings = draw(
        st.lists(
            st.builds(
                Found,
                offsets,
                offsets,
                st.sampled_from(["PASSWORD", "EMAIL", "API_KEY"]),
                st.sampled_from(["secret", "pii", "custom"]),
                st.booleans(),
            ),
            max_size=6,
        )
    )
    return text, findings


@settings(max_examples=300)
@given(st.lists(texts_with_findings(), min_size=1, max_size=3))
def test_restore_of_redact_is_the_text(samples: list[tuple[bytes, list[Found]]]) -> None:
    vault = Vault(KEY)
    learn(samples, vault, REDACT)
    for text, findings in samples:
        replaced = replacements(text, findings, vault, REDACT)
        assert all(one.end <= other.start for one, other in itertools.pairwise(replaced))
        assert restored(apply(text, replaced).decode(), vault) == text.decode()
        for finding in findings:
            if finding.start < finding.end:
                assert any(one.start <= finding.start and finding.end <= one.end for one in replaced)


@given(texts_with_findings())
def test_redaction_is_stable_over_turns_and_restarts(sample: tuple[bytes, list[Found]]) -> None:
    text, findings = sample
    first = Vault(KEY)
    once = apply(text, replacements(text, findings, first, REDACT))
    assert apply(text, replacements(text, findings, first, REDACT)) == once
    assert apply(text, replacements(text, findings, Vault(KEY), REDACT)) == once


@given(texts_with_findings())
def test_what_was_redacted_is_left_alone_when_it_comes_again(sample: tuple[bytes, list[Found]]) -> None:
    text, findings = sample
    vault = Vault(KEY)
    once = apply(text, replacements(text, findings, vault, REDACT))
    everywhere = [Found(start, end) for start, end in vault.own_spans(once)]
    assert apply(once, replacements(once, everywhere, vault, REDACT)) == once


def test_the_same_secret_twice_in_one_text_is_replaced_twice(vault: Vault) -> None:
    """Peers, line 1."""
    text = f"password={secret()}\nagain: {secret()}\n"
    own = placeholder.make(KEY, secret(), "PASSWORD")
    assert redacted(text, [found(text.encode(), secret())], vault) == f"password={own}\nagain: {own}\n"


def test_a_value_found_in_one_field_is_replaced_in_every_field_of_the_request(vault: Vault) -> None:
    """Peers, line 7: also in the field before it, and in the next turn."""
    before, after = f"see {secret()}", f"password={secret()}"
    learn([(before.encode(), []), (after.encode(), [found(after.encode(), secret())])], vault, REDACT)
    assert secret() not in redacted(before, [], vault)


def test_only_the_value_is_replaced_not_its_key_or_quotes(vault: Vault) -> None:
    text = f"  'password': \"{secret()}\",  # keep"
    own = placeholder.make(KEY, secret(), "PASSWORD")
    assert redacted(text, [found(text.encode(), secret())], vault) == f"  'password': \"{own}\",  # keep"


def test_overlapping_findings_become_one_span_of_the_first_type_in_the_table(vault: Vault) -> None:
    text = f"https://user:{secret()}@host"
    both = [found(text.encode(), f"user:{secret()}", type="BASIC"), found(text.encode(), secret(), type="API_KEY")]
    table = ("API_KEY", "BASIC")
    own = placeholder.make(KEY, f"user:{secret()}", "API_KEY")
    assert redacted(text, both, vault, precedence=table) == f"https://{own}@host"
    assert redacted(f"alone {secret()}", [], vault) == f"alone {placeholder.make(KEY, secret(), 'API_KEY')}"


def test_the_table_decides_over_all_texts_of_a_request(vault: Vault) -> None:
    one, two = f"password={secret()}".encode(), f"token {secret()}".encode()
    learn(
        [(one, [found(one, secret(), type="PASSWORD")]), (two, [found(two, secret(), type="GITHUB_TOKEN")])],
        vault,
        REDACT,
        precedence=("GITHUB_TOKEN", "PASSWORD"),
    )
    own = placeholder.make(KEY, secret(), "GITHUB_TOKEN")
    assert redacted(one.decode(), [found(one, secret(), type="PASSWORD")], vault) == f"password={own}"


def test_a_finding_that_overlaps_a_known_value_takes_it_in(vault: Vault) -> None:
    vault.add_known(secret(), "CREDENTIAL")
    text = f"x {secret()}-more y"
    own = placeholder.make(KEY, secret() + "-more", "PASSWORD")
    assert redacted(text, [found(text.encode(), secret()[5:] + "-more")], vault) == f"x {own} y"


def test_a_known_value_keeps_its_placeholder_though_a_rule_takes_in_the_comment_behind_it(vault: Vault) -> None:
    """P5: the rule sees a longer value in the next turn's text; the known one stays as it went before."""
    own = vault.add_known(secret(), "PASSWORD")
    text = f"password = {secret()}  # of the staging host"
    wide = [found(text.encode(), text.removeprefix("password = "))]
    assert redacted(text, wide, vault) == f"password = {own}  # of the staging host"
    assert redacted(redacted(text, wide, vault), [], vault) == f"password = {own}  # of the staging host"


def test_what_else_a_rule_takes_in_beside_a_known_value_is_replaced(vault: Vault) -> None:
    own = vault.add_known(secret(), "PASSWORD")
    text = f"password = {secret()} {secret(2)}"
    answer = redacted(text, [found(text.encode(), text.removeprefix("password = "))], vault)
    assert own is not None
    assert own in answer
    assert secret(2) not in answer
    assert restored(answer, vault) == text


def test_span_of_several_classes_counts_as_secret(vault: Vault) -> None:
    text = b"mail me.at.home@example.org"
    spans = [Found(5, 27, "EMAIL", "pii"), Found(5, 15, "PASSWORD", "secret")]
    [one] = replacements(text, spans, vault, REDACT)
    known = vault.resolve(one.placeholder)
    assert known is not None
    assert known.data_class == "secret"


class TestAllow:
    def test_a_class_that_is_allowed_is_neither_replaced_nor_swept(self, vault: Vault) -> None:
        text = "ask ann@corp.example and ann@corp.example"
        mail = [found(text.encode(), "ann@corp.example", type="EMAIL", data_class="pii")]
        assert redacted(text, mail, vault, {"pii": "allow"}) == text
        assert redacted(text, mail, vault) != text
        assert redacted(text, mail, vault, {"pii": "allow"}) == text

    def test_a_class_that_nobody_names_is_redacted(self, vault: Vault) -> None:
        assert secret() not in redacted(secret(), [Found(0, len(secret()))], vault, {})


class TestOwnPlaceholders:
    """Design section 7: what verifies is a placeholder already; all else that looks like one is ordinary text."""

    @pytest.mark.parametrize("form", ["password={}", "password='{}'", "https://u:{}@h/", "{}", "KEY={};", "({})"])
    def test_a_finding_that_is_an_own_placeholder_leaves_it(self, vault: Vault, form: str) -> None:
        own = placeholder.make(KEY, secret(), "PASSWORD")
        text = form.format(own)
        assert redacted(text, [found(text.encode(), own)], vault) == text
        assert redacted(text, [Found(0, len(text.encode()))], vault).count(own) == 1

    def test_under_any_type_and_though_its_value_is_not_known(self, vault: Vault) -> None:
        text = placeholder.make(KEY, secret(), "SOMETHING_ELSE_9")
        assert redacted(text, [Found(0, len(text))], vault) == text

    def test_punctuation_beside_it_is_left_too(self, vault: Vault) -> None:
        text = f'"{placeholder.make(KEY, secret(), "PASSWORD")}",'
        assert redacted(text, [Found(0, len(text))], vault) == text

    def test_a_secret_that_hides_beside_one_is_replaced(self, vault: Vault) -> None:
        """Peers, line 16."""
        own = placeholder.make(KEY, secret(1), "PASSWORD")
        for text in (own + secret(2), secret(2) + own, f"{own}.{secret(2)}.{own}"):
            answer = redacted(text, [Found(0, len(text))], vault)
            assert secret(2) not in answer
            assert own in answer
            assert restored(answer, vault) == text

    @pytest.mark.parametrize("brackets", ["LG_PASSWORD_{}", "LG_{}", "<{}>", "[{}]", "LG_PASSWORD_0123456789ABCDEF{}"])
    def test_a_secret_in_a_placeholders_clothes_is_replaced(self, vault: Vault, brackets: str) -> None:
        text = brackets.format(secret())
        assert secret() not in redacted(text, [found(text.encode(), secret())], vault)

    @pytest.mark.parametrize("change", ["forged", "other workspace", "lower case", "escaped", "cut off"])
    def test_what_only_resembles_one_is_ordinary_text(self, vault: Vault, change: str) -> None:
        own = placeholder.make(KEY, secret(), "PASSWORD")
        text = {
            "forged": own[:-2] + ("00" if own[-2:] != "00" else "11"),
            "other workspace": placeholder.make(OTHER_KEY, secret(), "PASSWORD"),
            "lower case": own.lower(),
            "escaped": own.replace("_", "\\_"),
            "cut off": own[:-1],
        }[change]
        assert redacted(text, [], vault) == text
        assert text not in redacted(f"password={text}", [found(f"password={text}".encode(), text)], vault)


def test_offsets_are_bytes_and_characters_stay_whole(vault: Vault) -> None:
    text = "ключ=пароль9 🔑".encode()
    start = text.index("пароль9".encode())
    for shift in (0, 1):
        [one] = replacements(text, [Found(start + shift, len(text) - 5 - shift)], vault, REDACT)
        assert restored(apply(text, [one]).decode(), vault) == text.decode()


def test_findings_outside_the_text_do_not_matter(vault: Vault) -> None:
    assert redacted("short", [Found(9, 12), Found(3, 3), Found(4, 2)], vault) == "short"


@pytest.mark.parametrize("text", ["00", "0é", "é0", "é\x800", "0_0 0"])
def test_text_beside_a_placeholder_is_no_token_of_its_own(vault: Vault, text: str) -> None:
    """P5: what was part of a longer token when it was first seen does not become one when it comes again."""
    once = redacted(text, [Found(0, len(text[0].encode()))], vault)
    assert redacted(once, [], vault) == once


def test_a_finding_that_cuts_a_character_counts_as_the_whole_character_everywhere(vault: Vault) -> None:
    text = "00\x80 00".encode()
    cut = [Found(0, 3), Found(0, 6, distinctive=False)]
    once = apply(text, replacements(text, cut, vault, REDACT))
    assert apply(text, replacements(text, cut, vault, REDACT)) == once
