"""Which keys hold secrets, by the words of their names, and which values assigned to them are literal."""

import re
from functools import lru_cache
from typing import Final, Literal

from localguard.detect.words import PLACEHOLDER_VALUES, TYPE_NAMES, is_common, word_set, words_of

Syntax = Literal["quoted", "env", "bare"]

# RE2: a word without which no key is secret. Looser than `secret_key_type`, which decides.
KEY_WORD: Final = (
    r"(?i:pass(?:word|wd|phrase|code)?|pwd|pswd|secret|token|credentials?|bearer|cookie|"
    r"(?:api|access|auth|private|secret|sign(?:ing)?|encrypt(?:ion)?|crypto|account|shared|master|service|client|license|"
    r"subscription|storage|ssh|jwt|session|webhook|admin|root|hmac|aes|app|application|deploy|publish(?:ing)?|write|"
    r"instrumentation|registration|integration|consumer|csrf|data|datadog|dd|db|database)[_.\- ]?key)"
)

# Words after the telling one that change nothing: `password_prod`, `api_key_2`, `token_value`.
_NEUTRAL: Final = word_set(
    """
    0 1 2 3 4 5 6 7 8 9 prod production dev development stage staging test testing qa uat live sandbox local main master
    primary secondary tertiary old new current previous backup default value val raw plain plaintext clear cleartext text
    b64 base64 encoded enc str string eu us asia global internal external override
    """
)

_PASSWORD: Final = frozenset({"password", "passwd", "passphrase", "passcode", "pass", "pwd", "pswd", "passwort", "pw"})
_TOKEN: Final = frozenset({"token", "bearer", "jwt"})
_SECRET: Final = frozenset({"secret", "credential", "credentials"})
_KEY_OWNERS: Final = word_set(
    """
    api access auth private secret sign signing encrypt encryption crypto account shared master service client license
    subscription storage ssh jwt session webhook admin root hmac aes app application deploy publish publishing write
    instrumentation registration integration consumer csrf data datadog dd db database
    """
)
# Lower-case compounds without a separator, longest first: `dbpassword`, `authtoken`, `clientsecret`.
_COMPOUNDS: Final = (
    ("passphrase", "PASSWORD"),
    ("password", "PASSWORD"),
    ("passwd", "PASSWORD"),
    ("secretkey", "SECRET"),
    ("accesskey", "API_KEY"),
    ("privatekey", "SECRET"),
    ("authkey", "API_KEY"),
    ("accountkey", "API_KEY"),
    ("masterkey", "SECRET"),
    ("signingkey", "SECRET"),
    ("apikey", "API_KEY"),
    ("secret", "SECRET"),
    ("token", "ACCESS_TOKEN"),
    ("pwd", "PASSWORD"),
)
# Words before that turn a token or secret into something else.
_NOT_SECRET_OWNERS: Final = word_set(
    """
    csrf xsrf next page continuation start end stop pad eos bos unk mask sep cls special cancel cancellation max min num
    total count prompt completion input output current lexer syntax public no has is use show hide forgot reset require
    requires required needs with without allow enable disable by pagination sync resume cursor get set delta
    """
)


@lru_cache(maxsize=8192)
def secret_key_type(key: str) -> str | None:
    """The type of what a key of this name holds (`PASSWORD`, `API_KEY`, `ACCESS_TOKEN`, `SECRET`), or None.

    The last telling word decides: `DB_PASSWORD_PROD` is a password, `password_file`, `token_url`, `max_tokens` and
    `secret_name` hold none.
    """
    words = words_of(key[-80:])
    while words and (words[-1] in _NEUTRAL or words[-1].isdigit()) and len(words) > 1:
        words.pop()
    if not words:
        return None
    last, owner = words[-1], words[-2] if len(words) > 1 else ""
    if last in _PASSWORD:
        if last in ("pass", "pw") and not (owner or key.strip("-_.\"' ").lower() in ("pass", "pw")):
            return None
        return (
            None
            if owner in _NOT_SECRET_OWNERS and owner not in ("get", "set", "current", "reset", "root")
            else "PASSWORD"
        )
    if last in _TOKEN:
        return None if owner in _NOT_SECRET_OWNERS or "public" in words else "ACCESS_TOKEN"
    if last in _SECRET:
        return None if owner in _NOT_SECRET_OWNERS else "SECRET"
    if last == "key":
        if owner in _KEY_OWNERS:
            return (
                "SECRET"
                if owner in ("secret", "private", "sign", "signing", "encrypt", "encryption", "master")
                else "API_KEY"
            )
        return None
    for ending, kind in _COMPOUNDS:
        if last.endswith(ending) and len(last) > len(ending) - 1:
            head = last[: -len(ending)]
            return None if head in _NOT_SECRET_OWNERS or (ending == "pwd" and head == "c") else kind
    return None


_REFERENCE: Final = re.compile(
    r"""(?x)
    \$\{[^}]*\} | \$\([^)]*\) | \$\w+ | %\w+% | %\(\w+\)s | %[sdvq] | \{\{.*\}\} | \{[\w.\[\]!:"' ]*\} | <[^>]*> | \[[\w .-]*\] |
    @[\w./-]+@ | \#\{[^}]*\} | <%.*%> | \$\[\[?.*\]\] | `[^`]*` | !\w+(?:\s.*)? | \*\w+ | &\w+ |
    (?:process\.env|import\.meta\.env|os\.environ|os\.getenv|System\.getenv|ENV|env|getenv|secrets|vars|var|local|data|
       module|config|settings|self|this|cls|args|options|opts|params|props|request|req|ctx|context|app)
       (?:\.[\w.\[\]"'-]+|\[.*\]|\(.*\)) |
    (?:vault|ssm|arn:aws|awssm|gcpsm|op|keyring|keychain|secretsmanager|azurekeyvault|file|ref|env|secret|enc|sops):\S* |
    ENC\[.*\]? | file://.* |
    [x*•.\-_#?=~+]{2,} | \.{3}.* | …
    """,
    re.IGNORECASE,
)
_INTERPOLATION: Final = re.compile(r"\$\{[^}]+\}|\{\{[^}]+\}\}|\$\([^)]+\)|#\{[^}]+\}")
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
_STRING_PREFIX: Final = re.compile(r"(?i)(?:[bruf]|rb|br|rf|fr)[\"']")
_FORMAT: Final = re.compile(r"%[-+0-9.]*[sdrvqxif]|%\(\w+\)[sd]|\{[\w.!:\[\]]*\}|\\[nrt]")
_MASK_INSIDE: Final = re.compile(
    r"(?i)\*{3,}|•{3,}|x{5,}|\.{3}$|<[a-z][\w -]*>|your[-_ ]|placeholder|redacted|example|changeme|insert[-_ ]"
)
_SENTENCE: Final = re.compile(
    r"(?i)\b(?:the|your|you|is|are|was|a|an|of|to|for|in|on|must|should|please|enter|invalid|required|forgot|with|and|or|not|"
    r"has|have|been|cannot|can|this|that|it|be|no|new|confirm|incorrect|missing|wrong|failed|expired|reset|from|if|when)\b"
)


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
    if len(text) < 3 or lowered in PLACEHOLDER_VALUES or _REFERENCE.fullmatch(text) or _MASK_INSIDE.search(text):
        return False
    if (
        "://" in text
        or _INTERPOLATION.search(text)
        or (text.startswith(("/", "./", "../", "~/")) and text.count("/") > 1)
    ):
        return False
    kind = secret_key_type(key)
    if text.isdigit() and (len(text) < 4 or kind != "PASSWORD"):
        return False
    if re.fullmatch(r"[\d.\s:/-]+", text) and kind != "PASSWORD":
        return False
    if not any(char.isalnum() for char in _FORMAT.sub("", text)) or (len(set(text)) < 3 and len(text) > 3):
        return False
    if _is_name_of_itself(text.rstrip(": ?"), key):
        return False
    has_digit = any(char.isdigit() for char in text)
    if syntax != "quoted" and not _unquoted_literal(value.strip(), lowered, syntax, has_digit):
        return False
    if " " in text or "\t" in text:
        if _SENTENCE.search(text):
            return False
        if syntax == "bare":
            return any(_is_random(word) for word in text.split())
        if not has_digit and (len(text.split()) < 4 or syntax != "quoted"):
            return False
    return kind == "PASSWORD" or _strong_enough(text, has_digit)


def _unquoted_literal(text: str, lowered: str, syntax: Syntax, has_digit: bool) -> bool:
    """The part of the judgement that tells unquoted values from code."""
    name = text.rstrip(",;)")
    if lowered in TYPE_NAMES or _EXPRESSION.fullmatch(text) or _STRING_PREFIX.match(text):
        return False
    if (_CALL_OR_INDEX.fullmatch(text) and text[-1] in ")]},;:") or _OPEN_CALL.fullmatch(text):
        return False
    if name != text and _IDENTIFIER.fullmatch(name) and not (has_digit and name.isalnum()):
        return False  # `f(credentials=enforce_credentials,`
    if syntax == "env":
        return not (_PATH_OF_NAMES.fullmatch(text) and not has_digit)
    if text[-1] in ",;{([" or text[0] in "([{\"'`<>|=&*@!%" or "::" in text or "->" in text:
        return False
    if _PATH_OF_NAMES.fullmatch(text):
        return False
    if _IDENTIFIER.fullmatch(text):
        if text.isalpha():
            return (text.islower() or text[1:].islower()) and not is_common(text)
        return has_digit and not is_common(text) and not _snake_of_words(text)
    return True


def _snake_of_words(text: str) -> bool:
    parts = [part for part in text.split("_") if part]
    return len(parts) > 1 and all(part.isalpha() or (part.isdigit() and len(part) < 3) for part in parts)


def _is_random(word: str) -> bool:
    return len(word) >= 6 and any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


def _strong_enough(text: str, has_digit: bool) -> bool:
    """Keys, tokens and secrets are generated: long, and not a word. Passwords may be anything."""
    if len(text) < 8 or is_common(text):
        return False
    if has_digit:
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
    telling = own & words & (_PASSWORD | _TOKEN | _SECRET | {"key"})
    return bool(telling) and len(words) > 1
