"""Secrets that somebody tells in a sentence: "the password for the staging box is …", "log in as root with …", "mdp : …".

Grammar differs from language to language, what a password looks like does not: letters with digits or with marks that
no word has. So a word for the thing is looked for, and after it, past a few plain words, the first such value. The
nearer and plainer the link, the weaker the value may be.
"""

import re
from collections.abc import Iterator
from typing import Final

from localguard.detect import pairs, telling
from localguard.detect.chosen import has_number, is_chosen, is_code, is_strong, is_told, trimmed, unnamed
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.gated import Gated
from localguard.detect.keynames import is_weak_key, secret_key_type
from localguard.detect.literals import masked
from localguard.detect.pieces import pieces
from localguard.detect.prefilter import Gate
from localguard.detect.randomness import looks_random, no_word, odd_case
from localguard.detect.words import counts, drawn_words, is_distinctive

_ANY_THING: Final = f"(?:{telling.CHOSEN}|{telling.DRAWN}|{telling.NUMBER})"
_MIXED: Final = telling.MIXED
_GATES: Final[dict[str, str]] = {
    "prose/thing": _ANY_THING + r"[a-z]*[^\w\n(\[][^\n]*?" + _MIXED,
    "prose/as": r"[^\s][ \t\"'`](?:"
    + telling.AS
    + r"[ \t]+(?:\w+[ \t]+)?(?:\w+[ \t]+)?"
    + f"(?:{telling.CHOSEN}|{telling.DRAWN})"
    + r"|to[ \t]+(?:log|sign|connect|authenticate))",
    "prose/into": r"[A-Za-z][0-9][^\s]*[\"'`]?[ \t](?:in|into|for|to|as)[ \t]+(?:the[ \t]+|our[ \t]+)?[\"'`]?[\w.-]*(?i:key|token|secret|passw)",
    "prose/login": r"(?:^|[ \t])(?:" + telling.WITH + r")[ \t]+(?:[\w.@-]+[ \t]*/[ \t]*)?[\"'`]?[^\s\"'`]*" + _MIXED,
    "prose/handed": r"(?:^|[^\w.-])(?:"
    + telling.HANDED_OVER
    + "|"
    + telling.HANDED
    + r")[ \t]*[:,=-]?[ \t]+(?:[\w.@-]{2,20}[ \t]*/[ \t]*)?[\"'`]?[^\s\"'`/]*(?:[A-Za-z!@#$%&*._+-]\d|\d[A-Za-z])",
    "prose/phrase": telling.PHRASE
    + r"[\"'`*]*(?:[ \t]+[a-z][^\n:=]*)?(?:[ \t]*[:=]|[ \t]+(?:is|was|ist|est|es|lautet)\b:?)[ \t]*[\"'`]?[a-z]+[ -][a-z]+[ -][a-z]+[ -][a-z]+",
    "prose/letters": f"(?:{telling.CHOSEN})"
    + r"[a-z]*[\"'`*_)]*(?:[^\n=(){}\[\]<>;|/]*?(?::|->|=+>|→|[ \t](?:is|was|ist|lautet|est|es|on|to|auf|op|je|jest|er|(?:c'|\xe2\x80\x99)est|\xc3\xa8|\xc3\xa9|\xc3\xa4r|это|це|είναι)"
    + r"(?:[ \t]+(?:now|jetzt|nu|ora|maintenant|ahora|agora|teraz))?)[*_]*[ \t]+[\"'`*_]*[A-Za-z]{6}|[ \t]+[a-z]{8})",
    "prose/before": r"[0-9!@#$%^&*][^\s]*[\"'`]?[ \t]+(?:is|was|still|at|as|isn't|ist|est|es|era|\xc3\xa8|\xc3\xa9|\xc3\xa4r|er|je|to|noch|ancora|toujours)[ \t]+(?:\w+[ \t]+)?(?:\w+[ \t]+)?(?:\w+[ \t]+)?"
    + f"(?:{telling.CHOSEN})",
    **pairs.GATES,
}
_THING: Final = re.compile(
    r"(?:(?<![\w$.\[/?&-])|(?<=[A-Za-zÀ-ÿ]-)|(?<=[A-Z]_)|(?<=[a-zäöüß])(?=(?i:passwort|kennwort|schl|l.senord|wachtwoord|sleutel|passord|kodeord|salasana|n.kkel|nyckel)))(?:(?P<chosen>"
    + telling.CHOSEN
    + r")|(?P<number>"
    + telling.NUMBER
    + r")|(?P<drawn>"
    + telling.DRAWN
    + r"))"
    r"(?P<ending>[^\W\d_]{0,4})(?![\w(\[\\/.-][^\s])|(?P<ideographs>密码|密碼|口令|パスワード|暗証番号|비밀번호|암호)[是为為はがを는은이가를]?"
)
_TOKEN: Final = re.compile(
    r"[ \t]*(?:[*_(]{0,3}[\"'`“”‘’«»„]{1,3}\s?(?P<quoted>[^\s\"'`“”‘’«»„]{3,})\s?[\"'`”’»“]{1,3}[*_)]{0,3}"
    r"|(?P<mark>\*{1,3}|_{1,3})(?P<marked>[^\s*_][^\s]*?)(?P=mark)(?![\w*])|\((?P<inner>[^\s()\"'`]{4,})\)"
    r"|(?P<link>[:=：→–—-]+>?)(?=[\s\"'`A-Za-z0-9])|(?P<close>[\"'`”’»)(|]|[*_]+(?=[\s:]))|(?P<bare>[^\s\"'`“”‘’«»„,;<>(){}\[\]|\u3000-\u9fff\uac00-\ud7af\uff00-\uff5e]+)|(?P<stray>[*_])|(?P<comma>,))"
)
_WORD: Final = re.compile(
    r"(?:[^\W\d_]|['’.-])+|@\w+|\d{1,3}|[a-z][\w.+-]*@[a-z][\w.-]*:?|[a-z]{1,12}-?\d{1,3}|\d{1,3}(?:\.\d{1,3}){3}|https?://\S+|[A-Za-z]\w*_\w+|[~/][\w./~-]*"
)
_LINK: Final = re.compile(telling.IS)
_SEVERAL: Final = frozenset({"to", "auf", "a", "à", "in", "na", "naar", "till", "til", "en", "zu"})
_WORDS: Final = 9  # plain words between the thing and its value
_NUMBERED_NAME: Final = re.compile(r"[A-Za-z]+\d[A-Za-z]{0,2}")  # programs and protocols: `ssh2`
_ASSIGNED: Final = re.compile(r"[a-z][a-z_.-]{1,30}=.")
_ARGUMENT: Final = re.compile(r"[\"']?,\s+(?:\w+:\s|:\w|nil\b|None\b|null\b|\w+\s?=>?\s|[{\[])")
_NUMBER: Final = re.compile(r"\d{4,8}")
_PINNED: Final = re.compile(  # "pin openssl to 1011": a version
    r"(?i)pin\s+(?!(?:code|number|nr|no|for|of|on|in|from|is|was|to|at|für|zu|de|del|pour)\b)[\w.@/-]+(?:\s+[\w.@/-]+)?\s+(?:to|at|on)\s"
)
_USED_AS: Final = re.compile(
    r"(?P<value>[^\s\"'`“”«»,;()]{4,})[\"'`”»]{0,2}\s+(?:"
    + telling.AS
    + r"\s+(?:\w+\s+){0,2}?(?:"
    + telling.CHOSEN
    + r"|(?P<drawn>"
    + telling.DRAWN
    + r"))|(?:in|into|for|to|as)\s+(?:the\s+|our\s+)?[\"'`]?(?P<key>[A-Za-z][\w.-]{2,40})|to\s+(?:log|sign|connect|authenticate)\b)"
)
_BEFORE: Final = re.compile(
    r"(?:^|(?<=[\s\"'`*(]))(?P<value>[^\s\"'`“”«»,;()<>]{5,64})[\"'`*”»]{0,2}\s+(?:is|was|still|at|as|isn't|ist|est|es|era|è|é|är|er|je|to|noch|ancora|toujours)\s+"
    r"(?:(?:the|our|my|a|his|her|their|your|das|der|die|le|la|el|il|het|det|still|noch|right|correct|old|new|current|admin|root|db|wifi|wi-fi)\s+){0,3}(?:"
    + telling.CHOSEN
    + r")(?![\w-])"
)
_LOGGED: Final = re.compile(
    r"(?<!\w)"
    + telling.LOGIN
    + r"\b[^\n]{0,60}?(?<!\w)(?:"
    + telling.WITH
    + r")\s+(?:[\w.@-]{1,40}\s*/\s+)?[\"'`]?(?P<value>[^\s\"'`,;()]{4,})"
)
_HANDED: Final = re.compile(
    r"(?<![\w.-])(?:(?P<outright>"
    + telling.HANDED_OVER
    + ")|"
    + telling.HANDED
    + r")\s*(?P<mark>[:,=-])?\s+(?P<user>[\w.@-]{2,20}\s*/\s*)?[\"'`]?(?P<value>[^\s\"'`,;()<>]{6,64})"
)
_PHRASE: Final = re.compile(
    telling.PHRASE
    + r"[\"'`*]*(?:\s+(?:for|to|of|f\u00fcr|von|pour|de|para)(?:\s+\w+){1,4}?)?(?:\s*[:=]|\s+(?:is|was|ist|est|es|lautet)\b:?)\s*[\"'`]?(?P<value>[a-z]{3,14}(?:(?: [a-z]{3,14}){3,11}|(?:-[a-z]{3,14}){3,11}))(?=[\"'`.,;]|\s*$)",
    re.MULTILINE,
)
_NUMBERED_WORD: Final = re.compile(r"[A-Za-z]{4,}\d{2,4}[!.?*#$-]?")
_HYPHENED: Final = re.compile(r"[a-z]+(?:-[a-z]+){1,4}-?\d{2,4}")


class ProseEngine(Gated):
    """Reads sentences behind its gates."""

    def __init__(self) -> None:
        super().__init__(
            [
                Gate(name, pattern.encode(), apart=True, context=True, together=_PASSES.get(name, "commands"))
                for name, pattern in _GATES.items()
            ]
        )

    def examine(self, window: Window) -> Iterator[Finding]:
        """The secrets told in the sentences of `window`; offsets are in the whole text."""
        self.load()
        for name, pattern in self._patterns.items():
            if name in window.gates:
                read = _READERS[name]
                for piece in pieces(window, pattern):
                    for start, end, kind in read(piece.text):
                        if piece.holds(start, end):
                            value = piece.text[start:end]
                            yield piece.finding(
                                start, end, kind, DataClass.SECRET, name, distinctive=is_distinctive(value)
                            )


_PASSES: Final = (
    {"prose/thing": "prose", "prose/credentials": "prose"}
    | dict.fromkeys(("prose/both", "prose/set", "prose/short", "prose/into", "prose/phrase", "prose/letters"), "pairs")
    | {"prose/user": "users"}
)
_Span = pairs.Span


def _things(text: str) -> Iterator[_Span]:
    """After each word for a secret its value, and the next one of "from … to …"."""
    for found in _THING.finditer(text):
        if found["ending"] not in ("", "s") and found[0].lower().startswith("pw"):
            continue  # `pwrite`
        if (found["number"] and found["ending"]) or (found["drawn"] and not _own_name(text, found)):
            continue
        if found["number"] and _PINNED.match(text, found.start()):
            continue
        if found["drawn"] and (found["ending"] in ("id", "ids") or _PUBLIC_BEFORE.search(text[: found.start()][-60:])):
            continue
        if _ARGUMENT.match(text, found.end()) and text[max(0, found.start() - 1) : found.start()] in (":", "'", '"'):
            continue  # `:password, class: "x"`, `'password', nil`: an argument, and others after it
        position, words, linked, several, link = found.end(), 0, False, False, ""
        while words <= _WORDS and (token := _TOKEN.match(text, position)) is not None:
            position = token.end()
            group = next((name for name in ("quoted", "marked", "inner", "bare") if token[name]), "")
            if not group:
                if found["drawn"] and token["link"] == "==":
                    break  # what a test compares
                linked, link = linked or bool(token["link"]), token["link"] or link
                words += bool(token["comma"])
                continue
            start, end = token.span(group)
            if group == "bare":
                start, end = trimmed(text, start, end)
                if text.endswith("**", start, end) and text.count("**", 0, start) % 2:
                    end -= 2  # what was emphasised began before the value
            else:
                start = unnamed(text, start, end)
            value = text[start:end]
            if (several and not linked and value.lower() not in _SEVERAL and not _LINK.fullmatch(value)) or (
                words and _ASSIGNED.match(value)
            ):
                break
            if found["drawn"] and not linked and _PUBLIC_NAME.fullmatch(value):
                break
            kind = _kind(found, value, near=linked or words == 0, linked=linked, quoted=group != "bare")
            if kind is None and found["chosen"] and (linked or not words):
                behind_quote = group == "bare" and text[start - 1 : start] in ("'", '"', "`", "«", "„", "“")
                kind = "PASSWORD" if not behind_quote and _is_odd(found["ending"], value, link) else None
            if kind and text[end : end + 1] not in ("(", "["):
                yield start, end, kind
                several = True
            elif text[end : end + 1] == "(":
                break  # a call
            elif not (_WORD.fullmatch(value) or (linked and group == "bare" and words == 0)):
                break
            if text[end:position].endswith(("!", "?")) or (text[end:position] == "." and words):
                break
            if not (linked and value.lower() in telling.NOW):
                linked = bool(_LINK.fullmatch(value)) or text[end:position].startswith(":")
                link = value.lower() if linked and text[end:position] != ":" else ":" if linked else ""
            words += 1


def _own_name(text: str, found: re.Match[str]) -> bool:
    """Whether a word for what is generated stands by itself, or ends a name that holds such: no `PUBLIC_KEY`, no `recv-keys`."""
    if text[max(0, found.start() - 1) : found.start()] not in ("-", "_"):
        return True
    lead = re.search(r"[\w-]*\Z", text[max(0, found.start() - 40) : found.start()])
    name = (lead[0] if lead else "") + found["drawn"] + found["ending"]
    return secret_key_type(name) is not None and not is_weak_key(name)


def _kind(found: re.Match[str], value: str, *, near: bool, linked: bool, quoted: bool) -> str | None:
    """The type of `value` after the thing `found`, or None where it is no secret."""
    if found["number"] and _NUMBER.fullmatch(value):
        return "PASSWORD" if near and len(set(value)) > 1 else None
    if found["number"] and not re.fullmatch(r"[0-9A-Z-]{4,12}", value):
        return None  # "pin the runner to ubuntu-20"
    if linked and found["chosen"] and drawn_words(value, 3) and " " not in value:
        return "PASSWORD"
    if is_code(value) and not (looks_random(value) and "/" not in value and "\\" not in value):
        return None
    if found["drawn"]:
        drawn = len(value) >= 12 and not masked(value) and not _IDENTITY.match(value) and looks_random(value)
        if drawn and (near or len(value) >= 16):
            return secret_key_type(found["drawn"]) or "API_KEY"
        if linked and not quoted and value.islower() and no_word(value):
            return "SECRET"
        return "SECRET" if near and is_told(value) and is_strong(value) and not _IDENTITY.match(value) else None
    if not is_told(value):
        number = re.fullmatch(r"\d{6,8}", value) and len(set(value)) > 2 and not counts(value)
        return "PASSWORD" if linked and number else None
    return "PASSWORD" if near or quoted or is_strong(value) else None


def _is_odd(ending: str, value: str, link: str) -> bool:
    """Letters that make no word, told as a password: the plainer that, the fewer may they be.

    "to" and its like say in what or to whom as well as what; and a name begins with a capital.
    """
    if len(ending) > 3 or value.istitle() or value.isupper():
        return False
    return no_word(value, 6 if link and link not in _SEVERAL | {"on"} else 8)


_IDENTITY: Final = re.compile(
    r"(?i)sha\d|md5|[0-9a-f]{8}-[0-9a-f]{4}-|0x|AAAA|M[IE][IGE][A-Z]|.*[<>(){}]|.*\.(?:js|css|py|html?|json)$|draft-[a-z]|(?-i:MFkwEwYH|MHYwEAYH|MCowBQYD)|(?-i:[0-9A-F]{40}$)|(?:[a-z][\w.]*-)+[0-9a-f]{32,64}$"
)


_PUBLIC_BEFORE: Final = re.compile(
    r"(?i)(?:\b(?:public|publishable|site|pub|host|primary|foreign|cache|sort|partition|signature|verify|verification|peer|rsa|dsa|gpg|pgp|recv|signing)\b[-_ ]?|"
    r"\b(?:signature|gpg|pgp|fingerprint)\b[^\n]{0,24})\Z"
)
_PUBLIC_NAME: Final = re.compile(
    r"(?i)fingerprints?|ids?|hash|digest|checksum|thumbprint|signature|algorithm|arn|uuid|version|name|type"
)


def _used(text: str) -> Iterator[_Span]:
    for found in _USED_AS.finditer(text):
        value, key = found["value"], found["key"]
        if key is not None and secret_key_type(key) is None:
            continue
        if (key is not None or found["drawn"]) and not (len(value) >= 16 and looks_random(value)):
            continue
        if not is_code(value) and (is_told(value) or looks_random(value)):
            yield *found.span("value"), "PASSWORD"


def _before(text: str) -> Iterator[_Span]:
    """A value of which somebody says, or asks, whether it is the password."""
    for found in _BEFORE.finditer(text):
        start, end = trimmed(text, *found.span("value"))
        value = text[start:end]
        if is_told(value) and not is_code(value) and has_number(value) and "@" not in value[1:-1]:
            yield start, end, "PASSWORD"


def _handed(text: str) -> Iterator[_Span]:
    """A value that no word announces: it must look chosen or drawn, the more so the less plainly it is handed over."""
    for found in _HANDED.finditer(text):
        start, end = found.span("value")
        trimmed_start, trimmed_end = trimmed(text, start, end)
        start, end = trimmed_start, end if found["outright"] else trimmed_end
        value = text[start:end]
        if is_code(value) or not is_told(value) or value.isupper() or text[end : end + 1] == "(":
            continue
        outright = bool(found["outright"] or found["mark"] == ":" or found["user"])
        kinds = sum((any(map(kind, value)) for kind in (str.isupper, str.islower, str.isdigit)), 0)
        marked = kinds == 3 and bool(re.search(r"[!@#$%^&*~+]", value.rstrip("!")))
        drawn = kinds == 3 and looks_random(value) and value.isascii() and not _IDENTITY.match(value)
        drawn = drawn and (outright or odd_case(value) or len(value) >= 14)
        named = outright and _NUMBERED_WORD.fullmatch(value)
        hyphened = found["outright"] and _HYPHENED.fullmatch(value)
        if marked or drawn or named or hyphened or is_chosen(value):
            yield start, end, "PASSWORD"


def _phrases(text: str) -> Iterator[_Span]:
    """Words drawn from a list, after a word for a passphrase: none that makes a sentence of them."""
    for found in _PHRASE.finditer(text):
        if drawn_words(found["value"]):
            yield *found.span("value"), "PASSWORD"


def _logins(text: str) -> Iterator[_Span]:
    for found in _LOGGED.finditer(text):
        start, end = trimmed(text, *found.span("value"))
        value = text[start:end]
        if (
            is_told(value)
            and not is_code(value)
            and not re.fullmatch(telling.EMAIL, value)
            and not _NUMBERED_NAME.fullmatch(value)
        ):
            at = value.find("/") if re.match(r"[\w.@-]+/", value) else -1
            yield start + at + 1, end, "PASSWORD"


_READERS: Final = {
    "prose/thing": _things,
    "prose/as": _used,
    "prose/into": _used,
    "prose/letters": _things,
    "prose/before": _before,
    "prose/login": _logins,
    "prose/handed": _handed,
    "prose/phrase": _phrases,
    **pairs.READERS,
}
