"""False alarms on clean open-source code, docs, bundles and lock files that lie on this machine."""

import gzip
import random
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localguard.detect.words import word_set
from tests.bench.detection.tools import Span, Tool

REPOSITORY = Path(__file__).parents[3]
_LEFT_OUT = ("detect_secrets", "presidio_analyzer", "localguard", "__pycache__", "phonenumbers", ".git", "keyring")
"""Detectors ship samples of what they detect, and the phone library its numbers: these are no clean text."""
_SUFFIXES = word_set(
    ".py .pyi .md .rst .txt .json .toml .yaml .yml .cfg .ini .js .mjs .cjs .ts .jsx .tsx .css .scss .html .xml .c .h .cpp .go .rs .sh "
    ".java .lock .map .svg .sql .pl .rb .proto .gz .tcl .lua .vim .el .properties .conf"
)
_DATA_NAMES = word_set(
    "RECORD METADATA package-lock.json yarn.lock pnpm-lock.yaml Cargo.lock poetry.lock uv.lock go.sum"
)
_DATA = word_set(".json .toml .yaml .yml .cfg .ini .xml .lock .svg .sql .conf .properties")
_DOCUMENTS = word_set(".md .rst .txt .html")
_BUNDLED = word_set(".js .mjs .cjs .css")
_MAX_FILE = 1_500_000


@dataclass(frozen=True)
class Alarm:
    """One false alarm: where, and the shape of what was found, every letter and digit masked."""

    path: str
    line: int
    span: Span
    shape: str


@dataclass
class Alarms:
    """What a tool said about clean text; `size` is bytes of UTF-8."""

    size: int
    alarms: list[Alarm]

    def per_megabyte(self, kind: str) -> float:
        """`secret`, or `pii` without e-mail addresses."""
        chosen = [a for a in self.alarms if (a.span.data_class == "secret" if kind == "secret" else _other_pii(a.span))]
        return len(chosen) / (self.size / 1e6)


def default_roots() -> list[Path]:
    """Python packages, the standard library, the packages of the agents' clients, and the system's documents."""
    roots = [
        Path(sysconfig.get_path("purelib")),
        Path(sysconfig.get_path("stdlib")),
        REPOSITORY / ".clients",
        Path("/usr/share/doc"),
        Path("/usr/lib/node_modules"),
        Path("/usr/include"),
    ]
    return [root for root in roots if root.is_dir()]


def texts(roots: Sequence[Path], megabytes: float, seed: int = 7) -> Iterator[tuple[Path, str]]:
    """Clean files in a seeded order up to `megabytes`: a quarter each of code, documents, bundles, and lock files with other data.

    A kind that runs out leaves its share to the others. One file is at most a fifth of its kind's share, and 1.5 MB.
    """
    kinds: dict[str, list[Path]] = {"data": [], "bundles": [], "documents": [], "code": []}
    for root in roots:
        for path in _files(root):
            kinds[_kind(path)].append(path)
    left = megabytes * 1e6
    for place, paths in enumerate(kinds.values()):
        random.Random(seed).shuffle(paths)
        share, used = left / (len(kinds) - place), 0
        for path in paths:
            if used >= share:
                break
            text = _read(path, min(_MAX_FILE, int(share / 5)))
            if text:
                used += len(text)
                yield path, text
        left -= used


def alarms(tool: Tool, files: Sequence[tuple[Path, str]]) -> Alarms:
    """Runs a tool over clean files."""
    made = Alarms(0, [])
    for path, text in files:
        made.size += len(text.encode("utf-8", "replace"))
        for span in tool.find(text):
            made.alarms.append(Alarm(str(path), text.count("\n", 0, span.start) + 1, span, masked(text, span)))
    return made


def masked(text: str, span: Span) -> str:
    """The line around a finding with the value's letters and digits replaced by a, A and 9."""
    begin = max(text.rfind("\n", 0, span.start) + 1, span.start - 60)
    value = "".join(
        "9" if c.isdigit() else "A" if c.isupper() else "a" if c.islower() else c for c in text[span.start : span.end]
    )
    after = text[span.end : span.end + 20].split("\n")[0]
    return f"{text[begin : span.start]}⟦{value[:60]}⟧{after}"


def _other_pii(span: Span) -> bool:
    return span.data_class == "pii" and "email" not in span.rule.lower() and "e-mail" not in span.rule.lower()


def _kind(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix in _DOCUMENTS:
        return "documents"
    if name in _DATA_NAMES or suffix in _DATA:
        return "data"
    if suffix == ".map" or ".min." in name or (suffix in _BUNDLED and path.stat().st_size > 60_000):
        return "bundles"
    return "code"


def _files(root: Path) -> list[Path]:
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if (path.suffix not in _SUFFIXES and path.name not in _DATA_NAMES) or any(
            p.startswith(_LEFT_OUT) for p in parts
        ):
            continue
        if root.name != "site-packages" and "site-packages" in parts:
            continue
        if path.is_file() and not path.is_symlink():
            found.append(path)
    return sorted(found)


def _read(path: Path, most: int) -> str | None:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        if len(data) > most or b"\0" in data[:4096]:
            return None
        return data.decode("utf-8")
    except (OSError, ValueError, EOFError):
        return None
