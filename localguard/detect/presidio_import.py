"""Importing Presidio without spaCy, which it imports for language models whether or not one is used.

spaCy, thinc and numpy are most of what Presidio takes: 74 MB in each process and 0.8 s. The recognizers of patterns use
none of it. Where a language model for names is configured, Presidio is imported once more, whole (`with_spacy`).
"""

import importlib
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LEFT_OUT = ("spacy", "thinc")
_LOCK = threading.RLock()


class _Registry(type):
    """Of classes whose every attribute makes decorators that change nothing, as those of spaCy's registry."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: lambda made: made


class _Absent(ModuleType):
    """Stands for a module of spaCy or thinc while Presidio is imported: every name in it is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Registry(name, (), {})


class _Finder(MetaPathFinder, Loader):
    """Finds nothing but spaCy and thinc, and those absent."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in _LEFT_OUT:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def predefined_recognizers() -> Any:
    """Presidio's module of that name. Imports Presidio without spaCy, unless either has been imported."""
    with _LOCK:
        if "spacy" in sys.modules or "presidio_analyzer" in sys.modules:
            return importlib.import_module("presidio_analyzer.predefined_recognizers")
        finder = _Finder()
        sys.meta_path.insert(0, finder)
        try:
            return importlib.import_module("presidio_analyzer.predefined_recognizers")
        finally:
            sys.meta_path.remove(finder)
            for name in [name for name, module in sys.modules.items() if isinstance(module, _Absent)]:
                del sys.modules[name]


def with_spacy() -> None:
    """Have the next import of Presidio be of the whole. Recognizers that were built before go on working."""
    with _LOCK:
        engine = sys.modules.get("presidio_analyzer.nlp_engine.spacy_nlp_engine")
        if not isinstance(getattr(engine, "spacy", None), _Absent):
            return
        for name in [name for name in sys.modules if name.partition(".")[0] == "presidio_analyzer"]:
            del sys.modules[name]
