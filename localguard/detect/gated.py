"""What engines that read text behind gates of their own have in common."""

from collections.abc import Sequence
from typing import Any

from localguard.detect.prefilter import Gate
from localguard.detect.rules import compile_pattern


class Gated:
    """The gates of an engine, and their patterns compiled for examination."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = tuple(gates)
        self._patterns: dict[str, Any] = {}

    @property
    def gates(self) -> Sequence[Gate]:
        """One for each way of reading that the engine has."""
        return self._gates

    def load(self) -> None:
        """Compiles the gates for examination."""
        if not self._patterns:
            self._patterns = {gate.name: compile_pattern(gate.pattern) for gate in self._gates}
