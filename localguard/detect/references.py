"""What stands where a secret would and only says where to get it: variables, templates, paths, lookups, calls.

The forms are those of shells, configuration languages, template engines, secret stores and programming languages. A
password that happens to look like one of them is left alone: `$DB_PASSWORD`, `((db-password))`, `vault:app/db#pw`.
"""

import re
from functools import lru_cache
from typing import Final

from localguard.detect.randomness import looks_random

_VARIABLE: Final = re.compile(
    r"""(?ix)
    -?\\*\$+\w+ | \\*\$+\w+:\w+ | \\*\$+\w+(?:(?:->|\?->|::|\.)\w+|\[[^\]]*\])+ | -?\\*\$+\{.*\} | \$\{[^}:]* | -?\$+\(.*\) | \$\[.*\] |
    %~?\w+%? | %[\w()]+% | %\w+\([\w.:-]*\)% | %\([\w.-]+\)[sd] | !\w+! | \d?%\d\$[sd] |
    @@?[\w./-]+@@? | __[a-z][\w.-]*__ | \#\{.*\}\#? | \#[a-z]\w*\# |
    \{\{.*\}\} | \{[\w.\[\]!:"'\x20-]*\} | \(\(.*\)\) | \[%.*%\] | <[^>]*> | <%.*%> | <\?.*\?> | \[[\w\x20.-]*\] | `[^`]*` |
    !\w+(?:\s.*)? | \*\w+ | &\w+ | [:@?]\w*(?:passw|pwd|secret|token|key)\w* | @:[\w.]+ | \?\d*
    """
)
_LOOKUP: Final = re.compile(
    r"""(?ix)
    (?:process\.env|import\.meta\.env|os\.environ|os\.getenv|system\.getenv|env|getenv|secrets|vars|var|local|data|module|config|conf|
       settings|self|this|cls|args|options|opts|params|props|state|request|req|ctx|context|app|user\d?|form)
       (?:\.[\w.\[\]"'-]+|\[.*\]|\(.*\))[!?]? |
    (?:vault|ssm|arn:aws|awssm|gcpsm|op|keyring|keychain|secretsmanager|azurekeyvault|file|ref|env|secret|enc|sops):\S* | ref:\s\w+ |
    [a-z][a-z0-9+.-]{1,20}://[^\s@]* | @microsoft\.keyvault\(.*\) |
    ~?\.{0,2}/[\w.~-]+(?:/[\w.~-]+)+ | ~/[\w./-]+ | [a-z]:\\.*
    """
)
# `secret/data/app/db`, `kv/app#password`: names all the way, at least two of them below another or a field of one.
# `corev1.Secret{}`, `&v1.SecretReference{Name: name}`: a value of a type; `auth_token=auth_token`: the next argument.
_CONSTRUCTED: Final = re.compile(r"[&*]?(?:\[\])?[A-Za-z_]\w*(?:(?:\.|::)[A-Za-z_]\w*)*\{.*\}?[;,)]*")
_ARGUMENT: Final = re.compile(
    r"[a-z]+_[a-z_]+=|([a-z_]\w*)\s?=\s?(?:\1|[A-Z][A-Z0-9_]{3,}|[a-z_]+(?:\.[a-z_]+)*|None|\[\]|\{\})[,;)]*"
)
_ELIDED: Final = re.compile(
    r"(?i)\w*(?:…|\.{3,}|\[\.{3}\]|<?-*\s*(?:snip|truncated|redacted|omitted)\s*-*>?)+\S*|\S*(?:…|\.{3})\S*"
)
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}.*[%=&]|%[0-9A-F]{2}")
_STORED: Final = re.compile(
    r"(?i)(?:secrets?|vault|kv\d?|ssm|credentials?|creds|op|pass|env|config|keyring|sm)/[\w./-]+|[a-z][\w.-]*/(?:[\w.-]*[_-])?(?:password|passwd|secret|token|key)s?"
)
_PATH: Final = re.compile(r"[a-z][a-z_.-]*\d{0,3}(?:/[a-z0-9][a-z0-9_.-]*)+(?:/[a-z0-9][\w.-]*|#[\w.-]+)")
_CALL: Final = re.compile(
    r"(?:await |new )?(?:[a-z_$][\w$]*|[A-Za-z_$][\w$]*(?:(?:\.|::|->)[A-Za-z_$][\w$]*)+)[!?]?\(.*\)[;,]?|"
    r"[A-Za-z_$][\w$.]*\[[:\"'].*\]"
)


@lru_cache(maxsize=8192)
def refers(value: str) -> bool:
    """Whether `value` only names the place where the secret is."""
    text = value.strip()
    if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    if drawn_after_percent(text):
        return False
    if _VARIABLE.fullmatch(text) or _LOOKUP.fullmatch(text) or _CALL.fullmatch(text) or _ELIDED.fullmatch(text):
        return True
    if (_CONSTRUCTED.fullmatch(text) or _ARGUMENT.fullmatch(text)) and not looks_random(text):
        return True
    return bool(_PATH.fullmatch(text) or _STORED.fullmatch(text)) and not looks_random(text)


def drawn_after_percent(text: str) -> bool:
    """A drawn value that begins with `%`, as no variable of a shell on Windows does: that has another at its end."""
    return text[:1] == "%" and text[-1:] != "%" and looks_random(text) and not _ESCAPED.match(text)
