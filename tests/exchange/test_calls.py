"""What a reply asks for is told from its calls and its prose: commands to run, files to write."""

import json

import pytest

from localguard.exchange.calls import ToolCall, command_texts, edited_files, files_in_prose
from tests.exchange.driver import Workspace

PATCH = "*** Begin Patch\n*** Update File: src/a.py\n*** Move to: src/b.py\n@@\n-x\n+y\n*** Add File: docs/new file.md\n+z\n*** End Patch"


def of(tool: str, **arguments: object) -> ToolCall:
    return ToolCall(tool, json.dumps(arguments))


@pytest.mark.parametrize(
    ("call", "files"),
    [
        (of("Write", file_path="/src/a.py", content="x"), ["/src/a.py"]),
        (of("edit", filePath="a.py", oldString="x", newString="y"), ["a.py"]),
        (of("mcp__files__write_file", path="a.py", content="path"), ["a.py"]),
        (of("str_replace_based_edit_tool", command="str_replace", path="a.py", old_str="x"), ["a.py"]),
        (of("str_replace_based_edit_tool", command="view", path="a.py"), []),
        (of("multi_replace_string_in_file", replacements=[{"filePath": "a"}, {"filePath": "b"}]), ["a", "b"]),
        (of("MultiEdit", file_path="a.py", edits=[{"old_string": "x", "new_string": "y"}]), ["a.py"]),
        (of("apply_patch", input=PATCH), ["src/a.py", "src/b.py", "docs/new file.md"]),
        (of("shell", command=["apply_patch", PATCH]), ["src/a.py", "src/b.py", "docs/new file.md"]),
        (ToolCall("apply_patch", PATCH), ["src/a.py", "src/b.py", "docs/new file.md"]),
        (of("apply_patch", type="update_file", path="a.py", diff="@@"), ["a.py"]),
        (of("apply_diff", diff="--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"), ["x.py"]),
        (of("read", path="a.py"), []),
        (of("bash", command="cat a.py"), []),
        (of("mcp__github__create", path="a.py"), []),
        (ToolCall("write", '{"path": "a.p'), []),
        (ToolCall("write", '["a.py"]'), []),
    ],
)
def test_the_files_that_a_call_writes_are_told(call: ToolCall, files: list[str]) -> None:
    assert edited_files(call) == files


def test_what_an_editor_does_is_no_command() -> None:
    assert command_texts(of("str_replace_based_edit_tool", command="create", path="a.py", file_text="x")) == []
    assert command_texts(of("shell", command=["ls", "-l"])) == ["ls -l"]
    assert command_texts(of("bash", command="make test")) == ["make test"]


def test_a_call_with_endless_paths_is_bounded() -> None:
    call = of("write", edits=[{"path": f"{number}/" + "x" * 2_000} for number in range(1_000)])
    files = edited_files(call)
    assert len(files) == 100
    assert max(map(len, files)) == 1_000
    nested: object = {"path": "deep"}
    for _ in range(50):
        nested = {"edits": [nested]}
    assert edited_files(of("write", edits=[nested])) == []


def test_blocks_in_prose_name_the_files_above_them() -> None:
    block = "<<<<<<< SEARCH\nold\n=======\nnew\n>>>>>>> REPLACE\n"
    assert files_in_prose(f"I change two.\n\nsrc/a.py\n```python\n{block}```\n\n**b.py**\n{block}{block}") == [
        "src/a.py",
        "b.py",
    ]
    assert files_in_prose(f"Here it comes, as you asked me to do\n{block}") == []
    assert files_in_prose("no edit") == []


def test_a_client_that_sends_the_same_again_is_told_from_one_that_goes_on() -> None:
    from localguard.wire.chat import CHAT

    workspace = Workspace()

    def read(*said: str) -> tuple[bytes, int]:
        workspace.send(CHAT, {"model": "m", "messages": [{"role": "user", "content": one} for one in said]})
        assert workspace.reading is not None
        facts = workspace.reading.facts
        return facts.alike, facts.new_bytes

    first = read("one", "two", "three")
    again = read("one", "two", "three")
    assert first[1] > 0
    assert again == (first[0], 0)
    assert read("one", "two")[0] != first[0]
    assert read("one", "two", "three", "four")[1] > 0
