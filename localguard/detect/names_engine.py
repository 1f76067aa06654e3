"""Names of persons and places by a language model that the user installed: Presidio's spaCy engine on a local path.

Off unless the policy names a model. Nothing is downloaded: a path that is no directory is an error. Models see whole lines of
at most `_MAX_CHARACTERS`; a text that has no capitalised word is not shown to them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.prefilter import Gate
from localguard.detect.presidio_import import with_spacy
from localguard.errors import LocalguardError

_GATE: Final = "names/model"
_CAPITALISED: Final = rb"(?:\b[A-Z]|\xc3[\x80-\x9e]|\xce[\x91-\xab]|\xd0[\x90-\xaf])[a-z\x80-\xff]"
_MAX_CHARACTERS: Final = 4_000
_LEAST: Final = 3
_TYPES: Final = {"PERSON": "PERSON", "LOCATION": "PLACE", "ORGANIZATION": "ORGANISATION", "NRP": "PERSON_GROUP"}
"""Presidio's entities and the types that they become."""


class NamesModelMissing(LocalguardError):
    """The language model that the policy names cannot be loaded; the message says what to do."""


class NamesEngine:
    """The recognizer of one spaCy pipeline on disk, as an `Engine`. `entities` are Presidio's names of them."""

    def __init__(self, path: str, language: str = "en", entities: Sequence[str] = ("PERSON", "LOCATION")) -> None:
        self._path = Path(path).expanduser()
        self._language = language
        self._entities = list(entities)
        self._nlp: Any = None
        self._recognizer: Any = None

    @property
    def gates(self) -> Sequence[Gate]:
        """One: a capitalised word."""
        return [Gate(_GATE, _CAPITALISED, apart=True)]

    def load(self) -> None:
        """Load the model. Raises NamesModelMissing."""
        if self._recognizer is not None:
            return
        path = self._path
        if not path.is_dir():
            raise NamesModelMissing(f"There is no language model at {path}. See `localguard doctor`.")
        with_spacy()
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer

        engine = SpacyNlpEngine(models=[{"lang_code": self._language, "model_name": str(path)}])
        try:
            engine.load()
        except Exception as error:
            raise NamesModelMissing(
                f"The language model at {path} cannot be loaded ({type(error).__name__})."
            ) from None
        self._nlp = engine
        self._recognizer = SpacyRecognizer(supported_language=self._language, supported_entities=self._entities)

    def examine(self, window: Window) -> Iterator[Finding]:
        """The names in `window`; offsets are in the whole text."""
        if _GATE not in window.gates:
            return
        for offset, text in _lines(window):
            artifacts = self._nlp.process_text(text, self._language)
            for found in self._recognizer.analyze(text, self._entities, artifacts):
                value = text[found.start : found.end]
                start = found.start + len(value) - len(value.lstrip())
                end = found.end - len(value) + len(value.rstrip())
                if end - start >= _LEAST and any(map(str.isupper, value)):
                    first = offset + len(text[:start].encode("utf-8", "surrogateescape"))
                    size = len(text[start:end].encode("utf-8", "surrogateescape"))
                    kind = _TYPES.get(found.entity_type, "PERSON")
                    yield Finding(first, first + size, kind, DataClass.PII, "names/model", False)


def _lines(window: Window) -> Iterator[tuple[int, str]]:
    """Runs of whole lines, longer lines cut at spaces, with their byte offset in the whole text."""
    offset = window.start
    pending = ""
    for line in window.text.decode("utf-8", "surrogateescape").splitlines(keepends=True):
        for part in _cut(line):
            if len(pending) + len(part) > _MAX_CHARACTERS and pending:
                yield offset, pending
                offset += len(pending.encode("utf-8", "surrogateescape"))
                pending = ""
            pending += part
    if pending:
        yield offset, pending


def _cut(line: str) -> Iterator[str]:
    start = 0
    while len(line) - start > _MAX_CHARACTERS:
        end = line.rfind(" ", start + 1, start + _MAX_CHARACTERS)
        end = end if end > start else start + _MAX_CHARACTERS
        yield line[start:end]
        start = end
    yield line[start:]
