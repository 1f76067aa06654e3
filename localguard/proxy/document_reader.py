"""Documents are read in a process of their own, which is given little memory and little time, and ends with its batch."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Final

from localguard.detect.documents import DocumentText, DocumentUnreadable, read_document

_MEMORY: Final = 1024 * 1024 * 1024
_SECONDS: Final = 15.0


class DocumentReader:
    """Reads batches of documents, one process a batch, one batch at a time."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")

    async def read(self, documents: Sequence[bytes]) -> list[DocumentText | None]:
        """The text of each document, None for those that could not be read, whatever the reason."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, list(documents))

    def close(self) -> None:
        """Let a batch under way end by its own deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, documents: list[bytes]) -> list[DocumentText | None]:
        ours, theirs = self._context.Pipe(duplex=True)
        process = self._context.Process(target=serve, args=(theirs,), name="localguard-documents", daemon=True)  # type: ignore[attr-defined]
        answers: list[DocumentText | None] = []
        try:
            process.start()
            theirs.close()
            for data in documents:
                ours.send_bytes(data)
                if not ours.poll(_SECONDS):
                    break
                answers.append(ours.recv())
        except (OSError, EOFError):
            pass
        finally:
            with contextlib.suppress(OSError, ValueError):
                process.kill()
            ours.close()
        return [*answers, *[None] * (len(documents) - len(answers))]


def serve(connection: Connection) -> None:
    """The process's main function: answer each document with its DocumentText, or None."""
    if sys.platform != "win32":
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return
        if sys.platform != "win32":
            signal.alarm(int(_SECONDS) + 1)  # also where nobody waits any more
        try:
            answer: DocumentText | None = read_document(data)
        except (DocumentUnreadable, MemoryError, RecursionError):
            answer = None
        connection.send(answer)
