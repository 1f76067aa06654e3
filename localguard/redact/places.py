"""What kind of place a placeholder stands in, by tool and outermost argument, and whether it reaches beyond this machine.

Names are compared without case and punctuation, and without the server in front (`mcp__files__write_file`,
`developer__text_editor`, `functions.shell`), so that one row serves the spellings of many agents. A tool or argument that
no row names is UNKNOWN: held and judged.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from localguard.redact import command, powershell, script
from localguard.redact.address import is_this_machine
from localguard.redact.programs import names


class Place(StrEnum):
    """Kinds of places; the first two are restored at once, the others held to the argument's end and judged."""

    FILE_CONTENT = "file content"
    FILE_PATH = "file path"  # paths, and patterns that are searched for on this machine
    SHELL = "shell"  # one or several commands, as text
    ARGV = "argv"  # one command, as an array of words, or as text
    COMMANDS = "commands"  # an array of commands, each as text
    POWERSHELL = "powershell"
    PYTHON = "python"
    URL = "url"
    UNKNOWN = "unknown"


AT_ONCE = frozenset({Place.FILE_CONTENT, Place.FILE_PATH})

FREEFORM = "<input>"
"""The argument name under which the free-text input of a custom tool is judged."""


FREEFORM_PLACE = Place.SHELL
"""What such input is judged as."""


class _Row(NamedTuple):
    tools: frozenset[str]
    arguments: frozenset[str]
    place: Place


_WRITING_TOOLS = names("""
    write writefile writetofile filewrite create createfile createnewfile createtextfile newfile savefile fswrite
    overwritefile appendfile appendtofile writetextfile addfile
    edit editfile editexistingfile edittool fileedit multiedit multieditfile smartedit strreplace strreplaceeditor
    strreplacebasededit strreplacebasededittool stringreplace replace replaceinfile replacestringinfile
    multireplacestringinfile singlefindandreplace findandreplace searchreplace searchandreplace texteditor editor
    insert insertcontent inserttext insertintofile insertedit inserteditintofile insertatline replacelines editblock
    applypatch applydiff patch patchfile diff
    notebookedit editnotebook editnotebookfile editnotebookcell
""")
_REMOVING_TOOLS = names("deletefile removefile movefile renamefile")
_PATCH_TOOLS = names("applypatch applydiff patch patchfile diff")
_READING_TOOLS = names("""
    read readfile readfiles readmanyfiles readtextfile readmultiplefiles view viewfile viewimage openfile open cat
    ls list listdir listdirectory listfiles directorytree glob globtool findfiles filesearch searchfiles grep grepsearch
    greptool ripgrep searchfilecontent notebookread readnotebook getfileinfo deletefile movefile copyfile
""")
_SHELL_TOOLS = names("""
    bash shell sh zsh exec execcommand executecommand runcommand runcommands runshellcommand shellcommand terminal
    runterminal runterminalcmd runterminalcommand runinterminal executebash runbash bashtool bashoutput localshell
    localshellcall unifiedexec writestdin cmd command runscript
""")
_POWERSHELL_TOOLS = names("powershell pwsh runpowershell writepowershell")
_PYTHON_TOOLS = names("""
    python python3 runpython runpythoncode executepython pythontool execpython ipython codeinterpreter executeipython
    executecode runcode jupyter jupyterexecute
""")
_ARGV_TOOLS = names("shell exec localshell localshellcall")
_WEB_TOOLS = names("""
    webfetch fetch fetchurl webrequest httprequest http curl websearch googlewebsearch search browse browser openurl
    browseraction navigate browsernavigate openbrowser opensimplebrowser fetchwebpage readurl geturl download visit
""")

_CONTENT_ARGUMENTS = names("""
    content contents filecontent filecontents filetext text body data newstring oldstring newstr oldstr newtext oldtext
    newcontent oldcontent newcode oldcode newsource oldsource source newvalue oldvalue inserttext insert edits edit
    operations patch patchtext diff diffs code codeedit search replace replacement replacements find searchstring
    replacestring oldlines newlines lines snippet input cellcontent changes
""")
_PATH_ARGUMENTS = names("""
    path paths filepath filepaths file files filename filenames notebookpath targetfile sourcefile directory dir dirpath
    directorypath targetdirectory cwd workdir workingdirectory relativeworkspacepath relpath relativepath absolutepath
    absfilepath source destination root rootdirectory oldpath newpath
""")
_PATTERN_ARGUMENTS = names(
    "pattern patterns regex glob globs globpattern include exclude query includepattern filepattern"
)
_COMMAND_ARGUMENTS = names("command cmd commandline script chars input bash text keys data")
_BESIDE_ARGUMENTS = names(
    "env environment envs envvars environmentvariables variables vars stdin args arguments argv options flags parameters"
)
"""What a command is given beside its text: what becomes of it stands in another argument."""
_DIRECTORY_ARGUMENTS = names("cwd workdir workingdirectory directory dirpath")
_ADDRESS_ARGUMENTS = names(
    "url urls uri uris href link links address endpoint website webpage site host hostname domain"
)
_REMOTE_ARGUMENTS = names("cc bcc recipient recipients webhook channel remote server email")

TABLE: tuple[_Row, ...] = (
    _Row(_PATCH_TOOLS, names("command cmd"), Place.SHELL),
    _Row(_WRITING_TOOLS, _CONTENT_ARGUMENTS, Place.FILE_CONTENT),
    _Row(_WRITING_TOOLS | _READING_TOOLS, _PATH_ARGUMENTS, Place.FILE_PATH),
    _Row(_READING_TOOLS, _PATTERN_ARGUMENTS, Place.FILE_PATH),
    _Row(_ARGV_TOOLS, names("command cmd action"), Place.ARGV),
    _Row(_SHELL_TOOLS, names("commands"), Place.COMMANDS),
    _Row(_SHELL_TOOLS, _COMMAND_ARGUMENTS, Place.SHELL),
    _Row(_POWERSHELL_TOOLS, _COMMAND_ARGUMENTS, Place.POWERSHELL),
    _Row(_SHELL_TOOLS | _POWERSHELL_TOOLS | _PYTHON_TOOLS, _DIRECTORY_ARGUMENTS, Place.FILE_PATH),
    _Row(_PYTHON_TOOLS, names("code script source input python command"), Place.PYTHON),
    _Row(_WEB_TOOLS, names("query q search searchterm term keywords"), Place.URL),
)
"""Rows are tried in order; the first whose tools and arguments hold both names decides."""

_REMOTE_WORDS = re.compile(
    r"github|gitlab|bitbucket|jira|linear|notion|confluence|slack|discord|teams|telegram|mail|drive|dropbox|sharepoint"
    r"|onedrive|s3|gcs|azure|aws|cloud|remote|http|web|fetch|browse|browser|url|internet|upload|publish|send|post|notify"
    r"|webhook|message|tweet|share|deploy|push|sync|comment|issue|pullrequest|gist|pastebin|crawl|scrape|playwright|puppeteer"
)
_PREFIX = re.compile(r"^(?:.*(?:__|\.|/|:))")
_URL_IN_TEXT = re.compile(r"[a-z][a-z0-9+.-]{1,30}://[^\s\"'<>]*", re.IGNORECASE)


def place_of(tool: str, argument: str) -> Place:
    """Return the kind of place that the outermost `argument` of `tool` is."""
    server, name = _parts(tool)
    plain = _plain(argument)
    if not (server and _REMOTE_WORDS.search(server)):
        for row in TABLE:
            if name in row.tools and plain in row.arguments:
                return row.place
    if plain in _ADDRESS_ARGUMENTS:
        return Place.URL
    return Place.UNKNOWN


def writes_files(tool: str) -> bool:
    """Whether `tool` is one of those that write files of this machine; one that removes a file counts."""
    server, name = _parts(tool)
    return (name in _WRITING_TOOLS or name in _REMOVING_TOOLS) and not (server and _REMOTE_WORDS.search(server))


def freeform_place(tool: str) -> Place:
    """Return the kind of place that the free-text input of `tool` is: a patch is file content, all else a command."""
    server, name = _parts(tool)
    if name in _PATCH_TOOLS and not (server and _REMOTE_WORDS.search(server)):
        return Place.FILE_CONTENT
    return Place.SHELL


def judge(place: Place, tool: str, argument: str, value: object) -> str | None:
    """Return in words why `value`, the parsed JSON of a whole argument, reaches beyond this machine, or None.

    Never raises: what cannot be understood reaches beyond. Says nothing about what a local program, a file or a script
    does later with what it was given.
    """
    try:
        if argument == FREEFORM:
            return command.reaches_beyond(value) if isinstance(value, str) else "it is not text"
        return _judge(place, tool, argument, value)
    except RecursionError:
        return "it is nested too deeply to judge"


def reaches_beyond(text: str) -> str | None:
    """Return in words why the shell text `text` reaches beyond this machine, or None where all of it stays here."""
    try:
        return command.reaches_beyond(text)
    except RecursionError:
        return "it is nested too deeply to judge"


def _judge(place: Place, tool: str, argument: str, value: object) -> str | None:
    if place in AT_ONCE:
        return None
    if place is Place.SHELL and isinstance(value, str):
        return command.reaches_beyond(value)
    if place is Place.POWERSHELL and isinstance(value, str):
        return powershell.reaches_beyond(value)
    if place is Place.PYTHON and isinstance(value, str):
        return script.python_reaches_beyond(value)
    if place is Place.URL:
        return _judge_addresses(value)
    if place in (Place.SHELL, Place.ARGV, Place.COMMANDS):
        return _judge_commands(place, value)
    return _judge_unknown(tool, argument, value)


def _judge_commands(place: Place, value: object) -> str | None:
    """Judge a command that came as an array, or several of them; what is not said to be either is judged as both."""
    if isinstance(value, str):
        return command.reaches_beyond(value)
    if isinstance(value, dict):
        inner = value.get("command", value.get("cmd"))
        return "its command cannot be read" if inner is None else _judge_commands(place, inner)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "its command is neither text nor an array of words"
    reason = None
    if place is not Place.COMMANDS:
        reason = command.words_reach_beyond(value)
    if place is not Place.ARGV and reason is None:
        reason = next((found for found in map(command.reaches_beyond, value) if found), None)
    return reason


def _judge_addresses(value: object) -> str | None:
    for text in _strings(value):
        if not is_this_machine(text):
            return "it is an address that is not this machine's"
    return None


def _judge_unknown(tool: str, argument: str, value: object) -> str | None:
    server, name = _parts(tool)
    if name in _WEB_TOOLS or _REMOTE_WORDS.search(name) or (server and _REMOTE_WORDS.search(server)):
        return f"the tool {tool} works over the network"
    if "mcp" in _plain(tool.split("__", 1)[0]) and "__" in tool:
        return f"the tool {tool} is another program's, which may run elsewhere"
    if name in _SHELL_TOOLS | _POWERSHELL_TOOLS | _PYTHON_TOOLS and _plain(argument) in _BESIDE_ARGUMENTS:
        return f"what the command does with the argument {argument} cannot be told from it"
    if _plain(argument) in _REMOTE_ARGUMENTS:
        return f"the argument {argument} names somebody or something beyond this machine"
    for text in _strings(value):
        for address in _URL_IN_TEXT.finditer(text):
            if not is_this_machine(address.group()):
                return "it holds an address that is not this machine's"
        reason = script.mentions_network(text)
        if reason is not None:
            return reason
    return None


def _strings(value: object) -> list[str]:
    found: list[str] = []
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            found.extend(str(key) for key in item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return found


def _parts(tool: str) -> tuple[str, str]:
    """Return the plain names of the server that `tool` belongs to ("" if it has none) and of the tool itself."""
    prefix = _PREFIX.match(tool)
    if prefix is None:
        return "", _plain(tool)
    return _plain(prefix.group()), _plain(tool[prefix.end() :])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
