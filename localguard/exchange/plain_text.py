"""A reply that is text as it is (a transcript, a page), restored as prose while it comes."""

import codecs

from localguard.exchange.memory import WorkspaceMemory
from localguard.redact.restorer import ProseRestorer, Report


class PlainText:
    """Bytes in, restored bytes out. What is not UTF-8 passes byte for byte, and no placeholder is seen in UTF-16."""

    def __init__(self, memory: WorkspaceMemory, report: Report) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._restorer = ProseRestorer(memory.vault, report)

    def feed(self, chunk: bytes) -> bytes:
        """What can be said so far."""
        return _encoded(self._restorer.feed(self._decoder.decode(chunk)))

    def finish(self) -> bytes:
        """The rest."""
        return _encoded(self._restorer.feed(self._decoder.decode(b"", final=True)) + self._restorer.finish())


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a value with half of a surrogate pair, as JSON may spell one
        return text.encode("utf-8", "surrogatepass")
