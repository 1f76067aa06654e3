"""Values that a machine drew and that stand alone: nobody says what they are, and no issuer's form tells.

Such a value is a secret more often than anything else only where it is no member of a data structure, no part of an
address and nothing that text before it calls an id, a digest or a public key. It must have all three classes of
characters: digests, UUIDs and ids in hexadecimal have not, and names in programs change class at the start of words.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from localguard.detect.candidate import Candidate
from localguard.detect.context_validators import handed_over
from localguard.detect.keynames import secret_key_type
from localguard.detect.randomness import looks_random, surprise
from localguard.detect.tokens import NO_CREDENTIAL, random_looking
from localguard.detect.words import word_set, words_of

_NAMED: Final = 3.9  # mean surprise of letter pairs below which a run of letters is a word
_RUN: Final = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z]{5,}")
# Ids carry what they are ids of in front; some secrets do so as well.
_PREFIXED: Final = re.compile(r"([A-Za-z]{2,14})[_-](?=[A-Za-z0-9])")
_SECRET_PREFIX: Final = re.compile(r"(?i)(?:sk|rk|pat|tok|token|key|api|apikey|secret|auth|bearer|pass|live|prod)")
_FORMAT: Final = re.compile(
    r"(?i)0x|AAAA[BCE]3|M[IE][IGEH][A-Z]|LS0t|gAAAA|ME[QUYC]CI|md5|iVBOR|R0lGOD|/9j/|d09G|UklGR|T2dnUw|JVBER|SHA\d"
)
# Ids of records that tell their kind by their first characters: Airtable's and Salesforce's.
_RECORD: Final = re.compile(
    r"(?:app|tbl|rec|viw|fld|sel|att|usr|wsp|blk|itm|pag|hoo)[A-Za-z0-9]{14}|(?:00[0-9A-Za-z]|[aA]0[0-9A-Za-z])[A-Za-z0-9]{12}(?:[A-Z]{3})?|[A-Z]{2}[0-9a-f]{32}"
)
_IN_ADDRESS: Final = re.compile(
    r"(?:://|\bwww\.)[^\s\"'`<>]*\Z|(?:^|[\s\"'`(])/[^\s\"'`<>]*\Z|[\w./-]\?[\w%.&=~+-]*=\Z"
)
_LIST: Final = re.compile(r"([\w.$-]+)\\?[\"']?[ \t]*(?P<sign>:|=>|:?=)[ \t]*[\[({][^\])}]*\Z")
# `"name": "`, `name: `: a member or a setting, which its own name judges.
_MEMBER: Final = re.compile(
    r"(?:^|[\s{,\[\"'])[\"']?([\w.$-]+)\\?[\"']?[ \t]*:[ \t]*\\?[\"']?\Z|(?:^|[\s{,])[\"']([\w.$-]+)[\"'][ \t]*=>[ \t]*[\"']?\Z"
)
_SENTENCE: Final = re.compile(
    r"(?:[>*-][ \t]+)?[A-Za-z][\w'’]*(?:[ ,]+[\w'’()-]+)+:[ \t]+[\"'`]?\Z|\[?\d{1,2}:\d\d(?::\d\d)?\]?[ \t]+<?\w{2,24}>?:?[ \t]+\Z"
)
_CLAUSE: Final = re.compile(r"[.!?] +")  # what is asked before says nothing of what comes after
_PLAIN_LABEL: Final = re.compile(
    r"(?i)(?:prod|production|staging|stage|dev|test|live|sandbox|old|new|here|this|mine|now|it|yes|ok|is|are|value|use|try|paste|copy|"
    r"add|set|to|with|from|works|this_one|one|that|answer|result|output|again|below|above|following|send|sent|got|given|hier|voici|aqu.|ecco|unauthorized|invalid|rejected|denied|"
    r"error|failed|вот|ось|oto|tu|denne|her|här|tässä)"
)
_HEADER: Final = re.compile(r"(?i)x-[a-z0-9-]+")
_ASSIGNED: Final = re.compile(r"([A-Za-z_$][\w.$\[\]\"'-]*)[ \t]*(?::=|=|=>)[ \t]*[a-z]{0,2}[\"'`]?\Z")
_TELLING: Final = frozenset({"token", "key", "secret", "password", "auth"})
# Names of what is shown to everybody, wherever in the name they stand.
_OPEN_NAMES: Final = word_set(
    """
    public pub publishable site verify verification verifying host peer cert certificate challenge content signature sig
    fingerprint hash sha integrity expected want actual src href d data image img icon font boundary etag cursor nonce
    """
)
_PUBLIC: Final = re.compile(
    r"(?i)\b(?:commits?|hash(?:es)?|sha-?\d*|digests?|checksums?|revisions?|rev|versions?|requests?|traces?|spans?|etags?|images?|tags?|"
    r"branch(?:es)?|uuids?|guids?|ids?|uid|ksuids?|nanoids?|cuids?|ulids?|xids?|oid|md5|crc\d*|integrity|fingerprints?|public|pubkey|signatures?|signed|certificates?|cert|boundary|"
    r"cursors?|nonce|channel|workspace|thread|message|conversation|track|video|playlist|document|folder|file|path|class|method|"
    r"applicationserverkey|vapid|checkpoint|function|variable|test|tests|locale|encoded|base64|mime|ssh-\w+|ecdsa-\S+|kid|thumbprint|serial|snapshot|cache|build|sitemap|TXT)\b[^\n]{0,32}\Z"
)
# Things that have an id, right before it.
_THING: Final = re.compile(
    r"(?i)\b(?:orders?|invoices?|customers?|payments?|charges?|subscriptions?|events?|jobs?|runs?|pods?|containers?|nodes?|tasks?|tickets?|"
    r"deployments?|tenants?|accounts?|org(?:anization)?s?|teams?|projects?|pages?|items?|rows?|records?|uploads?|objects?|buckets?|tx|"
    r"transactions?|blocks?|wallets?|address(?:es)?|devices?|resources?|members?|entry|entries|session|conn(?:ection)?|peer|group|"
    r"chat|agent|batch|queue|topic|partition|worker|shard|volume|disk|instance|vm|user)[#=: \t]{1,4}[\"'`]?\Z"
)
_STEMS: Final = re.compile(
    r"(?i)\w*(?:verif|public|pubkey|signature|digest|hash|cipher|encrypt|fingerprint|challenge|boundary|sealed|vapid|attest)\w*[^\n]{0,16}\Z|"
    r"\bENC\(\Z|\bDKIM[^\n]*\Z|<[a-z][\w:-]*\s[^<>]*\Z"
)
_DEFINED: Final = re.compile(r"[ \t]+:?=[ \t]|(?:\(|\.[A-Za-z_]\w*\()")
_DATA_MARKS: Final = re.compile(r"[!#$%&*;<>?@^_`{|}~]")
_WORDS_AROUND: Final = re.compile(r"[^\W\d_]{2}|/\w")
_STANDARD: Final = re.compile(r".*[+/].*|.*=")
_HELD: Final = re.compile(r"[\"'`=]\Z")


def drawn_alone(candidate: Candidate) -> bool:
    """A value that was drawn at random and that nothing around it calls something else than a secret."""
    value = candidate.value
    if not _drawn(value):
        return False
    line = candidate.before.rpartition("\n")[2]
    rest = candidate.after.partition("\n")[0]
    if _DEFINED.match(rest):
        return False  # a name
    if not _WORDS_AROUND.search(line + " " + rest):
        return False  # a line of data, or a text of its own, which is an id as often as not
    if (
        _IN_ADDRESS.search(line)
        or _PUBLIC.search(_CLAUSE.split(line[-80:])[-1])
        or _THING.search(line[-40:])
        or _STEMS.search(line[-120:])
    ):
        return False
    if _STANDARD.fullmatch(value) and not _HELD.search(line):
        return False  # base64 with marks: signatures and encrypted data, where no quote says that somebody meant it
    if len(set(_DATA_MARKS.findall(line.rpartition(" ")[2] + rest.partition(" ")[0]))) > 3:
        return False  # between marks of all kinds: a piece of base85
    if line[-1:] == "," or (not line.strip() and rest[:1] == ","):
        return False  # a cell of a table
    name, told = _name(line, alone=not rest.strip("\r `\"'") and not _beside_data(candidate))
    words = [word for word in words_of(name) if not word.isdigit()]
    if not told or NO_CREDENTIAL.intersection(words[-1:]) or _OPEN_NAMES.intersection(words):
        return False
    return not (_TELLING.intersection(words) and secret_key_type(name) is None)  # `pageToken`


def _beside_data(candidate: Candidate) -> bool:
    """Whether the line before or after looks like one of settings, code or data."""
    beside = (
        candidate.before.rpartition("\n")[0].rpartition("\n")[2],
        candidate.after.partition("\n")[2].partition("\n")[0],
    )
    return any(
        (_DATA_LINE.search(line) or line.rstrip().endswith(":")) and not any(map(_drawn, _LONG_RUN.findall(line)))
        for line in beside
    )


def drawn_line(candidate: Candidate) -> bool:
    """A value that was drawn at random and is all that its line says, between lines in which people speak.

    In a row of such lines, in data and beside the name of something else it is an id or a digest as often as not; and so is
    a text that is nothing else. What stands farther away than one empty line says nothing.
    """
    if not 20 <= len(candidate.value) <= 64 or not _drawn(candidate.value):
        return False
    above = _next_to(reversed(candidate.before.split("\n")[:-1]))
    below = _next_to(candidate.after.split("\n")[1:])
    if below[:16].lstrip("> ").startswith("^"):
        return True
    if not above:  # the beginning of a text: what comes after must say something of it
        return bool(below) and _spoken(below) and bool(_OF_IT.search(below))
    return _spoken(above) and (not below or _spoken(below) or bool(_ONE_WORD.fullmatch(below)))


def drawn_message(value: str) -> bool:
    """A value that was drawn at random, and no digest, UUID, ULID or id with its kind in front: what a text may consist of.

    Letters of one case with digits are ids of many kinds, and count from 32 characters on only.
    """
    if "/" in value and (value[0] == "/" or value.count("/") * 10 > len(value)):
        return False  # a path
    if value[-1] == "=" and len(value) in _DIGESTS:
        return False
    if _drawn(value):
        return True
    return len(value) >= 32 and _ONE_CASE.fullmatch(value) is not None and handed_over(value, "")


def drawn_labelled(candidate: Candidate) -> bool:
    """A value that was drawn at random, beside nothing but the name of an environment."""
    return handed_over(candidate.value, "")


_DIGESTS: Final = frozenset({24, 28, 44, 64, 88})  # characters of MD5, SHA-1, SHA-256, SHA-384 and SHA-512 in base64
_ONE_CASE: Final = re.compile(r"(?=.*[g-z])[a-z0-9]+|(?=.*[G-Z])[A-Z0-9]+")


def _next_to(lines: Iterable[str]) -> str:
    """The first of `lines`, or the second where that is empty."""
    return next((line for line in itertools.islice(lines, 2) if line.strip()), "")


def _spoken(line: str) -> bool:
    """Whether a line is of a sentence or a command that is about nothing public."""
    if not _TWO_WORDS.search(line) or _DATA_LINE.search(line) or any(map(_drawn, _LONG_RUN.findall(line))):
        return False
    return not (_PUBLIC.search(line[-80:]) or _THING.search(line[-40:] + " ") or _STEMS.search(line[-120:]))


_TWO_WORDS: Final = re.compile(r"[^\W\d_]{2}[\w.@'’-]*[ ,.:!?]+[^\W_]|\^ ?[^\W\d_]{2}")
_ONE_WORD: Final = re.compile(r"[a-z]{2,12}[.!?]?\r?")  # `ls`, `thanks`
_LABEL: Final = re.compile(r"(?:[>*•-] )?[A-Za-z]{3,20}(?:[ -][a-z]{2,12})?:[ \t]+")
_OF_IT: Final = re.compile(
    r"^\W*(?i:\^|this|that|it|does|is|can|here|above|the one|das|dies|ce|esto|questo)\b|\^|[?]\s*$"
)
_DATA_LINE: Final = re.compile(
    r"[{}\[\];<>|,=\\][ \t\r]*\Z|\A[ \t]*[{}\[\]<|#@/]|\A-{4}|\A[ \t]*[\w.-]+:[ \t]|:[ \t]*[|>]"
)
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{20,}")


def _name(line: str, *, alone: bool = False) -> tuple[str, bool]:
    """What the value after `line` is called, and whether that leaves it alone: members of data are not.

    `alone`: no line beside it looks like data, and nothing follows, so that one word and a colon are a label.
    """
    if (listed := _LIST.search(line)) is not None:
        return listed[1], listed["sign"] != ":"
    named = _MEMBER.search(line)
    if named is None:
        named = _ASSIGNED.search(line)
        return named[1] if named else "", True
    name = named[1] or named[2]
    if _PLAIN_LABEL.fullmatch(name) or _HEADER.fullmatch(name):
        return name, True
    if alone and _LABEL.fullmatch(line) and secret_key_type(name) is None:
        return name, True
    return line[-40:], bool(_SENTENCE.match(line))


@lru_cache(maxsize=4096)
def _drawn(value: str) -> bool:
    classes = (str.isupper, str.islower, str.isdigit)
    if not all(any(map(of_class, value)) for of_class in classes):
        return False
    if (
        not looks_random(value)
        or not random_looking(Candidate(value, "", "", ""))
        or _FORMAT.match(value)
        or _RECORD.fullmatch(value)
    ):
        return False
    prefix = _PREFIXED.match(value)
    if prefix and not _SECRET_PREFIX.fullmatch(prefix[1]) and surprise(prefix[1]) < 5:
        return False
    if any(surprise(run) < _NAMED for run in _RUN.findall(value) if len(run) >= 6):
        return False
    return not _base64_of_text(value)


def _base64_of_text(value: str) -> bool:
    try:
        decoded = base64.b64decode(
            value + "=" * (-len(value) % 4), altchars=b"-_" if "-" in value or "_" in value else None
        )
    except (ValueError, binascii.Error):
        return False
    return sum(32 <= byte < 127 or byte in b"\n\r\t" for byte in decoded) * 10 >= len(decoded) * 9
