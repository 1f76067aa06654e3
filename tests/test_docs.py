"""What the documents say is so: commands, policy, links, docstrings."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from localguard.cli.main import app
from localguard.config.policy_files import load_policy
from tests.cli.agents_table import table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = typer.main.get_command(app)
DOCUMENTS = sorted(path.name for path in ROOT.glob("*.md"))
BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS.findall(README) if name == language]


def command_lines() -> list[str]:
    """Every `localguard …` in code blocks and code spans of the README, without comments and redirections."""
    in_blocks = [line for text in blocks("sh") for line in text.splitlines() if line.startswith("localguard ")]
    in_spans = re.findall(r"`(localguard [^`]*)`", BLOCKS.sub("", README))
    return [re.split(r"\s+[#>|]", line)[0].strip() for line in in_blocks + in_spans]


def walk(command: object, path: str = "localguard") -> Iterator[tuple[str, object]]:
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from walk(sub, f"{path} {name}")


TREE = dict(walk(COMMANDS))


@pytest.mark.parametrize("line", command_lines())
def test_every_command_of_the_readme_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)
    path = words[0]
    while len(words) > 1 and f"{path} {words[1]}" in TREE:
        path = f"{path} {words.pop(1)}"
    assert path != "localguard" or not words[1:] or words[1].startswith("--"), f"no such command: {line}"
    known = {"--help"} | {option for parameter in TREE[path].params for option in getattr(parameter, "opts", ())}  # type: ignore[attr-defined]
    before = words[1 : words.index("--")] if "--" in words else words[1:]
    for word in before:
        assert not re.match(r"--?\w", word) or word in known, f"{path} has no option {word}"


def test_the_readme_names_commands() -> None:
    assert len(command_lines()) > 10


def commands_in_help(text: str) -> str:
    return text[text.index("Commands:\n") :].split("\n\n")[0]


def help_text() -> str:
    from typer.testing import CliRunner

    return CliRunner().invoke(app, ["--help"], prog_name="localguard", env={"COLUMNS": "100"}).output


def test_the_list_of_commands_in_the_readme_is_that_of_help() -> None:
    listed = next(text for text in blocks("text") if text.startswith("Commands:"))
    assert listed.strip() == commands_in_help(help_text()).strip()


def test_the_table_of_agents_in_the_readme_is_that_of_the_catalogue() -> None:
    listed = README.partition("<!-- agents: ")[2].partition("-->\n")[2].partition("\n\n")[0]
    assert listed == table()


@pytest.mark.parametrize("path", TREE)
def test_every_command_has_a_help_text_and_an_example(path: str) -> None:
    command = TREE[path]
    assert command.help  # type: ignore[attr-defined]
    example = str(command.epilog)  # type: ignore[attr-defined]
    assert example.startswith("Example: localguard ")
    words = example.removeprefix("Example: ").split()
    name = " ".join(words[: len(path.split())])
    assert name == path or name.startswith(path) or path == "localguard"


@pytest.mark.parametrize("index", range(len(blocks("toml"))))
def test_every_policy_of_the_readme_is_valid(index: int, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(blocks("toml")[index], "utf-8")
    assert load_policy(file).rules


def test_the_readme_shows_a_policy() -> None:
    assert blocks("toml")


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", BLOCKS.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_the_repository_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", BLOCKS.sub("", text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        place = ROOT / path if path else ROOT / document
        assert place.exists(), target
        assert not anchor or anchor in anchors(place.read_text("utf-8")), target


def test_the_changelog_has_an_unreleased_section() -> None:
    assert re.search(r"^## Unreleased$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


def test_the_license_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def undocumented(tree: ast.AST, prefix: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            yield f"{prefix}{node.name}"
        is_protocol = isinstance(node, ast.ClassDef) and any(getattr(b, "id", "") == "Protocol" for b in node.bases)
        if isinstance(node, ast.ClassDef) and not is_protocol:  # a protocol's own docstring speaks for its members
            yield from undocumented(node, f"{prefix}{node.name}.")


def test_every_module_and_public_name_has_a_docstring() -> None:
    missing = []
    for path in sorted((ROOT / "localguard").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        place = path.relative_to(ROOT).as_posix()
        missing += [f"{place}: {name}" for name in undocumented(tree, "")]
        if ast.get_docstring(tree) is None and tree.body:
            missing.append(place)
    assert not missing
