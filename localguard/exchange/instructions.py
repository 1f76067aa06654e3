"""Whether an instruction file that a prompt quotes is the file on disk. Pure: the files' texts are given.

Agents put a line with the file's name above its text (forms seen November 2026): `# AGENTS.md instructions for DIR` (Codex), `Contents
of PATH (project instructions …):` (Claude Code), `Instructions from: PATH` (opencode), `--- Context from: PATH ---` (Gemini CLI). A line
that only speaks of the file is no quote, and where it cannot be told nothing is said.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

_CUT = 32_768
"""Bytes of which agents leave away what is longer (Codex, `project_doc_max_bytes`)."""
_LONG = 64
"""Characters that do not stand in a prompt by chance."""
_MAX_TEXT = 1_048_576
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_ABOVE = re.compile(r"\s*(?:<[A-Za-z_-]{1,40}>\s*|-{3,}\s*|`{3,}\w*\s*)?")
"""What stands between the line and the text."""
_PATH = re.compile(
    r"^[#>*\s-]*(?:the )?(?:contents? of|instructions from:?|context from:?|rules from:?|file:?)\s+[`\"']?(?P<path>\S.*)$",
    re.IGNORECASE,
)
_DIRECTORY = re.compile(r"^[#>*\s-]*(?P<name>\S+) instructions for (?P<directory>\S.*?)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a new piece of a request says where it names an instruction file: `digest` as in `Facts.instructions`. Raw text."""

    name: str
    digest: str
    texts: tuple[str, ...]


def matches(quote: Quote, files: Mapping[Path, str]) -> bool | None:
    """Whether a quote holds the text of one of `files`, by their absolute paths; False where it names one of them and does not.

    None where it quotes none, or one that is too long to be quoted whole.
    """
    contents = {path: _plain(text) for path, text in files.items() if text.strip()}
    named = False
    for text in quote.texts:
        for line, rest in _lines_with(quote.name, _plain(text[:_MAX_TEXT])):
            below = _ABOVE.sub("", rest, count=1)
            for path, content in contents.items():
                found = next((one for one in _forms(content) if one in rest), None)
                if found is not None and (len(found) >= _LONG or below.startswith(found)):
                    return True
                short = len(content.encode("utf-8", "surrogatepass")) <= _CUT
                named |= found is None and short and _names(line, path)
    return False if named else None


def _forms(content: str) -> tuple[str, ...]:
    """How a file's text is quoted: as it is, or without its comments (Claude Code)."""
    bare = _COMMENT.sub("", content).strip() if "<!--" in content else ""
    return (content, bare) if bare else (content,)


def _lines_with(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Each line that names the file, and what is below it."""
    at = text.find(name)
    while at >= 0:
        start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        if end < 0:
            return
        yield text[start:end], text[end:]
        at = text.find(name, end)


def _names(line: str, path: Path) -> bool:
    """Whether a line says that the file at `path` stands below."""
    if found := _DIRECTORY.match(line):
        return found["name"] == path.name and PurePath(found["directory"].rstrip("/\\`:")) == path.parent
    found = _PATH.match(line)
    if found is None:
        return False
    told = found["path"]
    end = told.find(path.name) + len(path.name)
    spelled = PurePath(told[:end])
    return end >= len(path.name) and (
        spelled == path or (not spelled.is_absolute() and path.parts[-len(spelled.parts) :] == spelled.parts)
    )


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").strip()


def quoted(names: Sequence[str], digest: str, texts: Sequence[str]) -> list[Quote]:
    """The quotes of one piece: for each file that it names the texts that do."""
    return [Quote(name, digest, tuple(text for text in texts if name in text)) for name in names]
