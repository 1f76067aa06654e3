"""Reading rule files from disk: the packaged ones, then those of a home or a repository."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

from localguard.detect.rules import Rule, RuleInvalid, merge_packs, parse_pack


def packaged_rules() -> Path:
    """The directory of the rules that come with localguard: in the wheel, else in the repository."""
    packaged = Path(__file__).parent.parent / "_rules"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent.parent / "rules"


def read_rule_file(path: Path, *, tested: bool = False) -> list[Rule]:
    """The rules of one file, disabled ones included. `RuleInvalid` names the file, and rule and field where known.

    The patterns of a `tested` file are not compiled to check them.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RuleInvalid(f"{path.name}: cannot be read as TOML: {error}") from None
    return parse_pack(data, path.name, tested=tested)


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
