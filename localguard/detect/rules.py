"""Rules as data: what a rule file may say, and what a broken one is told.

Pure: takes parsed TOML. Reading the files is floor 3's work (`localguard.config.rule_files`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

from localguard.detect.bip39 import seed_phrases, seed_words
from localguard.detect.candidate import Validator
from localguard.detect.dictionary import dictionary_entry
from localguard.detect.finding import DataClass
from localguard.detect.validators import VALIDATORS
from localguard.detect.words import word_set
from localguard.errors import LocalguardError

RE2_OPTIONS: Final = re2.Options()
RE2_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # over bytes: offsets are byte offsets, and nothing is decoded
RE2_OPTIONS.log_errors = False
RE2_OPTIONS.max_mem = 32 << 20

_TYPE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,27}")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")
_DEFINED: Final = re.compile(r"@([a-z_]+)@")
# Pieces that every rule file may use. `@to@` is what leads from the name of an issuer to its credential on the same
# line: the rest of an identifier and a sign of assignment, or some words with one for a credential among them.
_SHARED: Final = {
    "uuid": r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "to": (
        r"""(?:[\w.-]{0,40}\\{0,2}["'\])]{0,3}[ \t]{0,4}(?:=>|:=|[=:,(>])[ \t]{0,4}\\{0,2}["'`(]{0,2}|"""
        r"""[^\n]{0,60}?(?i:key|token|secret|pass|pwd|auth|api|cred|bearer|login|\bpat\b)[^\n]{0,40}?[\s"'`=:,(>])"""
    ),
}
_FIELDS: Final = word_set(
    "id type class description keywords gate pattern group key_group entropy validators context allow not_before not_after "
    "reach within distinctive enabled source date match no_match"
)


Finder = Callable[[bytes], Iterator[tuple[int, int]]]
FINDERS: Final[Mapping[str, Finder]] = {"seed_phrases": seed_phrases, "seed_words": seed_words}


class RuleInvalid(LocalguardError):
    """A rule file says something that cannot be a rule. The message names file, rule and field."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One detector of the rule files. Nothing in it is compiled.

    `gate`, `pattern`, `context` and `allow` are RE2 sources over bytes, the last two empty where a rule has none. The value is the first of `groups` that took part in the match.
    `reach` is how many bytes after the line of its gate match a rule over several lines may need; rules of one line
    have 0. `not_before` and `not_after` are the bytes that must not adjoin the value. `within` finds the values inside
    the match, as byte spans of it, where no pattern can (words of a long list with a checksum over them).
    """

    id: str
    type: str
    data_class: DataClass
    description: str
    keywords: tuple[str, ...]
    gate: bytes
    pattern: bytes
    groups: tuple[int, ...]
    key_group: int
    entropy: float
    validators: tuple[Validator, ...]
    context: bytes
    allow: bytes
    not_before: frozenset[int]
    not_after: frozenset[int]
    reach: int
    within: Finder | None
    distinctive: bool | None
    enabled: bool
    source: str
    date: str
    match: tuple[str, ...]
    no_match: tuple[str, ...]


def compile_pattern(source: bytes) -> Any:
    """An RE2 regular expression over bytes. `re2.error` if RE2 refuses it."""
    return re2.compile(source, RE2_OPTIONS)


def parse_pack(data: Mapping[str, Any], file: str, *, tested: bool = False) -> list[Rule]:
    """The rules of one parsed TOML rule file, disabled ones included.

    Every pattern is compiled to see whether RE2 takes it, unless the file is `tested`: the hundreds that come with
    localguard are compiled by its tests, and here when they are first used.

    `[define]` holds pieces of patterns, used as `@name@`; `@uuid@` and `@to@` are there for every file. `RuleInvalid`
    names the file, the rule and the field.
    """
    definitions = {**_SHARED, **data.get("define", {})}
    for name, piece in definitions.items():
        definitions[name] = _expand(str(piece), definitions, file, f"define.{name}")
    unknown = set(data) - {"define", "rules", "dictionaries"}
    if unknown:
        raise RuleInvalid(
            f"{file}: unknown table {sorted(unknown)[0]!r}; a rule file holds [define], [[rules]] and [[dictionaries]]"
        )
    rules = [_parse_rule(entry, definitions, file, tested=tested) for entry in data.get("rules", [])]
    for entry in data.get("dictionaries", []):
        rules.append(_parse_rule(_dictionary(entry, file), {}, file, tested=tested))
    _refuse_duplicates(rules, file)
    return rules


def merge_packs(packs: Iterable[Sequence[Rule]]) -> list[Rule]:
    """All enabled rules of several packs in order; a later pack redefines a rule by its id (and may disable it)."""
    merged: dict[str, Rule] = {}
    for pack in packs:
        for rule in pack:
            merged[rule.id] = rule
    return [rule for rule in merged.values() if rule.enabled]


def _dictionary(entry: Mapping[str, Any], file: str) -> dict[str, Any]:
    def wrong(field: str, problem: str) -> RuleInvalid:
        return RuleInvalid(f"{file}: dictionary {entry.get('id', '')!r}: {field} {problem}")

    return dictionary_entry(entry, wrong)


def _refuse_duplicates(rules: Sequence[Rule], file: str) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleInvalid(f"{file}: rule {rule.id!r} is defined twice")
        seen.add(rule.id)


def _expand(pattern: str, definitions: Mapping[str, str], file: str, place: str) -> str:
    def piece(found: re.Match[str]) -> str:
        if found[1] not in definitions:
            raise RuleInvalid(f"{file}: {place}: @{found[1]}@ is not in [define]")
        return str(definitions[found[1]])

    return _DEFINED.sub(piece, pattern)


def _parse_rule(entry: Mapping[str, Any], definitions: Mapping[str, str], file: str, *, tested: bool) -> Rule:
    rule_id = entry.get("id", "")

    def wrong(field: str, problem: str) -> RuleInvalid:
        return RuleInvalid(f"{file}: rule {rule_id!r}: {field} {problem}")

    def text(field: str, default: str | None = None) -> str:
        value = entry.get(field, default)
        if not isinstance(value, str):
            raise wrong(field, "must be a string")
        return value

    def strings(field: str) -> tuple[str, ...]:
        value = entry.get(field, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise wrong(field, "must be a list of strings")
        return tuple(value)

    def pattern(field: str, source: str) -> bytes:
        expanded = _expand(source, definitions, file, f"rule {rule_id!r}: {field}").encode()
        if not tested:
            try:
                compile_pattern(expanded)
            except re2.error as error:
                raise wrong(field, f"is not RE2 syntax: {error}") from None
        return expanded

    def byte_set(field: str) -> frozenset[int]:
        try:
            return _byte_set(text(field, ""))
        except re.error:
            raise wrong(field, "must be the inside of a character class") from None

    if not isinstance(rule_id, str) or not _ID.fullmatch(rule_id):
        raise wrong("id", "must look like issuer/what, in lower case")
    for field in sorted(entry.keys() - _FIELDS):
        raise wrong(field, f"is unknown; known are {', '.join(sorted(_FIELDS))}")
    if not _TYPE.fullmatch(text("type")):
        raise wrong("type", "must be upper case, at most 28 characters")
    try:
        data_class = DataClass(text("class", "secret"))
    except ValueError:
        raise wrong("class", "must be secret, pii or custom") from None
    names = strings("validators")
    for name in names:
        if name not in VALIDATORS:
            raise wrong("validators", f"names {name!r}; known are {', '.join(sorted(VALIDATORS))}")
    body = pattern("pattern", text("pattern"))
    group_value = entry.get("group", 0)
    groups = tuple(group_value) if isinstance(group_value, list) else (group_value,)
    key_group = entry.get("key_group", 0)
    count = compile_pattern(body).groups if not tested else max((*groups, key_group))
    if not groups or any(not isinstance(group, int) or not 0 <= group <= count for group in (*groups, key_group)):
        raise wrong("group", f"must be one of 0 to {count}, or a list of them")
    distinctive = entry.get("distinctive")
    if distinctive not in (None, True, False):
        raise wrong("distinctive", "must be true or false")
    context = strings("context")
    allow = strings("allow")
    reach = entry.get("reach", 0)
    if not isinstance(reach, int) or not 0 <= reach <= 32768:
        raise wrong("reach", "must be 0 to 32768 bytes")
    within = text("within", "")
    if within and within not in FINDERS:
        raise wrong("within", f"names {within!r}; known are {', '.join(sorted(FINDERS))}")
    return Rule(
        id=rule_id,
        type=text("type"),
        data_class=data_class,
        description=text("description"),
        keywords=strings("keywords"),
        gate=pattern("gate", text("gate", text("pattern"))),
        pattern=body,
        groups=groups,
        key_group=key_group,
        entropy=float(entry.get("entropy", 0.0)),
        validators=tuple(VALIDATORS[name] for name in names),
        context=pattern("context", "(?i:" + "|".join(context) + ")") if context else b"",
        allow=pattern("allow", "|".join(allow)) if allow else b"",
        not_before=byte_set("not_before"),
        not_after=byte_set("not_after"),
        reach=reach,
        within=FINDERS[within] if within else None,
        distinctive=distinctive,
        enabled=bool(entry.get("enabled", True)),
        source=text("source", ""),
        date=text("date", ""),
        match=strings("match"),
        no_match=strings("no_match"),
    )


@lru_cache(maxsize=256)
def _byte_set(description: str) -> frozenset[int]:
    """The bytes of a character class such as `A-Za-z0-9_`. `re.error` if it is none."""
    if not description:
        return frozenset()
    matcher = re.compile(("[" + description + "]").encode())
    return frozenset(byte for byte in range(256) if matcher.match(bytes([byte])))
