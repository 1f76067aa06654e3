"""Whether a piece of program text uses the network or starts other programs: Python by its syntax tree, others by words."""

import ast
import re

from localguard.redact import one_liners
from localguard.redact.programs import names

_MAX_CODE = 256 * 1024

_LOCAL_MODULES = names("""
    __future__ abc argparse array ast base64 binascii bisect bz2 calendar cmath codecs collections colorsys configparser
    contextlib copy csv dataclasses datetime decimal difflib dotenv enum errno filecmp fileinput fnmatch fractions functools
    getpass gettext glob graphlib gzip hashlib heapq hmac html io itertools json keyword linecache locale logging
    lzma math mimetypes numbers operator os pathlib pprint platform queue quopri random re reprlib secrets shlex shutil
    signal sqlite3 stat statistics string stringprep struct sys sysconfig tarfile tempfile textwrap threading time
    token tokenize toml tomli tomli_w tomlkit tomllib traceback types typing typing_extensions unicodedata unittest uuid
    warnings weakref xml yaml ruamel zipfile zlib zoneinfo numpy pandas pydantic attr attrs pytest dateutil
    cryptography jwt nacl bcrypt
    """)
_NETWORK_PARTS = frozenset(
    {"handlers", "config", "server", "client", "sax", "mock"}
)  # of logging, xmlrpc, …: these reach out
_DANGEROUS_NAMES = names("exec eval compile __import__ globals locals vars breakpoint __builtins__ __loader__ __spec__")
_DANGEROUS_ATTRIBUTES = names("""
    system popen execv execve execl execle execlp execlpe execvp execvpe spawnl spawnle spawnlp spawnv spawnve spawnvp
    posix_spawn posix_spawnp fork forkpty startfile import_module load_module exec_module modules __import__ __globals__
    __builtins__ __subclasses__ __getattribute__ __getattr__ __dict__ attrgetter methodcaller sax mock resolve_forward_refs
    get_type_hints UnsafeLoader CUnsafeLoader unsafe_load_all DataSource load_extension enable_load_extension unsafe_load read_html
    """)
_NETWORK_CODE = re.compile(
    r"\b(?:requests|httpx|aiohttp|urllib[23]?|urlopen|http\.client|httplib|socket|smtplib|ftplib|paramiko|telnetlib|boto3?"
    r"|websockets?|XMLHttpRequest|WebSocket|axios|sendBeacon|EventSource|LWP|IO::Socket|Net::|HTTP::|open-uri"
    r"|Invoke-WebRequest|Invoke-RestMethod|WebClient|fsockopen|curl_\w+|file_get_contents"
    r"|stream_\w+|gethostby\w+|getaddrinfo|dns_\w+|checkdnsrr|getmxrr|ssh2_\w+|ftp_\w+)\b|\bmail\s*\(|\bfetch\s*\(|/dev/(?:tcp|udp)/|/inet"
    r"|https?://(?!(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?:[:/?#\s\"'`)]|\Z))",
    re.IGNORECASE,
)
_NETWORK_COMMAND = re.compile(
    r"(?:^|[\s;&|`(/])(?:curl|wget|nc|ncat|netcat|socat|ssh|scp|sftp|rsync|ftp|telnet|nslookup|dig|host|ping|iwr|irm)\s+\S",
    re.MULTILINE,
)
_STARTS_PROGRAM = re.compile(
    r"\b(?:child_process|execSync|spawnSync|exec[vlpe]*|spawn|fork|popen[23]?|system|shell_exec|passthru|proc_open|pcntl_exec"
    r"|eval|instance_eval|class_eval|Function|syscall|qx|subprocess|Open3|backtick|getline|require_once|include_once"
    r"|globalThis|process\s*\.\s*(?:binding|dlopen|mainModule)|constructor|Kernel|DynaLoader|XSLoader)\b|`|%x[\W]|\|\s*[\"']|[\"']\s*\|"
)
_JAVASCRIPT_BY_NAME = re.compile(
    r"\bfetch\b|\b(?:global|self)\b|getBuiltinModule|_linkedBinding|\brequire\b(?!\s*\()|\\u\{?0*[4-7]"
    r"|\b(?:process|module|this)\s*(?:\?\.)?\[|(?:return|[=,(])\s*(?:this|process|module)\s*(?:[;,)]|$)"
)
"""Ways around the name of a function, and escapes that spell one."""
_JAVASCRIPT_MODULE = re.compile(r"(?:\brequire\s*\(|\bfrom\b|\bimport\b\s*\(?)\s*(?:([\"'])([^\"']*)\1)?")
_LOCAL_JAVASCRIPT = names(
    "assert buffer crypto events fs fs/promises os path process readline string_decoder url util zlib"
)
_OTHER_MODULE = re.compile(r"^\s*(?:use|require|import|load|include)\s+['\"]?([\w:./-]+)", re.MULTILINE)
_LOCAL_OTHER = names("""
    strict warnings utf8 File::Spec File::Basename File::Slurp File::Path File::Copy File::Find Data::Dumper JSON JSON::PP
    MIME::Base64 Digest::SHA Digest::MD5 List::Util POSIX json yaml fileutils pathname set digest base64 erb time date csv
    """)


_READS_DATA = re.compile(r"read_\w+|loadtxt|genfromtxt|recfromcsv|recfromtxt|fromregex|to_\w+")
_SOURCES = frozenset({"filepath_or_buffer", "io", "path", "path_or_buf", "fname", "file"})
_LOCAL_SOURCES = frozenset({"open", "Path", "StringIO", "BytesIO", "stdin"})


def python_reaches_beyond(code: str) -> str | None:
    """Return why Python `code` may reach beyond this machine, or None: only modules and calls known to stay here.

    Text in strings is data, also if it is the source of another program or holds an address.
    """
    if len(code) > _MAX_CODE:
        return "the Python code is too long to judge"
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "the Python code cannot be parsed"
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        reason = _judge_python(node)
        if reason is not None:
            return reason
        if isinstance(node, ast.Name) and node.id in ("getattr", "setattr") and id(node) not in called:
            return "the Python code names what it calls only when it runs"
    return _judge_data_modules(tree)


def _judge_data_modules(tree: ast.AST) -> str | None:
    """NumPy and pandas load addresses where they take a file: their files have to be named, and no address may be."""
    imported = {
        module.partition(".")[0]
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    if imported.isdisjoint(("numpy", "pandas")):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "://" in node.value:
            return "the Python code may read from an address"
        if isinstance(node, ast.Call) and _READS_DATA.fullmatch(_name_of(node.func)):
            sources = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg in _SOURCES)]
            if not all(isinstance(one, ast.Constant) or _name_of(one) in _LOCAL_SOURCES for one in sources):
                return "the Python code reads from what is known only when it runs"
    return None


def _name_of(node: ast.AST) -> str:
    """The last name of what is called: `read_csv` of `pandas.read_csv`."""
    if isinstance(node, ast.Call):
        return _name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _judge_python(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [f"{node.module or ''}.{alias.name}" for alias in node.names]
        if node.level:
            return "the Python code imports from its own directory"
    else:
        modules = []
    for module in modules:
        parts = module.split(".")
        if parts[0] not in _LOCAL_MODULES or not _NETWORK_PARTS.isdisjoint(parts[1:]):
            return "the Python code imports a module that is not known to stay on this machine"
        if parts[-1] == "*" or parts[-1] in _DANGEROUS_ATTRIBUTES or parts[-1] in _DANGEROUS_NAMES:
            return "the Python code starts other programs or runs computed code"
    if isinstance(node, ast.MatchClass) and not _DANGEROUS_ATTRIBUTES.isdisjoint(node.kwd_attrs):
        return "the Python code starts other programs or runs computed code"
    if isinstance(node, ast.Name) and node.id in _DANGEROUS_NAMES:
        return "the Python code runs computed code"
    if isinstance(node, ast.Attribute) and node.attr in _DANGEROUS_ATTRIBUTES:
        return "the Python code starts other programs or runs computed code"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
        second = node.args[1] if len(node.args) > 1 else None
        if not (isinstance(second, ast.Constant) and second.value not in _DANGEROUS_ATTRIBUTES):
            return "the Python code names what it calls only when it runs"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("read_"):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and "://" in first.value:
            return "the Python code reads from an address"
    return None


def javascript_reaches_beyond(code: str) -> str | None:
    """Return why JavaScript `code` may reach beyond this machine, or None; strings are not told from code."""
    for module in _JAVASCRIPT_MODULE.finditer(code):
        name = module.group(2)
        if name is None or name.removeprefix("node:") not in _LOCAL_JAVASCRIPT:
            return "the JavaScript code loads a module that is not known to stay on this machine"
    if _JAVASCRIPT_BY_NAME.search(code):
        return "the JavaScript code names what it calls only when it runs"
    return _by_words(code, "JavaScript")


def other_reaches_beyond(code: str, language: str) -> str | None:
    """Return why Perl, Ruby, PHP or AWK `code` may reach beyond this machine, or None; strings are not told from code."""
    for module in _OTHER_MODULE.finditer(code):
        if module.group(1) not in _LOCAL_OTHER:
            return f"the {language} code loads a module that is not known to stay on this machine"
    return _by_words(code, language)


def mentions_network(text: str) -> str | None:
    """Return why `text`, of which nobody says what it is, looks as if it used the network; else None."""
    if _NETWORK_CODE.search(text) or _NETWORK_COMMAND.search(text):
        return "it looks like code or a command that uses the network"
    return None


def _by_words(code: str, language: str) -> str | None:
    if len(code) > _MAX_CODE:
        return f"the {language} code is too long to judge"
    if _NETWORK_CODE.search(code):
        return f"the {language} code uses the network"
    if _STARTS_PROGRAM.search(code):
        return f"the {language} code starts other programs or runs computed code"
    if not one_liners.stays_here(code, language):
        return f"the {language} code is not known to stay on this machine"
    return None
