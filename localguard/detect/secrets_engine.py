"""The plugins of detect-secrets as detectors: built once, gated, spans from their own patterns, never over the network.

`scan_line` and `analyze_line` are not used: they need process-global settings, may verify over the network, and answer
values without places. The plugins' own compiled patterns (`denylist`) are run on small pieces around each gate match,
and the group that is the value is named here for each plugin, because `secret_value` is often only a part of it.

Not run, with the reason: Public IP and the two entropy plugins (git hashes, UUIDs and integrity hashes of lock files
are what they find), Private Key (its value is the header line; `rules/private-keys.toml` takes whole blocks).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from localguard.detect.candidate import Candidate
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.keynames import secret_key_type
from localguard.detect.literals import literal_value
from localguard.detect.pieces import Piece, pieces
from localguard.detect.prefilter import Gate
from localguard.detect.rules import compile_pattern
from localguard.detect.tokens import jwt, mixed, random_looking
from localguard.detect.validators import no_account_id, userinfo_password
from localguard.detect.words import is_distinctive

_Check = Callable[[Candidate], bool]


def _any(_: Candidate) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Plugin:
    """How one plugin is used: its type, its gate, the check of its value, and whether its pattern names an issuer."""

    name: str  # class name in detect_secrets
    rule: str
    type: str
    gate: bytes
    check: _Check = random_looking
    issuer: bool = True
    group: int = 0  # the group that is the value, if the pattern has it; else the whole match


_SL_KEY: Final = rb"[_-]?(?:api)?[_-]?(?:key|pwd|pw|password|pass|token)[\"'\]]*[ ]*(?:=|:|>| )+[ ]*[\"']?"

PLUGINS: Final[tuple[_Plugin, ...]] = (
    _Plugin(
        "ArtifactoryDetector",
        "artifactory",
        "ARTIFACTORY_TOKEN",
        rb"(?:AKC[a-zA-Z0-9]{10}|AP[0-9A-F][a-zA-Z0-9]{32})",
        mixed,
    ),
    _Plugin(
        "AWSKeyDetector",
        "aws",
        "AWS_ACCESS_KEY",
        rb"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}|(?i:aws)[^\n]*[\"'][0-9a-zA-Z/+]{40}[\"']",
        mixed,
        group=1,
    ),
    _Plugin("AzureStorageKeyDetector", "azure-storage", "AZURE_KEY", rb"AccountKey=[a-zA-Z0-9+/=]{88}"),
    _Plugin(
        "BasicAuthDetector",
        "basic-auth",
        "DSN_PASSWORD",
        rb"://[^\s:/?#\[\]@\"'`<>|{}\\]*:[^\s\"'`<>@]+@[A-Za-z0-9.\[{$_%-]",
        userinfo_password,
        issuer=False,
        group=1,
    ),
    _Plugin(
        "CloudantDetector",
        "cloudant",
        "CLOUDANT_KEY",
        rb"(?i:cloudant" + _SL_KEY + rb"(?:[0-9a-f]{64}|[a-z]{24})|:(?:[0-9a-f]{64}|[a-z]{24})@[\w-]+\.cloudant)",
        _any,
        group=1,
    ),
    _Plugin("DiscordBotTokenDetector", "discord", "DISCORD_TOKEN", rb"\.[a-zA-Z\d_-]{6}\.[a-zA-Z\d_-]{27}", mixed),
    _Plugin("GitHubTokenDetector", "github", "GITHUB_TOKEN", rb"gh[pousr]_[A-Za-z0-9_]{36}"),
    _Plugin(
        "GitLabTokenDetector",
        "gitlab",
        "GITLAB_TOKEN",
        rb"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[A-Za-z0-9_-]{20}|GR1348941[A-Za-z0-9_-]{20}",
    ),
    _Plugin(
        "IbmCloudIamDetector",
        "ibm-iam",
        "IBM_KEY",
        rb"(?i:ibm|iam|cloud)[\w-]*(?i:key|pwd|password|pass|token)[\"'\]]*[ ]*(?:=|:|>| )+[ ]*[\"']?[A-Za-z0-9_-]{44}",
        mixed,
        group=1,
    ),
    _Plugin(
        "IbmCosHmacDetector",
        "ibm-cos",
        "IBM_KEY",
        rb"(?i:cos[\w-]*secret[_-]?(?:access)?[_-]?key)[\"'\]]*[ ]*(?:=|:|>| )+[ ]*[\"']?[a-f0-9]{48}",
        mixed,
        group=1,
    ),
    _Plugin("JwtTokenDetector", "jwt", "JWT", rb"eyJ[A-Za-z0-9_=-]+\.[A-Za-z0-9_-]{4}", jwt),
    _Plugin("KeywordDetector", "keyword", "SECRET", b""),
    _Plugin("MailchimpDetector", "mailchimp", "MAILCHIMP_KEY", rb"[0-9a-z]-us\d{1,2}\b", mixed),
    _Plugin("NpmDetector", "npm", "NPM_TOKEN", rb":_authToken=[ \t]*(?:npm_|[A-Fa-f0-9-]{36})", mixed, group=1),
    _Plugin("OpenAIDetector", "openai", "OPENAI_KEY", rb"T3BlbkFJ[A-Za-z0-9]{16}"),
    _Plugin("PypiTokenDetector", "pypi", "PYPI_TOKEN", rb"pypi-AgE[A-Za-z0-9_-]{20}"),
    _Plugin("SendGridDetector", "sendgrid", "SENDGRID_KEY", rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", mixed),
    _Plugin("SlackDetector", "slack", "SLACK_TOKEN", rb"xox[abpors]-\d|hooks\.slack\.com/services/T"),
    _Plugin(
        "SoftlayerDetector",
        "softlayer",
        "SOFTLAYER_KEY",
        rb"(?i:softlayer" + _SL_KEY + rb"[a-z0-9]{64}|api\.softlayer\.com/soap/v3)",
        mixed,
        group=1,
    ),
    _Plugin("SquareOAuthDetector", "square", "SQUARE_TOKEN", rb"sq0csp-[0-9A-Za-z\\_-]{43}"),
    _Plugin("StripeDetector", "stripe", "STRIPE_KEY", rb"[rs]k_live_[0-9a-zA-Z]{24}"),
    _Plugin("TelegramBotTokenDetector", "telegram", "TELEGRAM_TOKEN", rb"\b\d{8,10}:[0-9A-Za-z_-]{35}", mixed),
    _Plugin(
        "TwilioKeyDetector",
        "twilio",
        "TWILIO_KEY",
        rb"\b(?:SK|AC)[0-9a-f]{32}\b",
        lambda candidate: mixed(candidate) and no_account_id(candidate),
    ),
)

# What KeywordDetector looks for, with a literal behind it. Its own patterns backtrack, so they see one short piece.
_KEYWORD_GATE: Final = (
    rb"(?i:(?:api|auth|service|account|db|database|priv|private|client)_?key|(?:db|database|key)_?pass|password|passwd|"
    rb"pwd|secret|contrase(?:\xc3\xb1|n)a)[\w]*[\]'\"]*[ \t]*(?:\[[0-9]*\])?[ \t]*(?:[:=!>(]+|\.assign\()[ \t]*@?[\"'`][^\"'`\s]"
)
_KEYWORD_AHEAD: Final = 700

_PUBLISHED: Final = re.compile(r"EXAMPLE(?:KEY)?\Z")  # how Amazon's documentation ends the keys that it shows
_LEFT: Final = re.compile(r"[A-Za-z0-9]\Z")
_RIGHT: Final = re.compile(r"[A-Za-z0-9]")


class SecretsEngine:
    """The plugins, behind their gates."""

    def __init__(self) -> None:
        self._plugins: dict[str, tuple[_Plugin, Any, tuple[re.Pattern[str], ...]]] = {}
        self._gates: dict[str, Any] = {}
        self._keyword_groups: dict[re.Pattern[str], int] = {}

    @property
    def gates(self) -> Sequence[Gate]:
        """One per plugin; needs no import of detect-secrets."""
        return [Gate(f"detect-secrets/{p.rule}", p.gate or _KEYWORD_GATE) for p in PLUGINS]

    def load(self) -> None:
        """Imports detect-secrets and builds its plugins, without settings and without filters: nothing is verified."""
        if self._plugins:
            return
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
        from detect_secrets.plugins.keyword import QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP

        self._keyword_groups = dict(QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP)
        kinds: dict[str, Any] = get_mapping_from_secret_type_to_class()
        classes = {kind.__name__: kind for kind in kinds.values()}
        for plugin in PLUGINS:
            built = classes[plugin.name]()
            name = f"detect-secrets/{plugin.rule}"
            patterns = () if plugin.name == "KeywordDetector" else tuple(built.denylist)
            self._gates[name] = compile_pattern(plugin.gate or _KEYWORD_GATE)
            self._plugins[name] = (plugin, built, patterns)

    def examine(self, window: Window) -> Iterator[Finding]:
        """The findings of the plugins whose gates matched in `window`; offsets are in the whole text."""
        for name in window.gates:
            entry = self._plugins.get(name)
            if entry is None:
                continue
            plugin, _, patterns = entry
            if plugin.name == "KeywordDetector":
                for piece in pieces(window, self._gates[name], _KEYWORD_AHEAD):
                    yield from self._keywords(name, piece)
                continue
            for piece in pieces(window, self._gates[name]):
                for pattern in patterns:
                    yield from _matches(name, plugin, pattern, piece)

    def _keywords(self, name: str, piece: Piece) -> Iterator[Finding]:
        for pattern, group in self._keyword_groups.items():
            for found in pattern.finditer(piece.text):
                start, end = found.span(group)
                if not piece.holds(*found.span()):
                    continue
                key = _key_around(piece.text, found.end(1))
                kind = secret_key_type(key)
                value = found[group]
                if piece.text[start - 1 : start] == "`" and " " in value:
                    continue  # a command whose output is taken
                if kind and literal_value(value, key, "quoted") and not re.search(r"[\"'`]", value):
                    yield piece.finding(start, end, kind, DataClass.SECRET, name, distinctive=is_distinctive(value))


def _key_around(text: str, position: int) -> str:
    """The whole name around `position`, of which detect-secrets gives the telling part only: `private_key_id`."""
    before = re.search(r"[\w.$-]{0,60}\Z", text[max(0, position - 60) : position])
    after = re.match(r"\w{0,60}", text[position : position + 60])
    return (before[0] if before else "") + (after[0] if after else "")


def _matches(name: str, plugin: _Plugin, pattern: re.Pattern[str], piece: Piece) -> Iterator[Finding]:
    for found in pattern.finditer(piece.text):
        if not piece.holds(*found.span()):
            continue
        group = plugin.group if plugin.group <= pattern.groups else 0
        start, end = found.span(group)
        if not group:  # patterns without a group take delimiters along
            start += len(found[0]) - len(found[0].lstrip(' \t\r\n=:"'))
            end -= len(found[0]) - len(found[0].rstrip(' \t\r\n"'))
        if plugin.rule == "azure-storage":
            start += len("AccountKey=")
        if plugin.rule == "slack" and piece.text.startswith("https://", start):
            start += len("https://hooks.slack.com/services/")
        token = plugin.issuer and not group and plugin.rule not in ("artifactory", "npm")
        if token and (
            _LEFT.search(piece.text[max(0, start - 1) : start])
            or (plugin.rule == "twilio" and _RIGHT.match(piece.text, end))
        ):
            continue
        value = piece.text[start:end]
        kind = plugin.type
        if plugin.rule == "aws" and group:
            kind = "AWS_SECRET_KEY"
        if plugin.rule == "slack" and "/" in value:
            kind = "SLACK_WEBHOOK"
        if (
            value
            and not _PUBLISHED.search(value)
            and plugin.check(Candidate(value, "", piece.text[:start][-256:], piece.text[end : end + 256]))
        ):
            distinctive = plugin.issuer or is_distinctive(value)
            yield piece.finding(start, end, kind, DataClass.SECRET, name, distinctive=distinctive)
