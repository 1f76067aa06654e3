"""Secrets that somebody tells in a sentence: "the password for the staging box is …", "log in as root with …", "mdp : …".

Grammar differs from language to language, what a password looks like does not: letters with digits or with marks that
no word has. So a word for the thing is looked for, and after it, past a few plain words, the first such value. The
nearer and plainer the link, the weaker the value may be.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from localguard.detect import telling
from localguard.detect.context_validators import told
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.gated import Gated
from localguard.detect.keynames import secret_key_type
from localguard.detect.literals import masked
from localguard.detect.pieces import pieces
from localguard.detect.prefilter import Gate
from localguard.detect.randomness import looks_random, odd_case
from localguard.detect.words import is_common, is_distinctive

_ANY_THING: Final = f"(?:{telling.CHOSEN}|{telling.DRAWN}|{telling.NUMBER})"
_MIXED: Final = r"(?:[A-Za-z][0-9!@#$%^&*+?~]|[0-9][A-Za-z]|[0-9]{4}|[A-Za-z0-9]-[A-Za-z0-9])"
_GATES: Final[dict[str, str]] = {
    "prose/thing": _ANY_THING + r"[a-z]*[^\w\n(\[][^\n]*?" + _MIXED,
    "prose/as": r"[^\s][ \t\"'`](?:"
    + telling.AS
    + r"[ \t]+(?:\w+[ \t]+)?(?:\w+[ \t]+)?"
    + telling.CHOSEN
    + r"|to[ \t]+(?:log|sign|connect|authenticate))",
    "prose/login": r"(?:^|[ \t])(?:" + telling.WITH + r")[ \t]+[\"'`]?[^\s\"'`]*" + _MIXED,
    "prose/credentials": r"(?:" + telling.CREDENTIALS + r")[\"'`]?[ \t:][^\n]*?[/:|][ \t]*[\"'`]?[^\s/]*" + _MIXED,
    "prose/handed": r"(?:^|[^\w.-])(?:"
    + telling.HANDED_OVER
    + "|"
    + telling.HANDED
    + r")[ \t]*[:,=-]?[ \t]+(?:[\w.@-]{2,20}[ \t]*/[ \t]*)?[\"'`]?[^\s\"'`/]*(?:[A-Za-z!@#$%&*._+-]\d|\d[A-Za-z])",
    "prose/phrase": telling.PHRASE
    + r"[\"'`*]*(?:[ \t]*[:=]|[ \t]+(?:is|was|ist|est|es|lautet)\b:?)[ \t]*[\"'`]?[a-z]+[ -][a-z]+[ -][a-z]+[ -][a-z]+",
    "prose/pair": r"(?:"
    + telling.USERS
    + r"|@[\w-]+\.[\w.-]+)[\"'`]?(?:[ \t]*[/:|][ \t]*|[ \t]+)[\"'`]?[^\s/]*"
    + _MIXED,
}
_THING: Final = re.compile(
    r"(?<![\w$.\[/?&-])(?:(?P<chosen>"
    + telling.CHOSEN
    + r")|(?P<number>"
    + telling.NUMBER
    + r")|(?P<drawn>"
    + telling.DRAWN
    + r"))"
    r"(?P<ending>[^\W\d_]{0,4})(?![\w(\[\\/.-][^\s])|(?P<ideographs>密码|密碼|口令|パスワード|暗証番号|비밀번호|암호)[是为為はがを는은이가를]?"
)
_TOKEN: Final = re.compile(
    r"[ \t]*(?:(?P<open>[\"'`“”‘’«»„*_(]{1,3})\s?(?P<quoted>[^\s\"'`“”‘’«»„]{3,}?)\s?(?=[\"'`”’»“*_)]{1,3})[\"'`”’»“*_)]{1,3}"
    r"|(?P<link>[:=：→–—-]+>?)(?=[\s\"'`A-Za-z0-9])|(?P<bare>[^\s\"'`“”‘’«»„,;<>(){}\[\]|\u3000-\u9fff\uac00-\ud7af\uff00-\uff5e]+)|(?P<close>[\"'`”’»*_)|])|(?P<comma>,))"
)
_WORD: Final = re.compile(r"(?:[^\W\d_]|['’.-])+|@\w+|\d{1,3}|[a-z][\w.+-]*@[a-z][\w.-]*:?")
_LINK: Final = re.compile(telling.IS)
_STRONG_MARK: Final = re.compile(r"[!@#$%^&*+?~=]")
_CODE: Final = re.compile(
    r"[\w.$]+\(.*|.*(?:::|->|=>|\\|\$\{|://).*|(?:[a-z]+_)+[a-z]+\d*|[\w.-]+/[\w./-]*|--?\w[\w-]*|\w+\.\w+\.\w+.*"
)
_SEVERAL: Final = frozenset({"to", "auf", "a", "à", "in", "na", "naar", "till", "til", "en", "zu"})
_WORDS: Final = 9  # plain words between the thing and its value
_SNIPPET: Final = re.compile(
    r"(?i)[@?:#&].*|[\w.]+(?:[=+*-]|[<>=!]=)\d{1,4}|[a-z]+#\d+|\d+:.*|(?!(?-i:\w*[A-Z]\w*@[a-z]\w+$)).*@(?-i:[a-z])[\w.-]*(?::\d+)?(?:/.*)?|&\w+;?|\d&\w+;?|.*%[0-9a-f]{2}%.*|\w*_\w*[!?]"
)
_NUMBERED_NAME: Final = re.compile(r"[A-Za-z]+\d[A-Za-z]{0,2}")  # programs and protocols: `ssh2`
_ASSIGNED: Final = re.compile(r"[a-z][a-z_.-]{1,30}=.")
_NUMBER: Final = re.compile(r"\d{4,8}")
_USED_AS: Final = re.compile(
    r"(?P<value>[^\s\"'`“”«»,;()]{4,})[\"'`”»]{0,2}\s+(?:"
    + telling.AS
    + r"\s+(?:\w+\s+){0,2}?"
    + telling.CHOSEN
    + r"|to\s+(?:log|sign|connect|authenticate)\b)"
)
_LOGGED: Final = re.compile(
    r"(?<!\w)"
    + telling.LOGIN
    + r"\b[^\n]{0,60}?(?<!\w)(?:"
    + telling.WITH
    + r")\s+(?:[\w.@-]{1,40}\s*/\s+)?[\"'`]?(?P<value>[^\s\"'`,;()]{4,})"
)
_CREDENTIALS: Final = re.compile(
    r"(?<![\w./-])(?:"
    + telling.CREDENTIALS
    + r")(?![\w(])[^\n/:]{0,24}?[:=]?\s*[\"'`]?(?P<user>[\w.@+-]{1,60})[\"'`]?\s*(?:\s/\s|/|:|\||\s+and\s+)\s*"
    r"[\"'`]?(?P<value>[^\s\"'`,;()<>]{4,})"
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
    + r"[\"'`*]*(?:\s*[:=]|\s+(?:is|was|ist|est|es|lautet)\b:?)\s*[\"'`]?(?P<value>[a-z]{3,14}(?:[ -][a-z]{3,14}){3,11})(?=[\"'`.,;]|\s*$)",
    re.MULTILINE,
)
# What sentences have and lists of drawn words hardly: an ending of grammar.
_GRAMMAR: Final = re.compile(r"(?:ing|ed|ly|tion|able|ment|ness)$")
_STOP: Final = re.compile(
    r"the|and|for|with|that|this|have|has|had|been|being|must|should|shall|will|would|can|could|cannot|may|might|not|your|you|our|"
    r"their|his|her|its|from|into|than|then|when|where|which|who|what|why|how|only|also|very|more|most|less|least|any|all|some|"
    r"each|every|are|was|were|but|because|before|after|until|while|does|did|don|isn|per|via|too|yet|still|just|here|there|now|"
    r"case|sensitive|long|strong|weak|wrong|characters?|letters?|digits?|words?|und|oder|mit|nicht|muss|der|die|das|ein|eine|pas|est|les|des|une"
)
# A name and a number, two words and a number: what people choose.
_CHOSEN: Final = re.compile(r"[A-Z][a-z]{2,}[.@_=+-][A-Za-z]{3,}\d{2,4}[!.?*#$-]?|[A-Z][a-z]{3,}\d{2,4}[!#*$-]")
_NUMBERED_WORD: Final = re.compile(r"[A-Za-z]{4,}\d{2,4}[!.?*#$-]?")
_HYPHENED: Final = re.compile(r"[a-z]+(?:-[a-z]+){1,4}-?\d{2,4}")
_USER: Final = re.compile(
    r"(?:^|(?<=[\s\"'`(>]))(?:"
    + telling.EMAIL
    + "|"
    + telling.USERS
    + r")[\"'`]?(?P<link>\s*[/:|]\s*|\s+)[\"'`]?(?P<value>[^\s\"'`,;()<>]{6,})"
)


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


_PASSES: Final = {"prose/thing": "prose", "prose/credentials": "prose"}
_Span = tuple[int, int, str]


def _things(text: str) -> Iterator[_Span]:
    """After each word for a secret its value, and the next one of "from … to …"."""
    for found in _THING.finditer(text):
        if found["drawn"] and (found["ending"] in ("id", "ids") or _PUBLIC_BEFORE.search(text[: found.start()][-60:])):
            continue
        position, words, linked, several = found.end(), 0, False, False
        while words <= _WORDS and (token := _TOKEN.match(text, position)) is not None:
            position = token.end()
            group = "quoted" if token["quoted"] else "bare" if token["bare"] else ""
            if not group:
                linked = linked or bool(token["link"])
                words += bool(token["comma"])
                continue
            start, end = token.span(group)
            if group == "bare":
                start, end = _trimmed(text, start, end)
            value = text[start:end]
            if (several and not linked and value.lower() not in _SEVERAL and not _LINK.fullmatch(value)) or (
                words and _ASSIGNED.match(value)
            ):
                break
            if found["drawn"] and not linked and _PUBLIC_NAME.fullmatch(value):
                break
            kind = _kind(found, value, near=linked or words == 0, quoted=bool(token["quoted"]))
            if kind and text[end : end + 1] not in ("(", "["):
                yield start, end, kind
                several = True
            elif text[end : end + 1] == "(":
                break  # a call
            elif not (_WORD.fullmatch(value) or (linked and token["quoted"] is None and words == 0)):
                break
            if text[end:position].endswith(("!", "?")) or (text[end:position] == "." and words):
                break
            linked = bool(_LINK.fullmatch(value)) or text[end:position].startswith(":")
            words += 1


def _kind(found: re.Match[str], value: str, *, near: bool, quoted: bool) -> str | None:
    """The type of `value` after the thing `found`, or None where it is no secret."""
    if found["number"] and _NUMBER.fullmatch(value):
        return "PASSWORD" if near and len(set(value)) > 1 else None
    if _CODE.fullmatch(value) and not (looks_random(value) and "/" not in value):
        return None
    if found["drawn"]:
        drawn = len(value) >= 12 and not masked(value) and not _IDENTITY.match(value) and looks_random(value)
        if drawn and (near or len(value) >= 16):
            return secret_key_type(found["drawn"]) or "API_KEY"
        return "SECRET" if near and _told(value) and _strong(value) and not _IDENTITY.match(value) else None
    if not _told(value):
        return None
    return "PASSWORD" if near or quoted or _strong(value) else None


_IDENTITY: Final = re.compile(
    r"(?i)sha\d|md5|[0-9a-f]{8}-[0-9a-f]{4}-|0x|AAAA|M[IE][IGE][A-Z]|.*[<>(){}]|.*\.(?:js|css|py|html?|json)$|draft-[a-z]|(?:[a-z][\w.]*-)+[0-9a-f]{32,64}$"
)


@lru_cache(maxsize=8192)
def _told(value: str) -> bool:
    """As `told`; marks alone are no evidence in a sentence, where code stands as well: `Repository#update`, `width=32`."""
    if not told(value) or _SNIPPET.fullmatch(value):
        return False
    marks = len(_STRONG_MARK.findall(value))
    return any(char.isdigit() for char in value) or marks > 1 or odd_case(value) or looks_random(value)


_PUBLIC_BEFORE: Final = re.compile(
    r"(?i)(?:\b(?:public|publishable|site|pub|host|primary|foreign|cache|sort|partition|signature|verify|verification|peer|rsa|dsa|gpg|pgp|recv|signing)\b[-_ ]?|"
    r"\b(?:signature|gpg|pgp|fingerprint)\b[^\n]{0,24})\Z"
)
_PUBLIC_NAME: Final = re.compile(
    r"(?i)fingerprints?|ids?|hash|digest|checksum|thumbprint|signature|algorithm|arn|uuid|version|name|type"
)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without what ends a sentence or marks it up."""
    while end > start and text[end - 1] in ".:*_…" and end - start > 1:
        end -= 1
    while start < end and text[start] in "*_:=":
        start += 1
    return start, end


def _used(text: str) -> Iterator[_Span]:
    for found in _USED_AS.finditer(text):
        if _told(found["value"]) and not _CODE.fullmatch(found["value"]):
            yield *found.span("value"), "PASSWORD"


def _handed(text: str) -> Iterator[_Span]:
    """A value that no word announces: it must look chosen or drawn, the more so the less plainly it is handed over."""
    for found in _HANDED.finditer(text):
        start, end = found.span("value")
        if text[end - 1] == "." and not found["outright"]:
            end -= 1
        value = text[start:end]
        if _CODE.fullmatch(value) or not _told(value) or value.isupper():
            continue
        outright = bool(found["outright"] or found["mark"] == ":" or found["user"])
        kinds = sum((any(map(kind, value)) for kind in (str.isupper, str.islower, str.isdigit)), 0)
        marked = kinds == 3 and bool(re.search(r"[!@#$%^&*~+]", value.rstrip("!")))
        drawn = kinds == 3 and looks_random(value) and value.isascii() and not _IDENTITY.match(value)
        drawn = drawn and (outright or odd_case(value) or len(value) >= 14)
        named = outright and _NUMBERED_WORD.fullmatch(value)
        hyphened = found["outright"] and _HYPHENED.fullmatch(value)
        if marked or drawn or named or hyphened or _CHOSEN.fullmatch(value):
            yield start, end, "PASSWORD"


def _phrases(text: str) -> Iterator[_Span]:
    """Words drawn from a list, after a word for a passphrase: none that makes a sentence of them."""
    for found in _PHRASE.finditer(text):
        words = re.split(r"[ -]", found["value"])
        plain = sum(bool(_GRAMMAR.search(word)) or is_common(word) for word in words)
        if not any(_STOP.fullmatch(word) for word in words) and plain * 4 < len(words):
            yield *found.span("value"), "PASSWORD"


def _logins(text: str) -> Iterator[_Span]:
    for found in _LOGGED.finditer(text):
        start, end = _trimmed(text, *found.span("value"))
        value = text[start:end]
        if (
            _told(value)
            and not _CODE.fullmatch(value)
            and not re.fullmatch(telling.EMAIL, value)
            and not _NUMBERED_NAME.fullmatch(value)
        ):
            at = value.find("/") if re.match(r"[\w.@-]+/", value) else -1
            yield start + at + 1, end, "PASSWORD"


def _pairs(text: str) -> Iterator[_Span]:
    for found in _CREDENTIALS.finditer(text):
        if (span := _pair(text, found)) is not None:
            yield span


_MEMBER: Final = re.compile(r"\w+[_.-](?:id|ids|key|name|url|host|port|hash|version|path|type|email)\b")
_SLACK: Final = re.compile(r"[UWCDGTBS][A-Z0-9]{8,11}")  # ids of users, channels, teams


def _users(text: str) -> Iterator[_Span]:
    """A pair that no word announces: the user's name is one that people log in with, so the value must be stronger."""
    for found in _USER.finditer(text):
        span = _pair(text, found)
        if span is None or _MEMBER.match(text, found.start()) or _SLACK.fullmatch(text[span[0] : span[1]]):
            continue
        value = text[span[0] : span[1]]
        spaced = " " in found["link"] and bool(found["link"].strip())
        if (
            _strong(value)
            or _CHOSEN.fullmatch(value)
            or ((spaced or ("@" in found[0] and found["link"] == ":")) and _chosen(value))
        ):
            yield span


def _pair(text: str, found: re.Match[str]) -> _Span | None:
    start, end = _trimmed(text, *found.span("value"))
    value = text[start:end]
    if (
        not _told(value)
        or _CODE.fullmatch(value)
        or re.search(r"[\[\]{}]|\$[\w{(]|://|^//|^-|&(?:[a-z]{2,6}|#\d+);|&\w+=", value)
    ):
        return None
    return start, end, "PASSWORD"


def _strong(value: str) -> bool:
    return looks_random(value) or (any(c.isdigit() for c in value) and bool(_STRONG_MARK.search(value)))


def _chosen(value: str) -> bool:
    """A word with a number behind it or words with hyphens and a number: what people choose."""
    return bool(re.search(r"\d", value)) and not is_common(value)


_READERS: Final = {
    "prose/thing": _things,
    "prose/as": _used,
    "prose/login": _logins,
    "prose/credentials": _pairs,
    "prose/handed": _handed,
    "prose/phrase": _phrases,
    "prose/pair": _users,
}
