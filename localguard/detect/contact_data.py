"""Validators for what reaches or places a person: mail, telephone, date of birth, coordinates, street."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from localguard.detect.candidate import Candidate, Validator
from localguard.detect.check_digits import varied
from localguard.detect.words import word_set

# Reserved by RFC 2606 and RFC 6761, or what documentation writes instead of them.
_NO_MAIL_DOMAIN: Final = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu|invalid)|example|test|invalid|localhost|local|localdomain|internal|lan|"
    r"users\.noreply\.github\.com|noreply\.github\.com|domain\.(?:com|tld)|(?:your|my|some)-?domain\.(?:com|org|net)|"
    r"mail\.test|sentry\.io|foo\.com|bar\.com|foo\.bar|host\.com|server\.com|s3\.amazonaws\.com)$",
    re.IGNORECASE,
)
_NO_MAIL_USER: Final = re.compile(
    r"^(?:git|hg|svn|no[._-]?reply|do[._-]?not[._-]?reply|user(?:name)?|your[._-]?(?:name|email)|you|me|foo|bar|name|email|"
    r"someone|somebody|nobody|test|x+|security|postmaster|mailer-daemon)$",
    re.IGNORECASE,
)
_FILE_ENDINGS: Final = word_set(
    "png jpg jpeg gif svg webp ico bmp js ts tsx jsx mjs cjs css scss less html htm json yaml yml toml xml txt py rb "
    "go java kt c h cc cpp hpp cs sh bash zsh fish ps1 bat exe dll so dylib zip gz tar tgz bz2 xz whl jar war log lock "
    "map service socket timer target mount slice scope device conf cfg ini sql db pdf doc csv tsv mp4 mp3 wav woff ttf "
    "vue svelte php lua el vim test spec"
)


# Where an address that looks like a mailbox names a message, as mail headers and mail servers' logs do.
_MESSAGE_ID: Final = re.compile(
    r"(?i)\b(?:message-?id|in-reply-to|references|content-id|resent-message-id)\b[^\n]{0,1000}<\Z|\bcid:\Z"
)
_ALGORITHM_DOMAINS: Final = ("openssh.com", "libssh.org", "lysator.liu.se", "ssh.com")
"""Whose names SSH's algorithms and key types carry (RFC 4251 section 6)."""


def email(candidate: Candidate) -> bool:
    """A person's address: not `git@host`, not noreply or documentation domains, not a file name, not part of a URL."""
    user, _, domain = candidate.value.rpartition("@")
    if _NO_MAIL_USER.match(user) or _NO_MAIL_DOMAIN.search(domain):
        return False
    ending = domain.rsplit(".", 1)[-1].lower()
    if ending in _FILE_ENDINGS or not ending.isalpha() or len(user) > 64 or len(set(user)) < 2:
        return False
    if domain.lower() in _ALGORITHM_DOMAINS and re.search(r"\d|-cert-|^zlib", user):
        return False
    if candidate.before.endswith("<") and _MESSAGE_ID.search(candidate.before):
        return False
    if ".." in candidate.value or user.startswith(".") or user.endswith("."):
        return False
    lead = re.split(r"[\s\"'<>(),;]", candidate.before)[-1]
    if "://" in lead and "?" not in lead:
        return False  # userinfo of a URL: the rules for DSN passwords look at it
    return not (candidate.after.startswith(":") and re.match(r":[\w~./-]+\.git\b|:[\w.-]+/", candidate.after))


_EXTENSION: Final = re.compile(r"(?i)[\s,;(]*(?:x|ext\.?|extension|#|durchwahl|dw|poste)[\s.:]*\d{1,6}\)?\Z")
_OTHER_NUMBER: Final = re.compile(r"[.,]\d|\s?[%*/=^]\s?\d|%|-\d|:\d|_|[A-Za-z]")
_DATE_LIKE: Final = re.compile(
    r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])\b|(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|1[0-2])[-./](?:19|20)\d\d\b"
)


def _plausible(candidate: Candidate) -> str | None:
    """The number without its extension, or None if it is visibly no telephone number."""
    value = _EXTENSION.sub("", candidate.value)
    digits = re.sub(r"\D", "", value)
    if not 6 <= len(digits) <= 16 or len(set(digits)) < 3 or digits in "01234567890123456789":
        return None
    if _OTHER_NUMBER.match(candidate.after) or _DATE_LIKE.search(value):
        return None
    return value


def _known(value: str, regions: Sequence[str | None], *, possible: bool) -> bool:
    """Whether the numbering plan of a region knows the number, or at least its length (`possible`)."""
    import phonenumbers

    for region in regions:
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) or (possible and phonenumbers.is_possible_number(number)):
            return True
    return False


def phone_international(candidate: Candidate) -> bool:
    """A number with its country code: known to its plan, or written in groups and of a length that the plan has.

    Numbers set apart for fiction count: they are written where a person's number would be.
    """
    value = _plausible(candidate)
    if value is None:
        return False
    digits = re.sub(r"\D", "", value)
    if digits.startswith("00"):
        value = "+" + digits[2:]
    grouped = len(re.findall(r"\d+", candidate.value)) >= 3 and not digits.startswith("00")
    return _known("+" + re.sub(r"\(0\)|\D", "", value), [None], possible=grouped)


def phone_national(candidate: Candidate) -> bool:
    """A number in a national spelling that says telephone by itself: known to the plan of a region that spells it so."""
    value = _plausible(candidate)
    if value is None or re.search(r"[\d.][ .,/-]?\Z", candidate.before[-2:]) or re.match(r"[ .,/]\d", candidate.after):
        return False  # one of a row of numbers
    if re.fullmatch(r"\d\d([ .]\d\d){4}", value) and (
        re.search(r"(?i)\b[0-9a-f]{2}[ .]\Z|buffer|bytes|0x|hex", candidate.before[-16:])
        or re.match(r"(?i)[ .][0-9a-f]{2}\b", candidate.after)
        or value[0:2] + value[3:5] + value[6:8] == "010203"
    ):
        return False  # a row of bytes
    value = re.sub(r"^(?:00)?1[ .-]", "", value)
    digits = re.sub(r"\D", "", value)
    if re.fullmatch(r"\(?[1-9]\d\d\)?[ .-]*\d{3}[.-]\d{4}", value):
        return digits[3] != "0" and digits not in "12345678901234567890"
    if len(digits) < 9 or re.fullmatch(r"\d{5}-\d{4}", value):
        return False  # too short without a word beside it, or a US postal code
    if value.startswith("("):
        return _known(value, ["US", "GB", "BR", "AU", "DE", "IT", "IN", "ZA", "NZ"], possible=False)
    if not value.startswith("0"):
        return _known(value, ["US"], possible=False)
    return _known(
        value,
        ["GB", "DE", "FR", "IT", "NL", "CH", "AT", "BE", "SE", "AU", "JP", "KR", "CN", "IN", "ZA", "TR"],
        possible=False,
    )


def phone_labelled(candidate: Candidate) -> bool:
    """A number beside a word that says telephone: 7 to 13 digits, which is a length in some plan, so none is asked."""
    value = _plausible(candidate)
    return value is not None and 7 <= len(re.sub(r"\D", "", value)) <= 13


def us_ssn(candidate: Candidate) -> bool:
    """A US social security number in an assignable range, none of the famous invalid ones."""
    digits = re.sub(r"\D", "", candidate.value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if len(digits) != 9 or area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000":
        return False
    return digits not in ("078051120", "219099999", "123456789", "111111111") and len(set(digits)) > 2


_MONTH: Final = re.compile(
    r"(?i)jan|feb|m[aä]r|apr|avr|abr|ma[iyj]|maggio|giu|lug|jui|jun|jul|aug|ago|aoû|set|sep|o[ck]t|out|nov|de[cz]|dic|d[eé]c"
)


def date_of_birth(candidate: Candidate) -> bool:
    """A day on which somebody alive could be born: 1900 or later, in numbers or with the month in letters."""
    value = candidate.value
    numbers = [int(number) for number in re.findall(r"\d+", value)]
    if re.fullmatch(r"(?:19|20)\d{6}", value):
        numbers = [int(value[:4]), int(value[4:6]), int(value[6:])]
    if not any(1900 <= number <= 2099 for number in numbers) and not (len(numbers) == 3 and numbers[-1] < 100):
        return False
    small = [number for number in numbers if number < 1900]
    if len(numbers) == 3:
        return len(small) >= 2 and max(small[:2]) <= 31 and min(small[:2]) <= 12 and min(small[:2]) >= 1
    return len(numbers) == 2 and bool(_MONTH.search(value)) and 1 <= min(numbers) <= 31


_DRAWING: Final = re.compile(
    r"(?i)\b(?:points|d|viewbox|transform|path)[\"']?\s*[=:]\s*[\"'\[({][^\"'<>]*\Z|(?:translate|matrix|rotate|scale)\([^()]*\Z"
)


def coordinates(candidate: Candidate) -> bool:
    """A latitude, a longitude or both, exact to some ten metres, and not null or made of one digit; no points of a drawing."""
    if "°" in candidate.value:
        return True
    if _DRAWING.search(candidate.before):
        return False
    numbers = [abs(float(number)) for number in re.findall(r"-?\d{1,3}\.\d+", candidate.value)]
    fractions = "".join(number.partition(".")[2] for number in re.findall(r"\d+\.\d+", candidate.value))
    if not numbers or len(set(fractions)) < 3 or max(numbers) > 180 or (len(numbers) == 2 and min(numbers) > 90):
        return False
    return not re.match(r"\d|\.\d|e[+-]?\d", candidate.after)


# Addresses of organisations that stand in licence texts.
_LICENCE_ADDRESS: Final = re.compile(
    r"(?i)franklin st|temple pl|mass(?:achusetts)? ave|castro st|second street, suite|howard st|nathan abbott|munsey|preston white"
)


def street_address(candidate: Candidate) -> bool:
    """A street with its number, none of those in licence texts and none that documentation makes up."""
    value = candidate.value
    if _LICENCE_ADDRESS.search(value):
        return False
    if re.match(r"(?:19|20)\d\d ", value) and "," not in value:
        return False  # a year and a name: the line of a copyright
    return not re.match(r"\d{1,5}\s+(?:The|A|An|This|That|One|In|On|Of|And|Or)\s", value)


def distinct_digits(candidate: Candidate) -> bool:
    """Letters and digits that neither repeat nor count: what a number on a document looks like."""
    value = re.sub(r"[^0-9A-Za-z]", "", candidate.value)
    digits = re.sub(r"\D", "", value)
    return len(set(value)) > 2 and varied(digits) if digits else False


CONTACT_DATA: Final[Mapping[str, Validator]] = {
    "coordinates": coordinates,
    "date_of_birth": date_of_birth,
    "distinct_digits": distinct_digits,
    "email": email,
    "phone_international": phone_international,
    "phone_labelled": phone_labelled,
    "phone_national": phone_national,
    "street_address": street_address,
    "us_ssn": us_ssn,
}
