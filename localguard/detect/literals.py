"""Which values assigned to a key that holds secrets are literal: no reference, no mask, no name, no code, no sentence."""

import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal

from localguard.detect.keynames import PASSWORD_WORDS, is_weak_key, plain_word, secret_key_type
from localguard.detect.randomness import looks_random, no_word, odd_case, surprise
from localguard.detect.references import drawn_after_percent, refers
from localguard.detect.words import PLACEHOLDER_VALUES, TYPE_NAMES, counts, drawn_words, is_common, made_up, words_of

Syntax = Literal["quoted", "env", "bare"]

# What weak keys hold as well: digests with their algorithm, UUIDs, ULIDs, paths, addresses, public keys.
_IDENTITY: Final = re.compile(
    r"(?i)^(?:sha\d{1,3}|md5|blake\d?\w?|h1|mmh3|urn|arn|ssh-\w+|ecdsa-\w+|cus|sub|acct|price|prod|plan)[-:_ ]|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-|^(?-i:[A-Z]{2}[0-9a-f]{32})$|^0x[0-9a-f]+$|^(?-i:M[IE][IGE]|AAAA)|^(?:MFkwEw|MHYwEA|MFYwEA)YHKoZ|^MCowBQYDK2V|^data:|^[./~]|^pk_|[{}<>$]"
)
# Words before a digest, as keys of caches are made; names of functions.
_LABELLED: Final = re.compile(
    r"(?:[A-Za-z][\w.]*-)+(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})|[a-z0-9]{1,11}(?:_[a-z0-9]{1,11}){2,}"
)
_NUMBER_KEY: Final = re.compile(r"(?i)(?:^|[^a-z])(?:pin|otp)(?:[_-]?code)?[\"']?$")
_COUNTRY_KEY: Final = re.compile(r"(?i)\W*pw\W*")
_OF_COUNTRIES: Final = re.compile(r"(?:[A-Z][^\W\d_]+(?:[ '-][^\W\d_]+)*|\+?\d{3}|[A-Z]{2,3})[,;]?")  # names and codes
_GIT_KEY: Final = re.compile(r"(?i)\bsigningkey$")  # of git: a fingerprint
_DRAWN_DIGITS: Final = 24  # more than times, counters and ids of records have
_CAPTION_MARKS: Final = frozenset(".,:;!?*()'\"’…-–/&。、：？！（）")
_SEQUENCE: Final = re.compile(r"(?i)0?123456789(?:0|a)b?|abcdefghij|0987654321|qwertyuiop|zyxwvuts")
_TELLING: Final = PASSWORD_WORDS | frozenset({"token", "bearer", "jwt", "secret", "credential", "credentials", "key"})
_ODD_NAME: Final = 4.6  # mean surprise from which nobody would name a member so

# Password hashes in modular crypt format (crypt(5)), Apache's and Django's: whoever has them can guess at leisure.
CRYPT: Final = re.compile(
    r"\$(?:[1-7]|2[abxy]?|y|apr1|argon2\w{1,2}|pbkdf2[\w-]*|scrypt|sha1|md5)\$|pbkdf2_sha256\$|\{SSHA\}"
)

# What stands for a secret or beside one: rules of forms, sealed values, public keys, masks.
_REFERENCE: Final = re.compile(
    r"""(?x)
    (?:required|nullable|sometimes|string|confirmed|present|filled)(?:\|[\w:,.-]+)+ |
    ENC\[.*\]? | ENC\(.*\)? | \{cipher\}.* | encrypted:.* | file://.* | Ag[A-D][A-Za-z0-9+/]{96,}={0,2} |
    (?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+@openssh\.com)(?:\s.*)? | AAAA[BCE]3\S+ | age1[0-9a-z]{58} | MCowBQYDK2V\S+ |
    pk_(?:live|test)_\w+ | pk\.[\w.-]+ | LS0tLS1CRUdJTiB(?:DRVJUSUZJQ0FUR|QVUJMSUMg|QR1AgUFVCTElD)\S* |
    [x*•.\-_#?=~+]{2,} | \.{3}.* | …
    """,
    re.IGNORECASE,
)
# A word, a dot, and a word that ends in a number of several digits: chosen, not declared.
_NUMBERED: Final = re.compile(r"[A-Za-z]\w*[.@_-]?[A-Za-z]\w*?\d{2,}")
_INTERPOLATION: Final = re.compile(r"\$\{[^}]+\}|\{\{[^}]+\}\}|\$\([^)]+\)|#\{[^}]+\}")
_JSON: Final = re.compile(r"\[?\{[ \t]*\\*[\"'][\w.-]+\\*[\"'][ \t]*:")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]*")
_PATH_OF_NAMES: Final = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]*)+")
_CALL_OR_INDEX: Final = re.compile(r"(?:new |await |not )?[A-Za-z_$][\w$.:<>*&]*[\(\[].*")
# `process.current_process().authkey`, `a[0].b(c)`, `x if y else z`, `a + b`, `None, secure=None`
_EXPRESSION: Final = re.compile(
    r"""(?x)
    (?:await\ |not\ |new\ )?[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*|\([^()]*\)|\[[^\]]*\])+[,;:)\]}]* |
    [A-Za-z_$][\w$.]*\s+(?:[-+*/%|&<>=!?]{1,3}|if|else|or|and|is|in|as|for)\s.* |
    [\w.()\[\]"']+,\s*\*{0,2}\w+(?:=|:\s|,|\)).*
    """
)
_OPEN_CALL: Final = re.compile(r"[A-Za-z_$][\w$.]*\([\w.,\s\[\]]*")
_CALLING: Final = re.compile(r"/?[A-Za-z_.][\w.]*(?:\((?:[a-z_]\w*=|[a-z_][\w.]*$|$)|\[\d*\]?$)")
_CONSTANT: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_STRING_PREFIX: Final = re.compile(r"(?i)(?:[brufn]|rb|br|rf|fr)[\"']")
_FORMAT: Final = re.compile(r"%[-+0-9.]*[sdrvqxif]|%\(\w+\)[sd]|\{[\w.!:\[\]]*\}|\\[nrt]")
_MASK_INSIDE: Final = re.compile(
    r"(?i)\*{3,}|•{3,}|x{5,}|\.{3}$|<[a-z][\w -]*>|your[-_ ]|placeholder|redacted|example|changeme|insert[-_ ]"
)
_SENTENCE: Final = re.compile(
    r"(?i)\b(?:the|your|you|is|are|was|a|an|of|to|for|in|on|must|should|please|enter|invalid|required|forgot|with|and|or|not|"
    r"has|have|been|cannot|can|this|that|it|be|no|new|confirm|incorrect|missing|wrong|failed|expired|reset|from|if|when)\b"
)


def _referred(text: str) -> bool:
    return bool(_REFERENCE.fullmatch(text)) or refers(text)


def masked(value: str) -> bool:
    """Whether `value` stands for a secret without being one: a reference, a mask, a placeholder, a call."""
    text = value.strip()
    return (
        text.lower() in PLACEHOLDER_VALUES
        or _counts(text)
        or (text[:1] in "$<{%[(" and not CRYPT.match(text) and not drawn_after_percent(text))
        or bool(_referred(text) or _MASK_INSIDE.search(text) or _INTERPOLATION.search(text))
        or bool(_OPEN_CALL.fullmatch(text) or (_PATH_OF_NAMES.fullmatch(text.rstrip("();")) and not _odd_path(text)))
        or (len(set(text)) < 3 and len(text) > 3)
    )


@lru_cache(maxsize=4096)
def literal_value(value: str, key: str, syntax: Syntax) -> bool:
    """Whether `value`, assigned to `key`, is itself the secret.

    False for references (`${VAR}`, `process.env.X`, `os.environ[...]`), masks, placeholders, names of types, calls and
    identifiers where the syntax makes code likely, and sentences. `syntax`: `quoted` is a string literal, `env` an
    unquoted `KEY=value`, `bare` an unquoted `key: value` or `key = value`.
    """
    text = value.strip()
    if syntax != "quoted" and not any(char.isdigit() for char in text):
        text = text.rstrip(",;")
    lowered = text.lower()
    if lowered.strip("()[]<>{}*_ -.") in PLACEHOLDER_VALUES or _caption(text) or _counts(text):
        return False
    if len(text) < 3 or lowered in PLACEHOLDER_VALUES or _referred(text) or _MASK_INSIDE.search(text):
        return False
    if (
        "://" in text
        or _INTERPOLATION.search(text)
        or (text.startswith(("/", "./", "../", "~/")) and text.count("/") > 1)
    ):
        return False
    if _JSON.match(text) or _calls_with_name(text):
        return False  # its own members say which of them are secret
    if made_up(text):
        return False
    if _CONSTANT.fullmatch(text) and secret_key_type(text) is not None:
        return False  # `E2E_PASSWORD`
    if text.isalpha() and len(text) < 4:
        return False
    if text.isalnum() and text[-1:].isalpha() and words_of(text)[-1:] == words_of(key)[-1:]:
        return False  # `Ed25519PrivateKey, Ed25519PublicKey`
    if is_weak_key(key):
        return _drawn(text, key)
    kind = secret_key_type(key)
    if kind != "PASSWORD" and re.fullmatch(r"[\d.\s:/-]+", text):
        return text.isdigit() and len(text) >= _DRAWN_DIGITS and len(set(text)) > 5
    if text.isdigit() and len(text) < 4:
        return False
    if not any(char.isalnum() for char in _FORMAT.sub("", text)) or (len(set(text)) < 3 and len(text) > 3):
        return False
    if (
        _is_name_of_itself(text.rstrip(": ?").lstrip("_"), key)
        or plain_word(text.split(maxsplit=1)[0].rstrip("?*:….")) in PASSWORD_WORDS
    ):
        return False
    if _COUNTRY_KEY.fullmatch(key) and _OF_COUNTRIES.fullmatch(text):
        return False  # Palau
    if re.fullmatch(r"(?i)[a-z][\w.-]*:\w{0,5}", text) and not looks_random(text):
        return False  # a host and its port
    if _GIT_KEY.search(key) and re.fullmatch(r"[0-9A-Fa-f]{8,40}", text):
        return False
    if syntax == "bare" and key.isupper() and "_" in key and text.rstrip(".").isalpha() and text.istitle():
        return False  # a constant and what is said of it
    has_digit = any(char.isdigit() for char in text)
    if syntax != "quoted" and not _unquoted_literal(value.strip(), lowered, syntax, has_digit):
        return False
    if " " in text or "\t" in text:
        if _SENTENCE.search(text) and not _mostly_marks(text):
            return False
        if syntax == "bare":
            return any(_is_random(word) for word in text.split())
        if has_digit and _tells(text):
            return False
        if not has_digit and not (syntax == "quoted" and (drawn_words(text) or _mostly_marks(text))):
            return False  # a sentence, in whatever language
    return kind == "PASSWORD" or _strong_enough(text, has_digit)


def _calls_with_name(text: str) -> bool:
    """`dict(type=`, `auth[1`, `x.test(y.z`: the beginning of a call, as it stands before a quote or a bracket."""
    return _CALLING.match(text) is not None and not looks_random(text)


def _tells(text: str) -> bool:
    """Several words of which none is drawn: a caption with a number in it."""
    words = [word.strip(".,:;!?()[]\"'") for word in text.split()]
    plain = sum(len(word) > 1 and all(char.isalpha() or char in "'’-" for char in word) for word in words)
    return plain > len(words) // 2 and not any(_is_random(word) and not is_common(word) for word in words)


def _caption(text: str) -> bool:
    """Words beyond ASCII and nothing that words have not: what a translation says of a password, in whatever script."""
    if text.isascii() or any(char.isdigit() for char in text):
        return False
    return all(char in _CAPTION_MARKS or unicodedata.category(char)[0] in "LMZ" for char in text)


def _counts(text: str) -> bool:
    """Letters or digits in their order, or one short piece again and again: what somebody types who needs a value."""
    if _SEQUENCE.search(text) or (text.isdigit() and counts(text)):
        return True
    half = len(text) // 2
    return len(text) >= 16 and any(text.startswith(text[size:]) for size in range(1, min(half, 9)))


def _drawn(text: str, key: str) -> bool:
    """Whether what a weak key holds was drawn at random, and is no digest, id or reference."""
    if _NUMBER_KEY.search(key):
        return text.isdigit() and 4 <= len(text) <= 8 and len(set(text)) > 1
    if len(text) < 16 or " " in text or _IDENTITY.search(text) or _referred(text) or _LABELLED.fullmatch(text):
        return False
    if len(set(text)) < 8 or (_PATH_OF_NAMES.fullmatch(text) and not odd_case(text)):
        return False
    return looks_random(text)


def _mostly_marks(text: str) -> bool:
    """Generated from all printable characters, as the salts of web applications are: the words in it are chance."""
    marks = sum(not (char.isalnum() or char.isspace()) for char in text)
    return len(text) >= 32 and marks > len(text) // 6 and looks_random(text)


def _unquoted_literal(text: str, lowered: str, syntax: Syntax, has_digit: bool) -> bool:
    """The part of the judgement that tells unquoted values from code."""
    name = text.rstrip(",;)")
    odd_path = bool(_PATH_OF_NAMES.fullmatch(text)) and _odd_path(text)
    if lowered in TYPE_NAMES or (_EXPRESSION.fullmatch(text) and not odd_path) or _STRING_PREFIX.match(text):
        return False
    if (_CALL_OR_INDEX.fullmatch(text) and text[-1] in ")]},;:") or _OPEN_CALL.fullmatch(text):
        return False
    if name != text and _IDENTIFIER.fullmatch(name) and not (has_digit and name.isalnum()):
        return False  # `f(credentials=enforce_credentials,`
    if syntax == "env":
        return has_digit or not _PATH_OF_NAMES.fullmatch(text) or odd_path
    if text[-1] in ",;{([" or text[0] in "([{\"'`<>|=&*@!%" or "::" in text or "->" in text:
        return False
    if _PATH_OF_NAMES.fullmatch(text) and not odd_path:
        return False
    if _IDENTIFIER.fullmatch(text):
        if text.isalpha():
            return (text.islower() or text[1:].islower() or no_word(text)) and not is_common(text)
        return has_digit and not is_common(text) and not _snake_of_words(text)
    return True


def _odd_path(text: str) -> bool:
    """`o4NcwZ.OYOgB0` reads as a member of an object, but nobody names one so."""
    parts = [part for part in re.split(r"\.|::|->|\?\.", text) if part]
    if _NUMBERED.fullmatch(text) and "." in text and not is_common(text.rstrip("0123456789")):
        return True
    if len(parts) != 2:
        return looks_random(text)
    return looks_random(text) or odd_case(text) or any(len(part) >= 5 and surprise(part) >= _ODD_NAME for part in parts)


def _snake_of_words(text: str) -> bool:
    parts = [part for part in text.split("_") if part]
    return len(parts) > 1 and all(part.isalpha() or (part.isdigit() and len(part) < 3) for part in parts)


def _is_random(word: str) -> bool:
    return len(word) >= 6 and any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


def _strong_enough(text: str, has_digit: bool) -> bool:
    """Keys, tokens and secrets are generated: long, and not a word. Passwords may be anything."""
    if len(text) < 8 or is_common(text):
        return False
    if has_digit or (no_word(text) and (text.islower() or text.isupper() or odd_case(text))):
        return True
    if text.isalpha():
        mixed_case = not (text.islower() or text.isupper() or text.istitle())
        return len(text) >= 16 and mixed_case and len(words_of(text)) > len(text) // 5
    return len(text) >= 12 and not re.fullmatch(r"[A-Za-z]+(?:[-_. :/][A-Za-z]+)*", text)


def _is_name_of_itself(text: str, key: str) -> bool:
    """`password: "password_input"`, `TOKEN = "X-Auth-Token"`: the value names a thing and is not one."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(?:[-_. :/][A-Za-z0-9]+)*", text):
        return False
    if any(char.isdigit() for char in text):
        return False
    if is_common(text):
        return True
    words, own = set(words_of(text)), set(words_of(key))
    telling = own & words & _TELLING
    return bool(telling) and len(words) > 1
