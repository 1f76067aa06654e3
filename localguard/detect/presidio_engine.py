"""Presidio's pattern recognizers as detectors: no language model, no network, gated.

Recognizers are called one by one, without the analyzer engine: that one loads a language model, and its context
enhancer needs lemmas. Recognizers whose patterns are weak by themselves run only where a context word stands on the
line; the gate asks for it.

Not used, with the reason: Phone (4 s per 100 KB of digits; `rules/person-phone.toml` asks the same library for one number
at a time), Url, Date, Uuid, Ip and Mac (`rules/network.toml` tells addresses from versions), UsLicense, UsBank, UsPassport's bare nine
digits and the other patterns of plain digit runs (thousands of hits in any table of numbers), names and places (they
need a model that the user installs).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from localguard.detect.bank_numbers import card_number, iban
from localguard.detect.candidate import Candidate
from localguard.detect.contact_data import email, us_ssn
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.pieces import Piece, pieces
from localguard.detect.prefilter import Gate
from localguard.detect.rules import compile_pattern
from localguard.detect.words import is_distinctive


@dataclass(frozen=True, slots=True)
class _Recognizer:
    """How one recognizer is used. `score` is the least that counts, after its own checksum."""

    name: str
    rule: str
    type: str
    gate: bytes
    score: float
    checksum: bool = False


def _near(words: str, shape: str) -> bytes:
    """A gate: one of `words`, and `shape` later on the line."""
    return rf"(?i:\b(?:{words})\b)[^\n]*{shape}".encode()


RECOGNIZERS: Final[tuple[_Recognizer, ...]] = (
    _Recognizer(
        "EmailRecognizer",
        "email",
        "EMAIL",
        rb"[A-Za-z0-9_%+.-]@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2}",
        0.5,
        True,
    ),
    _Recognizer(
        "CreditCardRecognizer",
        "card",
        "CARD",
        rb"\b[2-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b|\b3[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{4,5}\b",
        1.0,
        True,
    ),
    _Recognizer(
        "IbanRecognizer",
        "iban",
        "IBAN",
        rb"\b[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{3}",
        1.0,
        True,
    ),
    _Recognizer(
        "CryptoRecognizer",
        "crypto",
        "CRYPTO_WALLET",
        rb"\b(?:bc1[a-zA-HJ-NP-Z0-9]{25}|[13][a-zA-HJ-NP-Z0-9]{25,34}\b)",
        1.0,
        True,
    ),
    _Recognizer(
        "UsSsnRecognizer",
        "us-ssn",
        "US_SSN",
        _near(r"ssns?|social[ _-]?security", r"[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}\b"),
        0.5,
    ),
    _Recognizer(
        "UsItinRecognizer",
        "us-itin",
        "US_ITIN",
        _near(r"itin|individual taxpayer|tax ?id", r"\b9[0-9]{2}[- ][5-9][0-9][- ][0-9]{4}\b"),
        0.5,
    ),
    _Recognizer(
        "UsMbiRecognizer",
        "us-mbi",
        "HEALTH_ID",
        _near(r"mbi|medicare", r"\b[0-9][A-Z][0-9A-Z][0-9]-?[A-Z][0-9A-Z][0-9]-?[A-Z]{2}[0-9]{2}\b"),
        0.3,
    ),
    _Recognizer(
        "NhsRecognizer",
        "uk-nhs",
        "HEALTH_ID",
        _near(r"nhs|national health service", r"\b[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{4}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "UkNinoRecognizer",
        "uk-nino",
        "NATIONAL_ID",
        _near(r"nino|national insurance|ni number", r"\b[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d]\b"),
        0.5,
    ),
    _Recognizer("UkPassportRecognizer", "uk-passport", "PASSPORT", _near(r"passport", r"\b[A-Z]{2}[0-9]{7}\b"), 0.1),
    _Recognizer(
        "InAadhaarRecognizer",
        "in-aadhaar",
        "NATIONAL_ID",
        _near(r"aadhaar|aadhar|uidai", r"\b[0-9]{4}[- :]?[0-9]{4}[- :]?[0-9]{4}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "InPanRecognizer",
        "in-pan",
        "TAX_ID",
        _near(r"pan|permanent account number", r"\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b"),
        0.5,
    ),
    _Recognizer(
        "AuTfnRecognizer",
        "au-tfn",
        "TAX_ID",
        _near(r"tfn|tax file number", r"\b[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "AuMedicareRecognizer",
        "au-medicare",
        "HEALTH_ID",
        _near(r"medicare", r"\b[2-6][0-9]{3} ?[0-9]{5} ?[0-9]\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "CaSinRecognizer",
        "ca-sin",
        "NATIONAL_ID",
        _near(r"sin|social insurance", r"\b[1-79][0-9]{2}[- ][0-9]{3}[- ][0-9]{3}\b"),
        0.5,
    ),
    _Recognizer(
        "DeTaxIdRecognizer",
        "de-tax-id",
        "TAX_ID",
        _near(r"steuer-?id|steueridentifikationsnummer|idnr|tax ?id", r"\b[1-9][0-9]{10}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "DeSocialSecurityRecognizer",
        "de-social-security",
        "NATIONAL_ID",
        _near(r"rentenversicherung\w*|sozialversicherung\w*|svnr|rvnr", r"\b[0-9]{8}[A-Z][0-9]{3}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "ItFiscalCodeRecognizer",
        "it-fiscal-code",
        "TAX_ID",
        rb"\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        1.0,
        True,
    ),
    _Recognizer(
        "EsNifRecognizer",
        "es-nif",
        "NATIONAL_ID",
        _near(r"nif|dni|documento nacional de identidad", r"\b[0-9]{7,8}-?[A-Z]\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "EsNieRecognizer",
        "es-nie",
        "NATIONAL_ID",
        _near(r"nie|n[uú]mero de identificaci[oó]n de extranjero", r"\b[XYZ][0-9]{7}-?[A-Z]\b"),
        1.0,
        True,
    ),
    _Recognizer("PlPeselRecognizer", "pl-pesel", "NATIONAL_ID", _near(r"pesel", r"\b[0-9]{11}\b"), 1.0, True),
    _Recognizer(
        "FiPersonalIdentityCodeRecognizer",
        "fi-hetu",
        "NATIONAL_ID",
        _near(
            r"hetu|henkilötunnus|personbeteckning\w*|personal identity code", r"\b[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]\b"
        ),
        1.0,
        True,
    ),
    _Recognizer(
        "SePersonnummerRecognizer",
        "se-personnummer",
        "NATIONAL_ID",
        _near(r"personnummer|samordningsnummer", r"\b[0-9]{6,8}[-+]?[0-9]{4}\b"),
        1.0,
        True,
    ),
    _Recognizer("SgFinRecognizer", "sg-fin", "NATIONAL_ID", _near(r"nric|fin", r"\b[STFGM][0-9]{7}[A-Z]\b"), 0.5),
    _Recognizer(
        "KrRrnRecognizer",
        "kr-rrn",
        "NATIONAL_ID",
        _near(r"rrn|resident registration|주민등록번호", r"\b[0-9]{6}-?[1-4][0-9]{6}\b"),
        0.5,
        True,
    ),
    _Recognizer(
        "ThTninRecognizer",
        "th-tnin",
        "NATIONAL_ID",
        _near(r"tnin|thai national id|เลขประจำตัวประชาชน", r"\b[1-9][0-9]{12}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "TrNationalIdRecognizer",
        "tr-national-id",
        "NATIONAL_ID",
        _near(r"tc ?kimlik\w*|tckn|kimlik no|t\.c\.", r"\b[1-9][0-9]{10}\b"),
        1.0,
        True,
    ),
    _Recognizer(
        "ZaIdNumberRecognizer",
        "za-id",
        "NATIONAL_ID",
        _near(r"south african id|sa id|rsa id|za id", r"\b[0-9]{10}[0-2][89][0-9]\b"),
        1.0,
        True,
    ),
)

# Recognizers that know less about code than our own rules do get the same last word.
_LAST_WORD: Final = {"EMAIL": email, "CARD": card_number, "IBAN": iban, "US_SSN": us_ssn}
_TOKEN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_JOINT: Final = frozenset("-/=+.#")  # before a number: it is a part of an address, a version or an identifier


class PresidioEngine:
    """The recognizers, behind their gates."""

    def __init__(self) -> None:
        self._recognizers: dict[str, tuple[_Recognizer, Any, Any]] = {}

    @property
    def gates(self) -> Sequence[Gate]:
        """One per recognizer; needs no import of Presidio."""
        return [Gate(f"presidio/{recognizer.rule}", recognizer.gate) for recognizer in RECOGNIZERS]

    def load(self) -> None:
        """Imports Presidio, keeps it off the network, and builds the recognizers."""
        if self._recognizers:
            return
        import logging

        import tldextract
        import tldextract.tldextract

        from localguard.detect.presidio_import import predefined_recognizers

        recognizers = predefined_recognizers()
        # Otherwise the e-mail recognizer fetches the public suffix list at its first use.
        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
        logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)  # its messages quote what failed to validate
        built = {}
        for recognizer in RECOGNIZERS:
            name = f"presidio/{recognizer.rule}"
            instance = getattr(recognizers, recognizer.name)()
            built[name] = (recognizer, instance, compile_pattern(recognizer.gate))
        self._recognizers = built

    def examine(self, window: Window) -> Iterator[Finding]:
        """The findings of the recognizers whose gates matched in `window`; offsets are in the whole text."""
        for name in window.gates:
            entry = self._recognizers.get(name)
            if entry is not None:
                recognizer, instance, gate = entry
                for piece in pieces(window, gate):
                    yield from _results(name, recognizer, instance, piece)


def _results(name: str, recognizer: _Recognizer, instance: Any, piece: Piece) -> Iterator[Finding]:
    for result in instance.analyze(piece.text, instance.supported_entities, None):
        start, end = result.start, result.end
        if recognizer.type == "EMAIL":
            # RFC 5322 lets `=` and its like stand in a user name; in text they end a key: `OWNER=jane@…`
            start += re.search(r"[^=/?&#!|{}~^`*$'\"]*$", piece.text[start:end].rpartition("@")[0]).start()  # type: ignore[union-attr]
        value = piece.text[start:end]
        if result.score < recognizer.score or not value.strip() or not piece.holds(result.start, result.end):
            continue
        edges = piece.text[max(0, start - 1) : start], piece.text[end : end + 1]
        if _TOKEN.intersection(edges) or (recognizer.rule != "email" and _JOINT.intersection(edges[:1])):
            continue
        check = _LAST_WORD.get(recognizer.type)
        if check and not check(
            Candidate(value, "", piece.text[max(0, start - 256) : start], piece.text[end : end + 256])
        ):
            continue
        distinctive = recognizer.checksum or is_distinctive(value)
        yield piece.finding(start, end, recognizer.type, DataClass.PII, name, distinctive=distinctive)
