"""Whether PowerShell text reaches beyond this machine: cmdlets known to stay here, on anything but computed commands."""

import re

from localguard.redact.programs import names

_MAX_TEXT = 256 * 1024

_LITERAL = re.compile(
    r"@'[ \t]*\r?\n(?:.*?\r?\n)??'@"
    r'|@"[ \t]*\r?\n(?:(?:[^$`]|\$(?![({])|`.)*?\r?\n)??"@'
    r"|'(?:[^'\n]|'')*'"
    r'|"(?:[^"$`\n]|""|`.|\$(?![({]))*"'
    r"|(?:(?<=\s)|\A)#[^\n]*",
    re.DOTALL,
)
_SPLIT = re.compile(r"[;\n|{}]|&&|\|\|")
_ASSIGN = re.compile(r"\s*(?:\[[\w.\[\]]+\]\s*)?\$[\w:]+\s*[+]?=\s*")
_COMPUTED = re.compile(r"\[(?!string|int|bool|char)|::|&\s|\.\s*\$|\(|\.exe\b|[<>]\s*\\\\|\$\(", re.IGNORECASE)
_LOCAL = names("""
    set-content add-content out-file get-content clear-content new-item copy-item move-item remove-item rename-item
    get-childitem get-item test-path join-path split-path resolve-path select-string set-location get-location push-location
    pop-location write-output write-host write-verbose select-object where-object sort-object measure-object
    foreach-object format-table format-list out-null out-string convertto-json convertfrom-json tee-object get-date compare-object
    get-command get-member set-variable get-filehash echo cat type dir ls cd copy cp move mv del rm ren mkdir md rmdir rd
    pwd cls sleep start-sleep sc ac gc ni if else elseif foreach for while return param
    """)


def reaches_beyond(text: str) -> str | None:
    """Return why PowerShell `text` may reach beyond this machine, or None.

    Much stricter than the reading of shell text: brackets, types, script blocks with unknown words and computed names are
    all beyond; literal strings and here-strings are data.
    """
    if len(text) > _MAX_TEXT:
        return "the PowerShell text is too long to judge"
    text = _LITERAL.sub(" \x00 ", text.replace("\x00", "'"))
    if "'" in text or '"' in text or _COMPUTED.search(text):
        return "the PowerShell text computes what it runs"
    for statement in _SPLIT.split(text):
        words = _ASSIGN.sub("", statement, count=1).split()
        if not words or words[0] == "\x00" or words[0].startswith("$"):
            continue
        if words[0].lower() not in _LOCAL:
            return "the PowerShell text runs a command that is not known to stay on this machine"
    return None
