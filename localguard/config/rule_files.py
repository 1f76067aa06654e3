"""Reading rule files from disk: the packaged ones, then those of a home or a repository."""

import os
import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from localguard.config.home import without_waiting
from localguard.detect.rules import Rule, RuleInvalid, merge_packs, parse_pack

_MAX_BYTES: Final = 4 * 1024 * 1024
_DEEP_KEY: Final = re.compile(rb"(?<![\w\"'.-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){100}")


def packaged_rules() -> Path:
    """The directory of the rules that come with localguard: in the wheel, else in the repository."""
    packaged = Path(__file__).parent.parent / "_rules"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent.parent / "rules"


def read_rule_file(path: Path, *, tested: bool = False) -> list[Rule]:
    """The rules of one file, disabled ones included. `RuleInvalid` names the file, and rule and field where known.

    The patterns of a `tested` file are not compiled to check them.
    """
    try:
        data = tomllib.loads(_read(path).decode("utf-8"))
    except OSError as error:
        raise RuleInvalid(f"{path.name}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        said = error if isinstance(error, tomllib.TOMLDecodeError) else "it is no UTF-8, or nested beyond reason"
        raise RuleInvalid(f"{path.name}: cannot be read as TOML: {said}") from None
    return parse_pack(data, path.name, tested=tested)


def _read(path: Path) -> bytes:
    """The bytes of a rule file. A pipe, a device or a file without end in its place neither holds anybody up nor fills the memory."""
    with open(path, "rb", opener=without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RuleInvalid(f"{path.name}: is no regular file")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise RuleInvalid(f"{path.name}: is larger than 4 MiB, which no rules need")
    if _DEEP_KEY.search(data):  # tomllib takes time in the square of a key's parts
        raise RuleInvalid(f"{path.name}: a key has more than 100 parts")
    return data


def read_rules(directories: Iterable[Path]) -> list[Rule]:
    """The enabled rules of all `*.toml` files of the packaged rules, then of `directories`, in order of name.

    A later file redefines a rule by its id. A directory that does not exist holds no rules. `RuleInvalid` names the
    file that cannot be read or understood.
    """
    packaged = packaged_rules().resolve()
    packs = []
    for directory in dict.fromkeys((packaged, *(path.resolve() for path in directories))):
        for path in sorted(directory.glob("*.toml")):
            packs.append(read_rule_file(path, tested=directory == packaged))
    return merge_packs(packs)


def check_rules(directories: Iterable[Path]) -> None:
    """Read the rule files of `directories` alone, as `read_rules` does, to tell of the first broken one: `RuleInvalid`."""
    for directory in dict.fromkeys(path.resolve() for path in directories):
        for path in sorted(directory.glob("*.toml")):
            read_rule_file(path)
