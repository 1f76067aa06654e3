import os
from decimal import Decimal
from pathlib import Path

import pytest

from localguard.config.builtin import builtin_layer
from localguard.config.policy_files import PolicyInvalid, RepositoryPolicies, load_policy, refusing_layer
from localguard.policy.decide import decide
from localguard.policy.layers import effective_endpoints
from localguard.policy.model import Effect, EndpointClass, Layer, LayerName, Obligation, Sensitivity, Work

WORK = Work("w", Sensitivity.INTERNAL, None, "openai", EndpointClass.HOSTED, "gpt")

WHOLE = """\
version = 1

[[endpoints]]
name = "openai"                       # the first path segment
kind = "openai"
base_url = "https://api.openai.com"
class = "hosted"
credential = "client"
identity = "personal"
support = "platform-team"

[[workspaces]]
name = "payments"
match = { remotes = ["github.com/acme/payments*"], paths = ["~/work/payments"] }
sensitivity = "restricted"
cost_bucket = "payments-eng"
tasks = { "incident/*" = "incident", "docs/*" = "docs" }

[[rules]]
id = "incident-stays-inside"
effect = "deny"
when = { tasks = ["incident"], classes = ["hosted", "experimental"] }
reason = "Production incident work may not leave the approved boundary."

[[rules]]
id = "docs-may-use-cheap-models"
effect = "allow"
when = { tasks = ["docs"], models = ["*mini*", "qwen*"], sensitivity = ["public", "internal"] }
redact = { secret = "redact", pii = "redact", custom = "redact", attachments = "block" }

[[budgets]]
bucket = "payments-eng"
limit_usd = 200.0
period = "month"
on_exceed = "deny"

[[tests]]
given = { workspace = "payments", task = "incident", endpoint = "openai", model = "gpt-5" }
expect = { effect = "deny", rule = "incident-stays-inside" }
"""


def load(tmp_path: Path, text: str | bytes, name: LayerName = LayerName.USER) -> Layer:
    path = tmp_path / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_policy(path, name)


def problems(tmp_path: Path, text: str | bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(PolicyInvalid) as caught:
        load(tmp_path, text)
    assert all(problem.file == str(tmp_path / "policy.toml") for problem in caught.value.problems)
    return [(problem.line, problem.field, problem.message) for problem in caught.value.problems]


def test_the_whole_file_of_the_contract_is_understood(tmp_path: Path) -> None:
    layer = load(tmp_path, WHOLE)
    endpoint = effective_endpoints([layer])["openai"]
    assert (endpoint.identity, endpoint.support, endpoint.line) == ("personal", "platform-team", 3)
    workspace = layer.workspaces[0]
    assert workspace.sensitivity is Sensitivity.RESTRICTED
    assert workspace.tasks == (("incident/*", "incident"), ("docs/*", "docs"))
    assert [(rule.id, rule.effect, rule.line) for rule in layer.rules] == [
        ("incident-stays-inside", Effect.DENY, 19),
        ("docs-may-use-cheap-models", Effect.ALLOW, 25),
    ]
    assert layer.rules[1].redact.attachments is Obligation.BLOCK
    assert layer.budgets[0].limit_usd == Decimal("200.0")
    assert layer.tests[0].given["model"] == "gpt-5"
    assert layer.tests[0].rule == "incident-stays-inside"
    assert layer.default is Effect.DENY


def test_money_is_read_exactly(tmp_path: Path) -> None:
    layer = load(tmp_path, WHOLE.replace("200.0", "0.1"))
    assert layer.budgets[0].limit_usd == Decimal("0.1")


def test_without_a_file_the_built_in_policy_is_the_user_layer(tmp_path: Path) -> None:
    layer = load_policy(tmp_path / "policy.toml")
    assert layer.digest == builtin_layer().digest
    assert decide([layer], WORK).effect is Effect.ALLOW
    assert {endpoint.name for endpoint in layer.endpoints} == {
        "openai",
        "anthropic",
        "gemini",
        "lmstudio",
        "ollama",
        "codex",
    }


def test_the_built_in_rules_stay_until_the_file_has_rules(tmp_path: Path) -> None:
    rule = '[[rules]]\nid = "only-local"\neffect = "allow"\nwhen = { classes = ["local"] }\n'
    assert decide([load(tmp_path, "version = 1\n")], WORK).effect is Effect.ALLOW
    assert decide([load(tmp_path, f"version = 1\n{rule}")], WORK).effect is Effect.DENY
    assert decide([load(tmp_path, f'version = 1\nextends = "builtin:solo"\n{rule}')], WORK).effect is Effect.ALLOW


def test_built_in_endpoints_stay_unless_redefined_by_name(tmp_path: Path) -> None:
    layer = load(
        tmp_path,
        'version = 1\n[[endpoints]]\nname = "openai"\nkind = "openai-compatible"\n'
        'base_url = "https://Gateway.Example/v1/"\nclass = "enterprise"\n',
    )
    endpoints = effective_endpoints([layer])
    assert endpoints["openai"].base_url == "https://gateway.example/v1"
    assert endpoints["openai"].endpoint_class is EndpointClass.ENTERPRISE
    assert endpoints["anthropic"].base_url == "https://api.anthropic.com"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('kind = "ollama"', "local"),
        ('kind = "lmstudio"\nbase_url = "http://[::1]:9"', "local"),
        ('kind = "ollama"\nbase_url = "https://gpu.example"', "hosted"),
        ('kind = "openai-compatible"\nbase_url = "http://127.0.0.1:8000"', "hosted"),
        ('kind = "openai-compatible"\nbase_url = "http://localhost:8000"\nclass = "local"', "local"),
        ('kind = "azure-openai"\nbase_url = "https://x.openai.azure.com"', "hosted"),
        ('kind = "gemini"', "hosted"),
    ],
)
def test_only_a_loopback_server_known_to_compute_there_is_local_by_itself(
    tmp_path: Path, fields: str, expected: str
) -> None:
    layer = load(tmp_path, f'version = 1\n[[endpoints]]\nname = "x"\n{fields}\n')
    assert effective_endpoints([layer])["x"].endpoint_class == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://a.example", "https://"),
        ("api.example", "https://"),
        ("https:///v1", "no host"),
        ("https://user:pass@a.example", "no user"),
        ("https://a.example?x=1", "no query"),
        ("https://a.example/#f", "no query or fragment"),
        ("https://a.example:99999", "not an address"),
        ("https://a.example/x/../y", ". or .."),
        ("http://a.example", "allow_http"),
        ("http://10.0.0.7:11434", "allow_http"),
        ("https://169.254.169.254", "link-local"),
        ("https://[::ffff:169.254.169.254]", "link-local"),
        ("http://2130706433", "allow_http"),
    ],
)
def test_an_unsafe_address_is_refused_and_not_repeated(tmp_path: Path, url: str, words: str) -> None:
    text = f'version = 1\n[[endpoints]]\nname = "x"\nkind = "openai-compatible"\nbase_url = "{url}"\n'
    [(line, field, message)] = problems(tmp_path, text)
    assert (line, field) == (5, "endpoints[1].base_url")
    assert words in message
    assert url not in message


def test_plain_http_to_another_machine_needs_a_line_that_says_so(tmp_path: Path) -> None:
    text = 'version = 1\n[[endpoints]]\nname = "x"\nkind = "ollama"\nbase_url = "http://10.0.0.7:11434"\n'
    assert effective_endpoints([load(tmp_path, text + "allow_http = true\n")])["x"].endpoint_class == "hosted"
    assert '"local"' in problems(tmp_path, text + 'allow_http = true\nclass = "local"\n')[0][2]


@pytest.mark.parametrize("name", ["w", "-", "Open", "a_b", "", "-x", "a/b", "a" * 64])
def test_an_endpoint_name_must_fit_an_address_and_hide_nothing_of_the_guard(tmp_path: Path, name: str) -> None:
    text = f'version = 1\n[[endpoints]]\nname = "{name}"\nkind = "openai"\n'
    assert {field for _, field, _ in problems(tmp_path, text)} == {"endpoints[1].name"}


BROKEN = """\
version = 1
colour = "blue"

[[endpoints]]
name = "x"
kind = "opena"
base_url = 7

[[workspaces]]
name = "p"
match = { remote = ["github.com/acme/*"] }
sensitivity = "secret"

[[rules]]
id = "a"
effect = "dney"
when = { model = ["gpt*"], tasks = "docs", agents = [] }

[[rules]]
id = "A"
effect = "allow"
redact = { secrets = "redact", pii = "reduct" }

[[budgets]]
bucket = "b"
limit_usd = -1
period = "monthly"
on_exceed = "deny"
"""


def test_every_mistake_is_told_at_once_with_line_field_and_nearest_name(tmp_path: Path) -> None:
    found = problems(tmp_path, BROKEN)
    expected = [
        (2, "colour", "no such field"),
        (6, "endpoints[1].kind", 'Did you mean "openai"?'),
        (7, "endpoints[1].base_url", "must be a text in quotes, not a whole number"),
        (11, "workspaces[1].match", "matches nothing"),
        (11, "workspaces[1].match.remote", 'Did you mean "remotes"?'),
        (12, "workspaces[1].sensitivity", "public, internal, sensitive, restricted"),
        (16, "rules[1].effect", 'Did you mean "deny"?'),
        (17, "rules[1].when.agents", "must not be empty"),
        (17, "rules[1].when.model", 'Did you mean "models"?'),
        (17, "rules[1].when.tasks", "must be a list in [ ], not a text"),
        (20, "rules[2].id", "stands already in line 15"),
        (22, "rules[2].redact.pii", 'Did you mean "redact"?'),
        (22, "rules[2].redact.secrets", 'Did you mean "secret"?'),
        (26, "budgets[1].limit_usd", "must not be below 0"),
        (27, "budgets[1].period", 'Did you mean "month"?'),
    ]
    assert [(line, field) for line, field, _ in found] == [(line, field) for line, field, _ in expected]
    for (_, _, message), (_, _, words) in zip(found, expected, strict=True):
        assert words in message


RULE = '[[rules]]\nid = "a"\neffect = "allow"\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "version is missing"),
        ("version = 2\n", 1, "must be 1"),
        ("version = 1.0\n", 1, "must be 1"),
        ('version = "1"\n', 1, "must be 1"),
        ("version = 1\nversion = 1\n", 2, "second time"),
        ("version = 1\n[proxy]\n[proxy]\n", 3, "second time"),
        (f"version = 1\n{RULE}effect = 'deny'\n", 5, "second time"),
        ("version = 1\n[[rules]\n", 2, "not TOML"),
        ('version = 1\n[[rules]]\nid = "half\n', 3, "not TOML"),
        ("version = 1\nrules = 5\n", 2, "must be a list"),
        ("version = 1\nrules = [5]\n", 2, "must be a table"),
        (f"version = 1\n{RULE}{RULE}", 6, "stands already in line 3"),
        ('version = 1\n[[rules]]\nid = "a\\tb"\neffect = "allow"\n', 3, "no tab"),
        ('version = 1\n[[rules]]\nid = "default"\neffect = "allow"\n', 3, "guard's own"),
        ('version = 1\nextends = "builtin:sole"\n', 2, 'Did you mean "builtin:solo"?'),
        (
            'version = 1\n[[budgets]]\nbucket = "b"\nlimit_usd = nan\nperiod = "day"\non_exceed = "warn"\n',
            4,
            "must be a number",
        ),
        (
            'version = 1\n[[budgets]]\nbucket = "b"\nlimit_usd = true\nperiod = "day"\non_exceed = "warn"\n',
            4,
            "must be a number, not true or false",
        ),
        ('version = 1\n[[workspaces]]\nname = "x"\nmatch = { paths = ["work"] }\n', 4, "absolute"),
        ('version = 1\n[[workspaces]]\nname = "unattributed"\nmatch = { paths = ["/x"] }\n', 3, "cannot be attributed"),
        ('version = 1\n[[endpoints]]\nname = "x"\nkind = "azure-openai"\n', 2, "no fixed address"),
        (
            'version = 1\n[[endpoints]]\nname = "x"\nkind = "openai"\nauth_headers = ["content-length"]\n',
            5,
            "no place for a credential",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = problems(tmp_path, text)
    assert found[0][0] == line
    assert words in found[0][2]


def test_a_key_pasted_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    pasted = "sk" + "-ant-" + "x" * 30
    text = f'version = 1\n[[endpoints]]\nname = "x"\nkind = "openai"\ncredential = "{pasted}"\n'
    [(line, _, message)] = problems(tmp_path, text)
    assert line == 5
    assert pasted not in message
    assert "keyring:NAME" in message


def test_tabs_windows_line_ends_and_a_byte_order_mark_are_read_with_right_lines(tmp_path: Path) -> None:
    text = "version\t=\t1\n\n[[rules]]\n\tid = 'a'\n\teffect = 'allow' # tab\there\n"
    layer = load(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert layer.rules[0].line == 3


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"version = 1\n# \xff\xfe\n", id="not UTF-8"),
        pytest.param("version = 1\n".encode("utf-16"), id="UTF-16"),
        pytest.param(b"version = 1\n\0", id="NUL"),
        pytest.param(b"version = 1\nx = " + b"[" * 100_000, id="100,000 levels"),
        pytest.param(b"version = 1\nx = " + b"{a=" * 5_000, id="5,000 inline tables"),
        pytest.param(b"version = 1\nx = " + b"9" * 5_000 + b"\n", id="5,000 digits"),
        pytest.param(b"#" * (1 << 20) + b"\n", id="over a megabyte"),
        pytest.param(b"version = 1\n" + b"a." * 20_000 + b"a = 1\n", id="a key of 20,000 parts"),
    ],
)
def test_hostile_bytes_are_a_clear_refusal(tmp_path: Path, data: bytes) -> None:
    assert problems(tmp_path, data)


def test_a_loop_of_links_a_directory_and_a_pipe_are_no_policy(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("a", "directory", "pipe", "dangling"):
        with pytest.raises(PolicyInvalid):
            load_policy(tmp_path / name)


def test_a_link_to_a_policy_kept_elsewhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text("version = 1\n" + RULE)
    (tmp_path / "policy.toml").symlink_to(tmp_path / "dotfiles.toml")
    assert load_policy(tmp_path / "policy.toml").rules[0].id == "a"


def test_a_policy_that_never_was_good_refuses_everything_and_says_where(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load(tmp_path, "version = 1\nx = 1\ny = 2\n")
    decision = decide([refusing_layer(caught.value)], WORK)
    assert decision.effect is Effect.DENY
    assert "policy.toml:2" in decision.reason
    assert "1 more" in decision.reason


class TestRepositoryFile:
    def test_silence_is_neutral_and_a_deny_rule_tightens(self, tmp_path: Path) -> None:
        file = tmp_path / ".localguard.toml"
        policies = RepositoryPolicies()
        assert policies.layer_for(tmp_path) is None
        file.write_text("version = 1\n")
        layer = policies.layer_for(tmp_path)
        assert layer is not None
        assert decide([builtin_layer(), layer], WORK).effect is Effect.ALLOW
        assert policies.layer_for(tmp_path) is layer
        file.write_text('version = 1\n[[rules]]\nid = "no"\neffect = "deny"\nwhen = { classes = ["hosted"] }\n')
        layer = policies.layer_for(tmp_path)
        assert layer is not None
        decision = decide([builtin_layer(), layer], WORK)
        assert decision.effect is Effect.DENY
        assert decision.deciding[0].line == 2
        file.unlink()
        assert policies.layer_for(tmp_path) is None

    def test_what_would_loosen_is_not_applied_and_reported(self, tmp_path: Path) -> None:
        text = (
            'version = 1\nextends = "builtin:solo"\n[proxy]\nother_hosts = "tunnel"\n'
            '[[endpoints]]\nname = "openai"\nkind = "openai"\nbase_url = "https://elsewhere.example"\n'
            '[[workspaces]]\nname = "p"\nmatch = { paths = ["/"] }\nsensitivity = "public"\ncost_bucket = "theirs"\n'
            '[[rules]]\nid = "free"\neffect = "allow"\nredact = { secret = "allow" }\n'
        )
        layer = load(tmp_path, text, LayerName.REPOSITORY)
        assert (layer.endpoints, layer.other_hosts) == ((), None)
        assert [sentence.split(": ")[0].rsplit(":", 1)[1] for sentence in layer.not_applied] == [
            "5",
            "9",
            "14",
            "2",
            "3",
        ]
        assert decide([builtin_layer(), layer], WORK).obligations.secret is Obligation.REDACT
        experimental = Work("w", Sensitivity.INTERNAL, None, "x", EndpointClass.EXPERIMENTAL, "m")
        assert decide([builtin_layer(), layer], experimental).effect is Effect.DENY

    def test_a_broken_file_or_a_link_out_of_the_repository_refuses(self, tmp_path: Path) -> None:
        root = tmp_path / "repository"
        root.mkdir()
        (tmp_path / "private").write_text("content of a private file\n")
        file = root / ".localguard.toml"
        for make in (lambda: file.write_text("oops"), lambda: file.symlink_to(tmp_path / "private")):
            file.unlink(missing_ok=True)
            make()
            layer = RepositoryPolicies().layer_for(root)
            assert layer is not None
            decision = decide([builtin_layer(), layer], WORK)
            assert decision.effect is Effect.DENY
            assert ".localguard.toml:1" in decision.reason
            assert "private file" not in decision.reason
