"""Secrets on the line after the one that announces them: an answer to a question, the value below its label, lists of codes.

The readers get a block that begins with the announcing line, and look at few lines: chats and notes are short.
"""

import re
from collections.abc import Iterator
from typing import Final

from localguard.detect.chosen import has_number, is_chosen, is_code, is_strong, is_told, mixes_three, trimmed
from localguard.detect.context_validators import not_placeholder
from localguard.detect.keynames import secret_key_type
from localguard.detect.literals import literal_value
from localguard.detect.randomness import looks_random, no_word
from localguard.detect.words import is_common

Span = tuple[int, int, str]

_NEAR: Final = 400  # bytes after the announcing line
_LABEL: Final = (
    r"(?:(?i:pass(?:word|wd|phrase|code|wort)?|pwd|pw|kennwort|mdp|mot de passe|contrase(?:ñ|n)a|clave|senha|wachtwoord|has(?:ł|l)o|"
    r"l(?:ö|o)senord|heslo|salasana|parola|(?:api|access|secret|auth)[ _-](?:key|token)|apikey|token|secret|key|credentials|creds|login|"
    r"zugangsdaten|identifiants|credenciales|credenziali)|(?:п|П)ароль|密码|密碼|パスワード|비밀번호)"
)
_CODES: Final = (
    r"(?i:(?:recovery|backup|scratch|emergency|2fa|mfa|wiederherstellungs|r(?:é|e)cup(?:é|e)ration)[ _-]?codes?)"
)
# What ends a line that announces a value, the whole of one that does by being short, and one that asks or is spoken: then
# somebody speaks below as well.
_ANNOUNCING: Final = _LABEL + r"s?(?:[^A-Za-z0-9\n.;{}()=<,][^\n.;{}()=<,]*)?(?:[:?=：]|->|→)[ \t\"'*_`]*\r?"
_SHORT: Final = r"(?m:^)[ \t#>*_`\"'-]*(?:\w+[ \t]+)?(?:\w+[ \t]+)?(?:\w+[ \t]+)?" + _LABEL + r"[\"'*_`]*[ \t]*\r?"
_SPOKEN_LINE: Final = (
    r"\?[^\n]*" + _ANNOUNCING + "|" + _LABEL + r"[^\n.;{}()=<,]*\?[^\n.;{}()=<,]*|"
    r"(?m:^)(?:\[[^\n]*\][^\n!-~]*)?[^\n :]+:[^\n!-~]+(?:[a-z][^\n]*)?" + _ANNOUNCING
)
# What stands below: lines that `below` skips and the user's name, then one word that has what `is_told` asks for. Line breaks
# aside, what is not printable ASCII counts as white space, as letter and as digit.
_LEAD: Final = r"(?:[^\n!-~]|[>*-])*[\"'`*_]*"
_SKIPPED: Final = r"(?:" + _LEAD + r"[\w.@+:\x80-\xff-]*[\"'`*_.,]*[^\n!-~]*(?:\([^\n]*)?|[^\n!-~]*[`~]{3}[^\n]*)\n"
_LETTER: Final = r"[^\x00-\x20\"'`(){}<>\[\]]"
_MARK: Final = r"[!@#$%^&*+?~=]"
_EVIDENCE: Final = (
    rf"(?:[0-9\x80-\xff]|{_MARK}{_LETTER}*{_MARK}|(?:[A-Za-z]+[_.-]){{3}}[A-Za-z]|[A-Za-z]{{20}}|"
    rf"(?:[A-Z]{{2}}[a-z]|[a-z][A-Z])[a-z]?(?:[A-Z]|[^\x00-\x20\"'`(){{}}<>\[\]A-Za-z]{_LETTER}*[A-Z]))"
)
_BELOW: Final = (
    rf"\n(?:{_SKIPPED}){{0,4}}{_LEAD}{_LETTER}*{_EVIDENCE}(?:{_LETTER}|&[^\s\"'`]*)*[\"'`*_.,]*[^\n!-~]*(?:\(|(?m:$))"
)
GATES: Final[dict[str, tuple[str, int]]] = {
    "structured/below": (
        f"{_ANNOUNCING}{_BELOW}|{_SHORT}{_BELOW}|(?:{_SPOKEN_LINE})(?m:$)",
        _NEAR,
    ),
    "structured/user-below": (
        r"(?:^|\n)[> \t*•-]*(?i:user(?:name)?|login|account|benutzer|utilisateur|usuario|utente)[\"'*_`]*[ \t]*[:=][ \t]*\S+[ \t]*\r?(?:\n|$)|"
        r"(?:^|\n)[> \t$#%]*(?:ssh|sftp|psql|mysql|su|sudo -i|login)[ \t](?:[^\n]*[\w.-]@)?[\w.-]+[ \t]*\r?(?:\n|$)",
        _NEAR,
    ),
    "structured/list": (
        r"(?i:tokens|passwords|secrets|api_?keys|access_?keys)[\"']?\)?[ \t]*(?::|=|:=|=>)[ \t]*(?:[\[{(][ \t]*[\"']|\[[ \t]*[A-Za-z0-9]|[\[{(]?[ \t]*\r?(?:\n|$))",
        _NEAR,
    ),
    "structured/pairs": (
        r"(?i:users|accounts|logins|admins?|operators|testers|members|credentials|creds|passwords|auth)[\"']?\]?[ \t]*(?::|=|:=|=>)[ \t]*"
        r"(?:[\[{(]+[ \t]*(?:[\"']|[\w.@-]+[ \t]*:)|[\[{(]*[ \t]*\r?(?:\n[ \t]|$))",
        _NEAR,
    ),
    "structured/codes": (_CODES + r"[^\n]*", _NEAR),
}
_BULLET: Final = re.compile(r"\s*(?:[>*•-]\s+)*")
_SPEAKER: Final = re.compile(
    r"\s*(?:\[[^\]\n]{1,24}\]\s*)?(?:[A-Za-zÀ-ÿ][\w. -]{0,24}:\s+)?(?:[>*•-]\s+)*(?:(?i:it['’]?s|it is|its|that['’]?s|ok|sure|yes|yep|here|this one|"
    r"the \w+ is|es ist|das ist|c['’]est|es|é|è|to|это)[:,]?\s+)?"
)
_SPOKEN: Final = re.compile(
    r"(?:\[[^\]\n]{1,24}\]\s*)?[A-Za-zÀ-ÿ]\w{1,24}:\s+(?:what|which|whats|was|welche|quel|cual|cu[aá]l|qual|pw|pass)"
)
_WORD: Final = re.compile(r"[\"'`*_]{0,3}(?P<value>[^\s\"'`]{4,128}?)[\"'`*_]{0,3}[.,]?\s*(?:\(.*\))?\s*\Z")
_FENCE: Final = re.compile(r"\s*(?:[`~]{3}\w*)?\s*")
_CODE_WORD: Final = re.compile(
    r"(?<![\w-])(?:[0-9A-Za-z]{4,10}(?:-[0-9A-Za-z]{4,10}){1,4}|\d{6,10}|[0-9a-z]{8,12})(?![\w-])"
)
_CODE_LIKE: Final = re.compile(r"[>*•\d.)\"'`-]{0,8}|[\"'`]?[0-9A-Za-z-]{4,64}[\"'`]?|[`~]{3}\w*")
# What names a part of a certificate, or stands beside an id in a log.
_NO_LABEL: Final = re.compile(
    r"(?i)\b(?:identifier|algorithm|info|usage|modulus|fingerprint|signature|public|exponent|commit)\b|^\W*[0-9a-f]{7,40}\b"
)
_DIGEST: Final = re.compile(r"(?i)(?:[0-9a-f]{2}:)+[0-9a-f]{2}:?|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{128}")
_SETTING: Final = re.compile(r"[A-Za-z][A-Za-z_.-]+=")
_USER_WORD: Final = re.compile(r"[\w.@+-]{2,60}")


def _lines(block: str) -> list[tuple[int, str]]:
    placed, position = [], 0
    for line in block.split("\n"):
        placed.append((position, line.rstrip("\r")))
        position += len(line) + 1
    return placed


def _said(place: int, line: str, lead: re.Pattern[str] = _SPEAKER) -> tuple[int, int] | None:
    """The span of the one word that a line says, past who says it and how."""
    begin = lead.match(line)
    found = _WORD.match(line, begin.end() if begin else 0)
    return trimmed_at(place, line, *found.span("value")) if found else None


def trimmed_at(place: int, line: str, start: int, end: int) -> tuple[int, int]:
    """The trimmed span of a value in `line`, moved to where the line stands in its block."""
    start, end = trimmed(line, start, end)
    return place + start, place + end


def below(block: str) -> Iterator[Span]:
    """The value on the next line that is not empty, or after the user's name on the one after that."""
    lines = _lines(block)
    head = lines[0][1]
    if _NO_LABEL.search(head):
        return
    asked = "?" in head or _SPOKEN.match(head) is not None
    announced = asked or head.rstrip(" \t\"'*_`").endswith((":", "=", "：", "->", "→"))
    if not announced and (re.search(r"[:=(),]", head) or len(head.split()) > 5):
        return
    lead = _SPEAKER if asked else _BULLET
    following = [(place, line) for place, line in lines[1:6] if not _FENCE.fullmatch(line)][:2]
    for number, (place, line) in enumerate(following):
        span = _said(place, line, lead)
        if span is None:
            return
        value = block[slice(*span)]
        if _is_value(value, announced):
            yield *span, "PASSWORD"
            return
        if number or not _USER_WORD.fullmatch(value):
            return


def user_below(block: str) -> Iterator[Span]:
    """The line below a user's name or a log-in, where it holds one strong word."""
    for place, line in _lines(block)[1:2]:
        span = _said(place, line, _BULLET)
        value = block[slice(*span)] if span is not None else ""
        shell = _SHELL.match(block) is not None
        if span is not None and (
            _is_value(value, announced=False) or (shell and mixes_three(value) and not is_code(value))
        ):
            yield *span, "PASSWORD"


def _is_value(value: str, announced: bool) -> bool:
    if not is_told(value) or is_code(value) or not not_placeholder(value) or re.search(r"[{}<>()\[\]]|:$|://", value):
        return False
    if _DIGEST.fullmatch(value) or _SETTING.match(value):
        return False
    return announced or is_strong(value) or looks_random(value)


def codes(block: str) -> Iterator[Span]:
    """Codes that stand in for a second factor: on the line that names them, or one or several on each of the next lines."""
    lines = _lines(block)
    named = re.search(_CODES, lines[0][1])
    begin = named.end() if named else 0
    for number, (place, line) in enumerate(lines[:16]):
        text = line[begin:] if not number else line
        shift = place + (begin if not number else 0)
        if number and not all(_CODE_LIKE.fullmatch(word) for word in re.split(r"[\s,;|]+", line)):
            return
        for found in _CODE_WORD.finditer(text):
            word = found[0]
            if (
                any(char.isdigit() for char in word)
                and len(set(word)) > 3
                and literal_value(word, "password", "quoted")
            ):
                yield shift + found.start(), shift + found.end(), "PASSWORD"


_LISTED: Final = re.compile(
    r"([\w.-]{0,40}(?i:tokens|passwords|secrets|api_?keys|access_?keys))[\"']?\)?[ \t]*(?::|=|:=|=>)[ \t]*([\[{(])?[ \t]*"
)
_ELEMENT: Final = re.compile(
    r"[\s]*(?:-[ \t]+)?(?:\"([^\"\n]{4,200})\"|'([^'\n]{4,200})'|(?<=- )([^\s\"'{}\[\]:,]{4,200})|([A-Za-z0-9_+/=.-]{8,200}))[ \t]*(?:,|(?=\n|\Z|[\])}]))"
)


def listed(block: str) -> Iterator[Span]:
    """The elements of a list whose name says that each of them is a secret."""
    head = _LISTED.search(block)
    kind = secret_key_type(head[1][:-1]) if head else None
    position = head.end() if head else 0
    while kind and (element := _ELEMENT.match(block, position)) is not None:
        group = element.lastindex or 1
        value = element[group]
        if group == 4 and not looks_random(value):
            return  # names of variables
        if (not value.isalpha() or (kind == "PASSWORD" and no_word(value, 6))) and literal_value(
            value, "password" if kind == "PASSWORD" else "token", "quoted"
        ):
            yield *element.span(group), kind
        position = element.end()


_SHELL: Final = re.compile(r"[> \t$#%]*(?:ssh|sftp)[ \t]")
_HEAD: Final = re.compile(
    r"(?i:(?P<told>passwords|credentials|creds)|(?:users|accounts|logins|admins?|operators|testers|members|auth))[\"']?\]?[ \t]*(?::|=|:=|=>)[ \t]*[\[{(]*\s*"
)
_USER_PAIR: Final = re.compile(
    r"[\s\[{(,-]*[\"']?(?P<user>[\w.@+-]{2,60})[\"']?[ \t]*(?::|=>?|,)[ \t]*(?:\"(?P<double>[^\"\n]{4,80})\"|'(?P<single>[^'\n]{4,80})'|(?P<bare>[^\s\"',{}\[\]()]{5,80}))[ \t]*(?:[)\]}]*[ \t]*,|[)\]}]+|\r?(?=\n|\Z))"
)


def user_pairs(block: str) -> Iterator[Span]:
    """Names and passwords below a name for several users: members of a map, tuples of a list."""
    head = _HEAD.search(block)
    position = head.end() if head else 0
    while head and (pair := _USER_PAIR.match(block, position)) is not None:
        group = pair.lastgroup or "bare"
        value = pair[group]
        plain = no_word(value, 6) and (bool(head["told"]) or group != "bare")
        told = is_told(value) and (is_strong(value) or is_chosen(value) or (has_number(value) and group != "bare"))
        if is_common(pair["user"]) or is_code(value) or not literal_value(value, "password", "quoted"):
            plain = told = False
        if plain or told:
            yield *pair.span(group), "PASSWORD"
        position = pair.end()


READERS: Final = {
    "structured/pairs": user_pairs,
    "structured/list": listed,
    "structured/below": below,
    "structured/user-below": user_below,
    "structured/codes": codes,
}
