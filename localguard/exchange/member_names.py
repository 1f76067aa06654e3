"""Names that say what a value is: of its member, of a neighbour, of the object around it, of the flag before it."""

import re
from collections.abc import Iterator

from localguard.detect.words import word_set
from localguard.wire.json_edit import Document, Leaf, LeafKind

_SENSITIVE_KEY = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|dsn|conn|cookie|session|salt|pin\b|cvv|card|account|iban|ssn|social|"
    r"phone|mobile|tel\b|fax|mail|user",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[\w.$@/ -]{2,64}")
_DRAWN = re.compile(r"[A-Za-z0-9_+/=.~-]{12}|(?:\d\D?){6}")
_PROSE = word_set(
    "content text input output arguments message prompt description instructions system thinking reasoning summary reason "
    "query command cmd script code body data patch diff stdout stderr result error old_string new_string old_str new_str"
)
"""Members that hold a text of their own: their name explains nothing in it."""
_MAX_DRAWN = 400
_MAX_SPACES = 6
_SECRET_NAME = re.compile(
    r"passw|pwd|secret|token|credential|authorization|(?:api|access|auth|subscription)[-_.]?key", re.IGNORECASE
)
MAX_KEYED = 4096
"""Characters. Longer values are files and prose: their key says nothing about them."""
_KEY_TYPE = "kty"
_PRIVATE_MEMBERS = frozenset({"d", "k", "p", "q", "dp", "dq", "qi"})
"""What makes an object a JSON web key, and its members that are private or symmetric (RFC 7518 section 6)."""
_NAMING = word_set(
    "name key variable var env field header param parameter property setting option id "
    "parameterkey parametername optionname envname varname env_name var_name"
)
"""Members (lower case) whose text names what another member of the same object holds."""
_HOLDING = word_set(
    "value val default defaultvalue default_value plain plaintext raw current previous old new prod production dev "
    "development staging stage test primary secondary parametervalue string_value stringvalue #text $value _"
)
"""Members (lower case) that hold what a neighbour, or else the object's own name, says."""
_NAME = re.compile(r"[\w.$/ -]{1,80}")
_FLAG = re.compile(r"--?[\w-]{1,60}")


def name_context(name: str, text: str) -> bytes:
    """The name of a query parameter or header where it makes its value a secret, else empty."""
    return name.encode() if len(text) <= MAX_KEYED and _SECRET_NAME.search(name) else b""


def with_context(document: Document) -> Iterator[tuple[Leaf, bytes]]:
    """Each leaf with the name that says what it holds, where that makes it a secret, else empty.

    The name is its member's, that of a neighbour (`{"name": "DB_PASSWORD", "value": …}`), of the object that holds it
    (`{"db_password": {"value": …}}`) or the flag before it (`["--password", …]`). A JSON web key's private members are
    keys by the company they keep.
    """
    named: dict[int, str] = {}  # by the object's path, which its members share
    for leaf in document.leaves:
        if leaf.kind is LeafKind.STRING and leaf.key and len(leaf.text) <= 80 and leaf.key.lower() in _NAMING:
            named[id(leaf.parent)] = leaf.text
        elif leaf.key == _KEY_TYPE:
            named[id(leaf.parent)] = _KEY_TYPE
    before: Leaf | None = None
    for leaf in document.leaves:
        context = b""
        if leaf.kind is not LeafKind.KEY and len(leaf.text) <= MAX_KEYED:
            context = _context(leaf, named, before)
        yield leaf, context
        before = leaf


def _context(leaf: Leaf, named: dict[int, str], before: Leaf | None) -> bytes:
    key = leaf.key
    if isinstance(leaf.step, int):
        if before is not None and before.parent is leaf.parent and _FLAG.fullmatch(before.text):
            key = before.text
    elif key is not None and key.lower() in _HOLDING:
        name = named.get(id(leaf.parent)) or _holder_name(leaf)
        key = name if name is not None and _NAME.fullmatch(name) else key
    elif key in _PRIVATE_MEMBERS and named.get(id(leaf.parent)) == _KEY_TYPE:
        key = "private_key"
    if key is None or not (_SENSITIVE_KEY.search(key) or _may_need_key(key, leaf.text)):
        return b""
    return key.encode()


def _may_need_key(key: str, text: str) -> bool:
    """Whether a short text may be a value that only its key explains: an issuer's token, or the number of a person."""
    short = len(text) <= _MAX_DRAWN and text.count(" ") <= _MAX_SPACES and "\n" not in text
    return short and key not in _PROSE and _NAMED.fullmatch(key) is not None and _DRAWN.search(text) is not None


def _holder_name(leaf: Leaf) -> str | None:
    """The member name of the object that `leaf` is a member of."""
    link = leaf.parent
    while link is not None and isinstance(link.step, int):
        link = link.parent
    return str(link.step) if link is not None else None
