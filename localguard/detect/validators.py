"""Checks that a matched value must pass, looked up by the name that rule files use.

A validator takes a `Candidate` and answers whether it is a finding. All are pure and bounded by the value's length.
"""

import re
from collections.abc import Mapping
from typing import Final

from localguard.detect.alone import drawn_alone, drawn_labelled, drawn_line
from localguard.detect.bank_numbers import BANK_NUMBERS
from localguard.detect.candidate import Candidate, Validator, shannon_entropy
from localguard.detect.contact_data import CONTACT_DATA
from localguard.detect.context_validators import generated_marks, handed_over, not_placeholder, random_or_mixed, told
from localguard.detect.device_numbers import DEVICE_NUMBERS
from localguard.detect.issued import drawn, issued, literal_wifi
from localguard.detect.literals import Syntax, literal_value
from localguard.detect.national_ids import NATIONAL_IDS
from localguard.detect.randomness import looks_random, mixes_classes, no_word, surprise
from localguard.detect.references import refers
from localguard.detect.tokens import (
    basic_credentials,
    checked_token,
    credential_name,
    generated,
    gitlab_token,
    jwt,
    mixed,
    pem_body,
    random_looking,
)
from localguard.detect.wallet_addresses import WALLET_ADDRESSES
from localguard.detect.wallets import private_key_der, secp256k1_scalar, solana_array, solana_base58, stellar_seed
from localguard.detect.words import PLACEHOLDER_VALUES, drawn_words, is_common, word_set, words_of

_AFTER_COMMA: Final = re.compile(r",\s*[a-z@$]{0,2}\\*[\"'`]\Z")


# A call that looks something up by its name, a variable of psql.
_NO_LITERAL: Final = re.compile(
    r"(?i)(?:\b(?:get|fetch|find|load|lookup|has|delete|remove)_?\w{0,40}\([\"']|\b(?:with|encrypted)[ \t]+password[ \t]+:[\"']|"
    r"\b(?:public|publishable|site|pub|host|peer|verify|verification|primary|foreign)[ \t]+key\b[^\n]{0,8}|"
    r"/\w+[\"'],[ \t]*[\"']|"
    r"nonce\\*(?:[\"'`]*[ \t]*:[ \t]*|=)\\*[\"'`]?)\Z"
)


_FIRST_OF_SEVERAL: Final = re.compile(r"[\"'],[ \t]*[\w\"'$]")
_NO_TOKEN: Final = re.compile(r"(?:badge\.svg\?|pkcs11:)[\w;%=.-]*=\Z")  # a badge's address, a slot's name


_NEXT_LABEL: Final = re.compile(r"[,;][ \t]+[A-Za-z][\w ]{0,40}[:=][ \t]")
_MOUNTED: Final = re.compile(r"(?:id|type|source|src|target|dst|env|required|mode)=[^,]*(?:,\w+(?:=[^,]*)?)*")
"""`docker build --secret id=npmrc,src=…`: where a secret is, not what."""
_FOLLOWED: Final = re.compile(
    r"^(?=\S*\d)\S++[ \t]+(?:[.~]?/[\w./-]+|[a-z][a-z0-9_-]{1,20})(?:[ \t]+\S|$)|;[ ]?[A-Za-z][A-Za-z_ ]{1,30}=|&&|[ \t](?:\|\|?|;)[ \t]"
)


# A value and a remark in brackets, another member behind a bar, a stroke or an escaped line break, a name before it.
_BESIDE: Final = re.compile(
    r"^\S{4,}[ \t]+(?:\([^()]*\)$|[|/][ \t]+[A-Za-z][\w ]{0,20}:[ \t])|^\S{4,}\\n|^[»„“«].*[«”“»]$"
)
_NAMED_AGAIN: Final = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+=\S")
_WRAPPER: Final = re.compile(r"(?:Just|Some|Right|Ok|pure|return)[ \t(]+\"[^\"]+\"\)?$")
_QUOTES: Final = ('"', "'", "`")


def literal(candidate: Candidate) -> bool:
    """A literal value where its syntax quotes values: no reference, no placeholder, no name of a type."""
    value = candidate.value
    if _is_country(value, candidate.key) or _is_account_id(value):
        return False
    if _NO_LITERAL.search(candidate.before) or (candidate.before.endswith("`") and " " in value):
        return False
    if (
        _FIRST_OF_SEVERAL.match(candidate.after)
        and candidate.before.rstrip("\"'").endswith("(")
        and not (mixes_classes(value) or no_word(value, 6))
    ):
        return False  # `changePassword("karin", "…")`: whose
    if re.search(r",\s*\Z", candidate.before) and re.fullmatch(r"[a-z0-9_]+", value) and "_" in value:
        return False  # the next name of a list
    drawn = no_word(value, 6) or (any(char.isdigit() for char in value) and value.isascii())
    if _AFTER_COMMA.search(candidate.before) and not drawn:
        return False  # a list of names, or a call such as `getattr(self.password, 'hash')`
    syntax: Syntax = "quoted" if candidate.before[-1:] in _QUOTES else "bare"
    return literal_value(value, candidate.key, syntax)


def _is_country(value: str, key: str) -> bool:
    """`"pw": "Palau"` in a table of countries, `"pt": …` of languages: a key of two letters, and a name."""
    return (
        len(key.strip("\"'")) == 2
        and re.fullmatch(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*", value) is not None
        and value[0].isupper()
    )


def _is_account_id(value: str) -> bool:
    """Two capitals and 32 digits name an account or a resource (Twilio's SIDs); one character again and again names nothing."""
    return re.fullmatch(r"[A-Z]{2}[0-9a-f]{32}", value) is not None or (len(value) >= 8 and len(set(value[2:])) < 3)


def no_account_id(candidate: Candidate) -> bool:
    """Anything but what a name calls the id of an account (Twilio's `accountSid`), or an address as its part."""
    return not (candidate.value.startswith("AC") and _ID_BEFORE.search(candidate.before))


_ID_BEFORE: Final = re.compile(r"(?i)(?:sid|account)[\"'\])]*[ \t]*(?:[:=,(]|=>)*[ \t]*[\"']?\Z|/accounts/\Z")


def literal_env(candidate: Candidate) -> bool:
    """A literal value in `KEY=value` without quotes: environment files, shell exports, properties.

    Not where more follows that is not the value's: the next setting of a connection string, the next command, the command
    that the variable is set for.
    """
    first, space, _ = candidate.value.partition(" ")
    if space and mixes_classes(first) and any(char.isdigit() for char in first) and candidate.value[:1] not in "\"'":
        return False  # the rule for the first word takes it
    return _FOLLOWED.search(candidate.value) is None and literal_value(candidate.value, candidate.key, "env")


def literal_bare(candidate: Candidate) -> bool:
    """A literal value after `key: ` or `key = ` without quotes: YAML, INI, notes. Code is told from it by shape."""
    if candidate.key.startswith("--"):
        return False  # what tests report
    if _BESIDE.search(candidate.value) or _NAMED_AGAIN.match(candidate.value) or _WRAPPER.match(candidate.value):
        return False  # the rules for a word, a literal or a sentence take it
    return _NEXT_LABEL.search(candidate.value) is None and literal_value(candidate.value, candidate.key, "bare")


def directive_value(candidate: Candidate) -> bool:
    """The value of a directive; in a sentence about user names and passwords there is none."""
    value = candidate.value
    if (
        re.search(r"(?i)(?:username|user name) and (?:password|secret)\s+\Z", candidate.before)
        and value.partition("\\")[0].isalpha()
    ):
        return False
    return not_placeholder(value)


def told_or_odd(candidate: Candidate) -> bool:
    """What is told as a password, or is at least no word."""
    value = candidate.value
    return told(value) or (not_placeholder(value) and 6 <= len(value) <= 64 and surprise(value) >= 3.9)


def told_or_no_word(candidate: Candidate) -> bool:
    """What is told as a password, or letters that make no word of any language. A bare "token" tells of parsers as well."""
    value = candidate.value
    if candidate.key.lower() in ("token", "secret", "key"):
        return looks_random(value)
    return told(value) or (not_placeholder(value) and no_word(value, 6) and not value.istitle())


def wrapped(candidate: Candidate) -> bool:
    """A literal that a call around it only converts, by the call's name: none that looks something up, or asks for it."""
    call = _CALL_BEFORE.search(candidate.before)
    if call is not None and _LOOKS_UP.intersection(words_of(call[1])):
        return False
    return told_or_no_word(candidate) and not refers(candidate.value)


_CALL_BEFORE: Final = re.compile(r"([A-Za-z_$][\w.:$!?]*)[(\[{][bruL@]{0,2}[\"'`]\Z")
_LOOKS_UP: Final = word_set(
    """
    get getenv env environ read load find fetch lookup config conf settings input prompt ask hash digest tr t gettext i18n translate
    format path file open require import query select field label placeholder test match regex compile column string_field
    property param parameter arg argument flag header cookie session request form data json parse name key secret from
    resolve describe it should expect error exception raise throw log print printf println debug info warn write echo type
    encode decode lower upper strip count add append push put has replace split join contains starts ends index remove delete validate validates generate make fake mock id element by selector
    """
)


def literal_inline(candidate: Candidate) -> bool:
    """A literal in `key=value` inside a line: as for environment files, but calls with keyword arguments are likelier."""
    value = candidate.value
    if _NO_TOKEN.search(candidate.before) or _MOUNTED.fullmatch(value):
        return False
    if value[0] in "»«„“”" or _NAMED_AGAIN.match(value):
        return False  # a sentence is read by itself
    if not (
        any(char.isdigit() for char in value)
        or re.search(r"[^\w.\[\]-]", value)
        or drawn_words(value, 3)
        or no_word(value)
    ):
        return False  # `f(password=password)`, `--token string`
    return literal_value(value, candidate.key, "env") and literal_value(value, candidate.key, "bare")


def literal_query(candidate: Candidate) -> bool:
    """The value of a query parameter that was generated, not typed: long, with letters and digits."""
    value = candidate.value
    return len(value) >= 12 and mixed(candidate) and not is_common(value) and literal_value(value, "token", "env")


def literal_token(candidate: Candidate) -> bool:
    """The token of a header: generated, or at least no word."""
    return literal_value(candidate.value.rstrip(".,:"), "token", "env")


def user_token(candidate: Candidate) -> bool:
    """A token alone before the host of an address; the public key of an error tracker's address is none."""
    return looks_random(candidate.value) and re.match(r"@[^\s/\"'`]+/\d+(?![\w/.-])", candidate.after) is None


def cookie(candidate: Candidate) -> bool:
    """Cookies of which at least one value is long and random enough to stand for a session."""
    values = [pair.partition("=")[2] for pair in candidate.value.split(";")]
    return any(
        len(value) >= 16 and shannon_entropy(value) > 3.0 and any(c.isdigit() for c in value) for value in values
    )


_TOKEN_USERS: Final = frozenset(
    {"x-oauth-basic", "x-access-token", "x-token-auth", "oauth2", "x-bitbucket-api-token-auth"}
)
"""What hosts of repositories want in the place of a password, or of a user, beside a token."""


def userinfo_password(candidate: Candidate) -> bool:
    """The password of `scheme://user:password@host`, unless it is a reference, a mask or the word for itself."""
    value = candidate.value
    if len(value) < 3 or (len(value) == 3 and value in ("abc", "xyz", "123", "def", "foo", "bar")):
        return False
    if re.match(r"\d{1,5}[/?#,]", value):
        return False  # a port and a path, or another host: the `@` comes later
    if (
        value.lower() in _TOKEN_USERS
        or value.lower() in PLACEHOLDER_VALUES
        or refers(value)
        or re.fullmatch(r"(?i)[x*.\-_]+|\$.*|[<{\[(].*", value)
    ):
        return False
    return words_of(value) not in (["your", "password"], ["my", "password"])


VALIDATORS: Final[Mapping[str, Validator]] = {
    **BANK_NUMBERS,
    **CONTACT_DATA,
    **DEVICE_NUMBERS,
    **NATIONAL_IDS,
    **WALLET_ADDRESSES,
    "basic_credentials": basic_credentials,
    "checked_token": checked_token,
    "cookie": cookie,
    "credential_name": credential_name,
    "directive_value": directive_value,
    "drawn": drawn,
    "drawn_alone": drawn_alone,
    "drawn_labelled": drawn_labelled,
    "generated": generated,
    "handed_over": lambda candidate: handed_over(candidate.value, candidate.before),
    "generated_marks": lambda candidate: generated_marks(candidate.value),
    "gitlab_token": gitlab_token,
    "issued": issued,
    "jwt": jwt,
    "literal": literal,
    "literal_bare": literal_bare,
    "literal_env": literal_env,
    "literal_inline": literal_inline,
    "literal_query": literal_query,
    "literal_token": literal_token,
    "literal_wifi": literal_wifi,
    "mixed": mixed,
    "drawn_line": drawn_line,
    "no_account_id": no_account_id,
    "not_placeholder": lambda candidate: not_placeholder(candidate.value),
    "pem_body": pem_body,
    "private_key_der": private_key_der,
    "random": lambda candidate: looks_random(candidate.value),
    "random_looking": random_looking,
    "random_or_mixed": lambda candidate: random_or_mixed(candidate.value, candidate.key),
    "secp256k1_scalar": secp256k1_scalar,
    "solana_array": solana_array,
    "solana_base58": solana_base58,
    "stellar_seed": stellar_seed,
    "told_or_no_word": told_or_no_word,
    "told_or_odd": told_or_odd,
    "wrapped": wrapped,
    "user_token": user_token,
    "told": lambda candidate: told(candidate.value),
    "userinfo_password": userinfo_password,
}
