"""Words that are no secrets: what makes a value too common to sweep, or no literal value at all."""

import re
from functools import lru_cache
from typing import Final


def word_set(words: str) -> frozenset[str]:
    """The set of the words in `words`, which white space separates."""
    return frozenset(words.split())


# Values that stand where a secret would but say nothing. Compared in lower case, whole value.
PLACEHOLDER_VALUES: Final[frozenset[str]] = word_set(
    """
    none null nil true false yes no on off undefined nan default optional required enabled disabled unset empty blank
    unknown auto any all todo tbd fixme n/a na redacted masked hidden removed omitted filtered sensitive changeme
    change_me change-me changeit replaceme replace_me replace-me placeholder example sample dummy fake mock secret
    password passwd passphrase pass pwd token key apikey api_key api-key credential credentials value string str text
    mypassword mysecret mytoken yourpassword your_password your-password yourtoken your_token your-token yoursecret
    your_secret your-secret your_api_key your-api-key yourapikey your_key_here your-key-here insert_key_here notset
    not_set not-set bearer basic oauth jwt test
    """
)

# Names of types in the languages that write `name: Type`.
TYPE_NAMES: Final[frozenset[str]] = word_set(
    """
    str string bytes bytearray int integer float double long short bool boolean number bigint object any anystr void char
    uint int32 int64 uint32 uint64 uint8 u8 i32 i64 dict list tuple set map array vec option optional union never unknown
    symbol date datetime timestamp uuid varchar text blob json jsonb secretstr secretbytes buffer callable iterable
    sequence mapping literal self type nothing unit error result promise password token secret credentials apikey
    nonetype none null undefined
    """
)

# Words that names in programs and settings are made of. A value made of these alone is a name, not a secret.
_COMMON: Final[frozenset[str]] = word_set(
    """
    a access account action active actual admin administrator alias all allow an and any anonymous api app application
    apply arg args array async at attr attribute auth authentication authorization auto backend bar base basic baz bearer
    before bin block body bool boolean bot bucket build bundle by byte bytes cache call callback cert certificate change
    changeme char check class cli client cloud code color com command comment common component config configuration
    connect connection constant content context control cookie copy core count create credential credentials csrf current
    custom data database date day db debug decode default delete demo deny deploy desc description dest dev development
    device dict digest dir directory disable disabled display do doc document domain done down driver dummy dynamic edit
    element email empty enable enabled encode encrypt encryption end endpoint entry env environment equal error event
    example exception exec exit expire expires export external extra fail failed fake false feature field file filter
    find fixture flag float foo for force form format from func function generate generic get global group guest handle
    handler hash have header headers health hello here hidden hide hint home host hostname html http https icon id if
    image impl import in index info init inner input insert instance int integer interface internal invalid is item items
    js json key keys kind label lang last latest layer left len length level lib library limit line link list listen
    live load local localhost location lock log logger login logout long main make manager map mark master match max me
    member memory message meta method metadata min missing mock mode model module mongo monitor month my mysql name names
    native network new next no node none normal not note null number object of off offset ok old on one only open option
    optional options or order org origin other out outer output owner package page param parameter params parse parser
    part pass passphrase passwd password patch path pattern payload pending permission phone pipeline placeholder plain
    platform plugin point policy pool port post postgres postgresql pre prefix preview primary print private prod
    production profile project prompt property protected protocol provider proxy public publish push put pwd python query
    queue raw read reader real record redis ref refresh region register registry release remote remove render repeat
    replace reply report repository request required reset resource response rest result retry return right role root
    route router row rule run runtime safe sample save scan schema scope script search secondary secret secrets section
    secure security select self send sensitive sequence server service session set setting settings setup shared shell
    short show sign signature signing simple single site size skip smtp some source spec sql ssl stage staging start state
    static status step stop storage store stream string strong style sub subject submit success suffix super superuser
    support switch sync system table tag target task team temp template term test testing tests text the this time
    timeout title tls to token tokens tool top topic trace track transaction transport tree trigger true type types
    undefined union unique unit unknown update upload uri url use user username users util valid validate validation
    value values var variable verify version view virtual wait warn warning web webhook week welcome with word work
    worker workspace write writer xml yaml year yes you your zone
    chars character characters elided enter fill goes masked omitted paste redacted removed snip
    """
)

# What people put before or behind such a word where tests and documentation need a value.
_MADE_UP: Final[frozenset[str]] = word_set(
    """
    non my our your his her their some any super top very wrong bad good great incorrect correct different matching mismatch
    mismatching existing weak strong bogus whatever something anything nothing foobar barfoo blah bla lorem ipsum world confirmation
    confirmed newer older first second third other another mine real really simple complex easy hard long longer short
    shorter cool nice random unknown mocked testing tester fancy awesome letmein qwerty asdf qwer zxcv
    """
)
_COUNTING: Final = "012345678901234567890"

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")


def words_of(name: str) -> list[str]:
    """The lower-case words of an identifier: `dbPassword_2` is `db`, `password`, `2`."""
    return [part.lower() for part in _PARTS.findall(name)]


@lru_cache(maxsize=4096)
def is_common(value: str) -> bool:
    """Whether `value` is a common word, or made of nothing but common words, digits of a short number and separators.

    `production`, `my_secret_token`, `getPassword`, `password1`, `supersecret`, `test123456` are common;
    `correct-horse-battery` is not.
    """
    if len(value) > 64:
        return False
    lowered = value.lower()
    if lowered in PLACEHOLDER_VALUES or lowered in _COMMON:
        return True
    if re.search(r"[^\w.\- /:]", value):
        return False
    parts = words_of(value)
    letters = [part for part in parts if not part.isdigit()]
    digits = sum(len(part) for part in parts if part.isdigit() and not counts(part))
    return bool(letters) and digits <= 3 and all(part in _COMMON or _glued(part) for part in letters)


def counts(digits: str) -> bool:
    """Digits in their order, up or down, or one again and again: `123456`, `4321`, `0000`. What everybody tries first."""
    return digits in _COUNTING or digits[::-1] in _COUNTING or len(set(digits)) == 1


def made_up(value: str) -> bool:
    """Common words and a number that counts: `test123456`, `new_user123`, `pass4321`."""
    numbers = re.findall("[0-9]+", value)
    return all(len(number) > 1 and counts(number) for number in numbers) and value[:1].isalpha() and is_common(value)


def _glued(word: str) -> bool:
    """Whether `word` is common and made-up words one behind the other: `supersecret`, `wrongpassword`, `foobar`."""
    if len(word) > 24:
        return False
    ends = [True] + [False] * len(word)
    for end in range(2, len(word) + 1):
        ends[end] = any(
            ends[start] and (word[start:end] in _COMMON or word[start:end] in _MADE_UP) for start in range(end - 1)
        )
    return ends[-1]


# What sentences have and lists of drawn words hardly: an ending of grammar, a word that only connects.
_GRAMMAR: Final = re.compile(r"(?:ing|ed|ly|tion|able|ment|ness|ies)$")
_CONNECTS: Final = word_set(
    """
    the and for with that this have has had been being must should shall will would can could cannot may might not your
    you our their his her its from into than then when where which who what why how only also very more most less least
    any all some each every are was were but because before after until while does did don isn per via too yet still just
    here there now case sensitive long strong weak wrong characters character letters letter digits digit words word und
    oder mit nicht muss der die das ein eine pas est les des une
    """
)


@lru_cache(maxsize=4096)
def drawn_words(value: str, least: int = 4) -> bool:
    """Whether `value` is at least `least` words drawn from a list: `copper-lantern-violet-otter`, no sentence, no name of settings."""
    words = re.split(r"[ _.-]", value)
    if not value.isascii() or not (value.islower() or all(word.istitle() for word in words if "-" in value)):
        return False
    words = [word.lower() for word in words]
    if len(words) < least or not all(word.isalpha() and 3 <= len(word) <= 12 for word in words):
        return False
    plain = sum(bool(_GRAMMAR.search(word)) or word in _COMMON for word in words)
    return _CONNECTS.isdisjoint(words) and plain * 4 <= len(words) and len(set(words)) > 1


def is_distinctive(value: str) -> bool:
    """P4: at least 8 characters of two character classes, or 16 of one, and no common word.

    Character classes are lower case, upper case, digits, and everything else.
    """
    length = len(value)
    if length < 8 or is_common(value):
        return False
    if length >= 16:
        return len(set(value)) >= 4
    classes = {
        "lower" if char.islower() else "upper" if char.isupper() else "digit" if char.isdigit() else "other"
        for char in value
    }
    return len(classes) >= 2 and len(set(value)) >= 3
