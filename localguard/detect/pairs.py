"""A user and the password, told together: "creds: admin / …", "log in with bob and …", "jdoe / … on db1", "root:…".

The less says that a pair is meant, the stronger the second word must be.
"""

import re
from collections.abc import Iterator
from typing import Final

from localguard.detect import telling
from localguard.detect.chosen import has_number, is_chosen, is_code, is_strong, is_told, mixes_three, trimmed
from localguard.detect.keynames import secret_key_type
from localguard.detect.literals import literal_value
from localguard.detect.randomness import looks_random, no_word

Span = tuple[int, int, str]

_MIXED: Final = telling.MIXED
_AND: Final = r"(?:and|und|et|y|e|en|i|och|og|ja|a|ve|и|і|та|και|&|\+)"
_NAME: Final = r"[\w.@+-]{1,60}"
GATES: Final[dict[str, str]] = {
    "prose/credentials": r"(?:"
    + telling.CREDENTIALS
    + r")[\"'`]?[ \t:][^\n]*?(?:[/:|]|[ \t]"
    + _AND
    + r"[ \t]|[\w.@-][ \t])[ \t]*[\"'`]?[^\s/]*"
    + _MIXED,
    "prose/pair": r"(?:\b"
    + telling.USERS
    + r"|@[\w-]+\.[\w.-]+)[\"'`]?(?:[ \t]*[/:|,][ \t]*|[ \t]+)[\"'`]?[^\s/]*"
    + _MIXED,
    "prose/both": r"(?:"
    + telling.LOGIN
    + r")[^\n]*[ \t](?:"
    + telling.WITH
    + r")[ \t][^\n]*[ \t]"
    + _AND
    + r"[ \t]+[\"'`]?[^\s]*"
    + _MIXED,
    "prose/short": r"(?i:\bpass[*_]*[ \t]*(?:is|was|=|:)[*_]*[ \t]|\buser(?:name)?[ \t:=][^\n]*[ \t,]pass[ \t]|\bu(?:ser)?[ \t]*[:=][ \t]*\S+[ \t,;]+p(?:w|wd)?[ \t]*[:=])[^\n]*?"
    + _MIXED,
    "prose/set": r"(?i:\b(?:set|change[ds]?|update|replace|use|reset|rotate[ds]?|setze|mets|pon|export|login)\b)[^\n]*(?i:key|token|secret|passw\w*|pwd)[\"'`*]*[ \t]+(?i:to|with|as|auf|à|a)[ \t]+[\"'`]?[^\s]*"
    + _MIXED,
    "prose/set-letters": r"(?i:\b(?:set|change[ds]?|update|reset|setze|mets|pon)\b)[^\n]*(?i:passw\w*|pwd|pass)[\"'`*]*[ \t]+(?i:to|auf|à|a)[ \t]+[\"'`]?[a-z]{6}",
    "prose/login-letters": r"(?:"
    + telling.CREDENTIALS
    + r")[\"'`]?[ \t]*[:=]?[ \t]*[\w.@-]+[ \t]+[/|][ \t]+[\"'`]?[a-z]{6}|"
    + telling.LOGIN
    + r"[ \t]+(?:"
    + telling.WITH
    + r")[ \t]+[\w.@-]+[ \t]+[/|][ \t]+[\"'`]?[a-z]{6}",
    "prose/target": r"\b(?:ssh|s?ftp|scp|mosh|telnet|rdp|vnc|psql|mysql)[ \t][^\n]*[ \t][(\[{<][\"'`]?[^\s()\[\]<>]{6,}[\"'`]?[)\]}>]",
    "prose/user": r"(?:^|[ \t(])[a-z][\w.-]*(?:[ \t]/[ \t]|/|:)[\"'`]?[^\s/]*" + _MIXED + r"[^\s/]*(?:[ \t,;.)]|$)",
}
_ANNOUNCED: Final = (
    r"(?<![\w./-])(?:"
    + telling.CREDENTIALS
    + r")(?![\w(])[^\n/:]{0,24}?[:=]?\s*[(\"'`]?(?P<user>[\w.@+-]{1,60})[\"'`]?"
)
_CREDENTIALS: Final = re.compile(
    _ANNOUNCED + r"\s*(?:\s/\s|/|:|\||,\s|\s+" + _AND + r"\s+)\s*[\"'`]?(?P<value>[^\s\"'`,;()<>]{4,})"
)
_LETTERS: Final = re.compile(
    r"(?:" + _ANNOUNCED + r"|(?<!\w)" + telling.LOGIN + r"\s+(?:" + telling.WITH + r")\s+[\w.@+-]{1,60})"
    r"\s+[/|]\s+[\"'`]?(?P<value>[a-z]{6,24})(?=[\s\"'`.,;)]|$)"
)
_TARGET: Final = re.compile(
    r"\b(?:ssh|s?ftp|scp|mosh|telnet|rdp|vnc|psql|mysql)\s[^\n]{0,80}?[\w.-]@[\w.-]+\S*\s+[(\[{<][\"'`]?(?P<value>[^\s()\[\]<>\"'`]{6,64})[\"'`]?[)\]}>]"
)
_SPACED: Final = re.compile(
    _ANNOUNCED + r"(?<! is)(?<! are)(?<! for)(?<! to),?\s+[\"'`]?(?P<value>[^\s\"'`,;()<>]{4,})"
)
_USER: Final = re.compile(
    r"(?:^|(?<=[\s\"'`(>]))(?:"
    + telling.EMAIL
    + "|"
    + telling.USERS
    + r")[\"'`]?(?P<link>\s*[/:|]\s*|,\s+|\s+)[\"'`]?(?P<value>[^\s\"'`,;()<>]{6,})"
)
_BOTH: Final = re.compile(
    r"(?<!\w)(?:"
    + telling.LOGIN
    + r")(?!\w)[^\n]{0,40}?(?<!\w)(?:"
    + telling.WITH
    + r")\s+(?:\w+\s+){0,2}?[\"'`]?"
    + _NAME
    + r"[\"'`]?\s+"
    + _AND
    + r"\s+(?:\w+\s+){0,2}?[\"'`]?(?P<value>[^\s\"'`,;()<>]{4,})"
)
_SHORT: Final = re.compile(
    r"(?i)(?<![\w.-])(?<!--- )(?:pass[*_]{0,2}\s*(?:is|was|=|:)[*_]{0,2}\s+|user(?:name)?[\s:=]+[\w.@-]{1,60}[\s,]+pass\s+|"
    r"u(?:ser)?\s*[:=]\s*[\w.@-]{1,60}[\s,;]+p(?:w|wd)?\s*[:=]\s*)[\"'`]?(?P<value>[^\s\"'`,;()<>]{4,})"
)
_SET: Final = re.compile(
    r"(?i)\b(?:set|change[ds]?|update|replace|use|reset|rotate[ds]?|setze|mets|pon|export)\s+(?:\w+\s+){0,3}?[\"'`*]{0,2}(?P<key>[\w.-]{2,60})[\"'`*]{0,2}\s+"
    r"(?:to|with|as|auf|à|a)\s+(?:be\s+)?[\"'`]?(?P<value>[^\s\"'`,;()<>]{4,})"
)
# Where people log in: what makes a pair of an unknown name and another word.
_PLACE: Final = re.compile(
    r"(?i)\b(?:log(?:ged|ging)?[ -]?(?:in|on)|sign[ -]?in|ssh|s?ftp|rdp|vnc|vpn|mysql|postgres\w*|psql|mongo\w*|redis|oracle|mssql|mariadb|"
    r"jenkins|grafana|jira|gitlab|github|wiki|router|switch|firewall|server|host|box|machine|panel|dashboard|portal|console|account|user|"
    r"auth|db\d*|database|staging|prod\w*|creds?|credentials?|ldap|smtp|imap|mail|webmail|nas|admin|basic|sudo|\d{1,3}(?:\.\d{1,3}){3})\b|https?://"
)
_UNKNOWN: Final = re.compile(
    r"(?:^|(?<=[\s(]))(?P<user>[a-z][a-z0-9_.-]{1,30})(?P<link>\s/\s|/|:)[\"'`]?(?P<value>[^\s\"'`,;()<>/]{6,64})(?=[\s,;.)\"'`]|$)"
)
_NO_USER: Final = re.compile(
    r"(?i)h\d|https?|ftp|file|mailto|urn|sha\d*|md5|image|tag|version|v\d*|id|ref|\w*(?:time|date|hash|key|url|path|port|host|name|type|code|size)"
)
_ALONE: Final = re.compile(r"[\s>*•-]*\Z")
_MEMBER: Final = re.compile(r"\w+[_.-](?:id|ids|key|name|url|host|port|hash|version|path|type|email)\b")
_SLACK: Final = re.compile(r"[UWCDGTBS][A-Z0-9]{8,11}")  # ids of users, channels, teams
_SETTING: Final = re.compile(r"[A-Za-z_]{2,30}[=:]")  # a name with its own value
_PUBLIC_KEY: Final = re.compile(r"AAAA[A-Za-z0-9+/]{40}")  # of SSH, after its type
_VERSION: Final = re.compile(r"\d\.\d|[a-z]\+\+")
_NO_VALUE: Final = re.compile(r"[\[\]{}]|\$[A-Za-z_{(]|://|^//|^-|&(?:[a-z]{2,6}|#\d+);|&\w+=|\w\?\w+=")


def credentials(text: str) -> Iterator[Span]:
    """After a word for credentials; with nothing but space between the two only what is strong."""
    for found in _CREDENTIALS.finditer(text):
        if (span := _value(text, found)) is not None:
            yield span
    for found in _SPACED.finditer(text):
        span = _value(text, found)
        if span is not None and _unannounced(text, span):
            yield span


def letters(text: str) -> Iterator[Span]:
    """After a word for credentials and a name letters that make no word, with a stroke between them."""
    for found in _LETTERS.finditer(text):
        if no_word(found["value"], 6) and found["value"].islower():
            yield *found.span("value"), "PASSWORD"


def target(text: str) -> Iterator[Span]:
    """What stands in brackets behind the host that somebody logs in at."""
    for found in _TARGET.finditer(text):
        span = _value(text, found)
        if span is None and mixes_three(found["value"]):
            span = (*found.span("value"), "PASSWORD")
        if span is not None and (_unannounced(text, span) or has_number(text[span[0] : span[1]])):
            yield span


def users(text: str) -> Iterator[Span]:
    """A pair that no word announces: the user's name is one that people log in with, so the value must be stronger."""
    for found in _USER.finditer(text):
        span = _value(text, found)
        if span is None or _MEMBER.match(text, found.start()) or _SLACK.fullmatch(text[span[0] : span[1]]):
            continue
        value = text[span[0] : span[1]]
        spaced = " " in found["link"] and bool(found["link"].strip(", "))
        if _unannounced(text, span) or ((spaced or ("@" in found[0] and found["link"] == ":")) and has_number(value)):
            yield span


def both(text: str) -> Iterator[Span]:
    """Log in with the one and the other."""
    for found in _BOTH.finditer(text):
        if (span := _value(text, found)) is not None:
            yield span


def short(text: str) -> Iterator[Span]:
    """`pass is …`, `user bob pass …`, `u: bob p: …`."""
    for found in _SHORT.finditer(text):
        if (span := _value(text, found)) is not None:
            yield span


def set_to(text: str) -> Iterator[Span]:
    """`set NAME to …`, for a name that holds a secret."""
    for found in _SET.finditer(text):
        start, end = trimmed(text, *found.span("value"))
        value, kind = text[start:end], secret_key_type(found["key"])
        if (
            kind
            and not is_code(value)
            and literal_value(value, found["key"], "quoted")
            and (any(map(str.isdigit, value)) or (kind == "PASSWORD" and no_word(value, 6)))
        ):
            yield start, end, kind


def unknown(text: str) -> Iterator[Span]:
    """A name that nobody knows and a strong word, where people log in or alone on their line."""
    for found in _UNKNOWN.finditer(text):
        span = _value(text, found)
        if (
            span is None
            or _VERSION.search(found["value"])
            or _NO_USER.fullmatch(found["user"])
            or _MEMBER.match(text, found.start())
        ):
            continue
        before, after = text[: found.start()], text[span[1] :]
        alone = bool(_ALONE.match(before) and not after.strip(" .\r\n"))
        if _unannounced(text, span) and (
            alone or (found["link"] != ":" and _PLACE.search(before[-80:] + " " + after[:40]))
        ):
            yield span


def _unannounced(text: str, span: Span) -> bool:
    value = text[span[0] : span[1]]
    return is_strong(value) or is_chosen(value)


def _value(text: str, found: re.Match[str]) -> Span | None:
    start, end = trimmed(text, *found.span("value"))
    value = text[start:end]
    if _SETTING.match(value) or _PUBLIC_KEY.match(value):
        return None
    if not is_told(value) or (is_code(value) and not looks_random(value)) or _NO_VALUE.search(value):
        return None
    return start, end, "PASSWORD"


READERS: Final = {
    "prose/credentials": credentials,
    "prose/pair": users,
    "prose/both": both,
    "prose/short": short,
    "prose/set": set_to,
    "prose/set-letters": set_to,
    "prose/login-letters": letters,
    "prose/target": target,
    "prose/user": unknown,
}
