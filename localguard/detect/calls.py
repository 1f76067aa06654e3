"""Passwords and keys among the arguments of calls that log in, connect, sign or encrypt: `login("admin", "…")`.

The call's name says that one of its arguments is a secret; which one, the arguments themselves: a quoted literal that is
no word, no address and no name of an algorithm.
"""

import re
from collections.abc import Iterator
from typing import Final

from localguard.detect.context_validators import told
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.gated import Gated
from localguard.detect.pieces import Piece, pieces
from localguard.detect.prefilter import Gate
from localguard.detect.randomness import looks_random, surprise
from localguard.detect.words import is_distinctive

# Calls with a user and a password somewhere after the first argument.
_LOGIN: Final = (
    r"(?i:(?:\w+[._])?(?:login|log_in|logon|signin|sign_in|authenticate|auth|mysqli?_(?:real_)?connect|mysqli|pg_connect|pdo|"
    r"ftp_login|ldap_bind|simple_bind(?:_s)?|getconnection|passwordauthentication|networkcredential|http(?:basic|digest)auth|"
    r"(?:set_?)?basic_?auth|basicauth|digest_?auth|create_?(?:super)?user|usernamepassword\w+|plainauth|credentials?|"
    r"set_?credentials|with_?credentials|make_connection|connect|bind|dial|open_connection|add_user|adduser|sqlconnect|"
    r"(?:change|update|reset|set|verify|check)_?(?:user)?_?password(?:_?for)?|register|client|basic|plain|sequelize|createconnection|(?:odbc|oci|db2|mssql|sqlsrv|ibase)_p?connect|imap_open|ssh2_auth_password|mysqlconnection|sqlconnection|createuserwithemailandpassword|signinwithemailandpassword))"
)
# Calls that take a key or secret among their arguments, the first included.
_CRYPTO: Final = (
    r"(?:(?i:jwt|jsonwebtoken|jose|jws)\.(?i:sign|encode|verify|decode)|(?i:createHmac|create_hmac|createCipher(?:iv)?|"
    r"createDecipher(?:iv)?|cookieParser|Fernet|cookie_?session|secretKeySpec|SymmetricSecurityKey|itsdangerous\.\w+|"
    r"URLSafe(?:Timed)?Serializer|hash_hmac|openssl_encrypt|openssl_decrypt|hmac\.new|hmac\.digest|crypto_secretbox|"
    r"(?:AES|DES3?|Blowfish|ARC4|ChaCha20)\.new|HmacSHA(?:256|512|1)|HMAC|encrypt|decrypt|sign|pbkdf2_hmac|pbkdf2|unlock|setSigningKey|signWith|CryptoJS\.\w+\.(?:en|de)crypt)"
    r"|GetBytes)"
)
_QUOTED: Final = r"""[bBfFrRuN@]?(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')"""
_ARGUMENT: Final = re.compile(
    r"\s*(?:Some\(|new \w+\()?(?:" + _QUOTED + r"|((?:[^\s,()\"']|\([^()\n]*\)|\s(?=[\w{}\]]))+))"
)
_OTHER: Final = re.compile(
    r"(?i)(?:hs|rs|es|ps)\d{3}|(?:pbkdf2\w*)?hmac[-_/]?(?:sha|md)[-_]?\d\S*|sha-?\d{0,3}(?:-?\d{3})?|md5|aes\b.*|utf-?8|latin-?1|ascii|hex|base64|\d+[smhd]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|"
    r"[\w-]+(?:\.[\w-]+)*\.(?-i:[a-z]{2,6})|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|(?:cn|uid|ou|dc|o|c|l|st|host|hostaddr|user(?:name)?|uid|dbname|database|db|port|charset|server|driver|data source|initial catalog|method|type|name|id|mode|sslmode|path|scope|domain|expires|max-age|alg)=.*|.*://.*|.*[\s/\\{}<>;(].*|[\w-]+:[\w:;=.-]*|[a-z]{2}(?:-[a-z]+)+-\d|rs[as][\w-]*|ecd?s?[ah]\w*-.*|on[A-Z]\w*|"
    r"#[\w-]+|\.\w+|\w+\.\w+\(.*|%\w"
)
_NUMBERED: Final = re.compile(r"(?i)[a-z]+_?\d{1,2}")  # a name with a number
_ODD: Final = 4.0  # mean surprise of letter pairs that few names reach
_GATES: Final[dict[str, str]] = {
    "call/login": r"\b"
    + _LOGIN
    + r"\([^\n\"']*[\"'][^\n\"']*[\"'][ \t]*,|\b"
    + _LOGIN
    + r"\([\w.$, ]+,[ \t]*[\"'][^\s\"']",
    "call/crypto": r"\b" + _CRYPTO + r"\([^\n\"']*[\"'][^\n\"'\s]",
}
_CALLS: Final = {
    "call/login": (re.compile(r"\b" + _LOGIN + r"\("), 1),
    "call/crypto": (re.compile(r"\b" + _CRYPTO + r"\("), 0),
}
_MOST: Final = 6  # arguments looked at


class CallEngine(Gated):
    """Reads the arguments of calls behind their gates."""

    def __init__(self) -> None:
        super().__init__(
            [
                Gate(name, pattern.encode(), apart=True, context=True, together="commands")
                for name, pattern in _GATES.items()
            ]
        )

    def examine(self, window: Window) -> Iterator[Finding]:
        """The secrets among the arguments of calls in `window`; offsets are in the whole text."""
        self.load()
        for name, pattern in self._patterns.items():
            if name in window.gates:
                for piece in pieces(window, pattern):
                    yield from _arguments(name, piece)


def _arguments(name: str, piece: Piece) -> Iterator[Finding]:
    call, first = _CALLS[name]
    for found in call.finditer(piece.text):
        position = found.end()
        for index in range(_MOST):
            argument = _ARGUMENT.match(piece.text, position)
            if argument is None:
                break
            group = 1 if argument.start(1) >= 0 else 2
            value = argument[group]
            if value is not None and index >= first and _secret(value, name):
                start, end = argument.span(group)
                if piece.holds(start, end):
                    kind = "PASSWORD" if name == "call/login" else "SECRET"
                    yield piece.finding(start, end, kind, DataClass.SECRET, name, distinctive=is_distinctive(value))
            comma = re.compile(r"[\s)]*,").match(piece.text, argument.end())
            if comma is None:
                break
            position = comma.end()


def _secret(value: str, name: str) -> bool:
    if name == "call/crypto" and len(value) >= 16 and looks_random(value):
        return True
    if len(value) < 5 or _OTHER.fullmatch(value) or (_NUMBERED.fullmatch(value) and surprise(value) < _ODD):
        return False
    return told(value)
