"""The scanner on real text, on hostile text, and on what must be left alone."""

import pickle
import random
import sysconfig
import time
from dataclasses import replace
from pathlib import Path

import pytest

from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.prefilter import Gate
from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner, resolve
from localguard.detect.spans import CUT, LONG_LINE, MAX_RUN, MAX_WINDOW
from localguard.detect.structured import MESSAGE

SOURCES = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
PLANTED = (
    "⟦ghp_{alnum:36}⟧",
    'password = "⟦{password}⟧"',
    "DB_PASSWORD=⟦{password}⟧",
    "  api_key: ⟦{hex:32}⟧",
    "postgres://app:⟦{alnum:14}⟧@db.acme.io/main",
    "⟦{jwt}⟧",
    "⟦{pem:RSA PRIVATE KEY}⟧",
    "- name: SMTP_PASSWORD\n  value: ⟦{alnum:12}⟧",
    "AKIA{base32:16}\naws_secret_access_key = ⟦{b64std:40}⟧",
    "IBAN: ⟦{iban:DE}⟧",
    "card ⟦{luhn:4:16}⟧",
    "⟦{word:7}.{word:6}@{word:8}.io⟧",
    "SSN 536-22-{digit1:4}",
    "Zugang für Jörg: password: ⟦{alnum:12}⟧",
)


def source(rng: random.Random) -> list[bytes]:
    return rng.choice(SOURCES).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("seed", range(40))
def test_windows_find_exactly_what_the_whole_text_holds(scanner: Scanner, seed: int) -> None:
    rng = random.Random(seed)
    lines = source(rng)[: rng.randint(50, 1500)]
    for _ in range(rng.randint(1, 12)):
        planted = expand(rng.choice(PLANTED), rng).text
        glue = rng.choice((b"\n", b"\r\n", b"", b" ", b" # "))
        place = rng.randrange(len(lines) + 1)
        lines.insert(place, planted + glue)
    text = b"".join(lines)
    assert scanner.scan(text) == scanner.whole(text)


@pytest.mark.parametrize("seed", range(20))
def test_windows_find_the_same_in_lines_too_long_to_take_whole(scanner: Scanner, seed: int) -> None:
    rng = random.Random(seed)
    words = b" ".join(source(rng)).replace(b"\n", b" ").split()
    chunks = [b" ".join(rng.choices(words, k=rng.randint(200, 2000))) for _ in range(6)]
    templates = [t for t in PLANTED if "\n" not in t and "pem" not in t and not t.startswith(("DB", "  api", "Zug"))]
    text = b" ".join(part for chunk in chunks for part in (chunk, expand(rng.choice(templates), rng).text))
    assert scanner.scan(text) == scanner.whole(text)


@pytest.mark.parametrize("template", PLANTED)
def test_a_value_in_sixteen_megabytes_on_one_line_is_found_in_a_small_window(scanner: Scanner, template: str) -> None:
    if "\n" in template or template.startswith(("DB", "  api", "Zug")) or "pem" in template:
        pytest.skip("stands on a line of its own")
    sample = expand(template, random.Random(template))
    filler = b'{"a":"lorem ipsum dolor"},' * 80_000
    text = filler + b' "' + sample.text + b'" ' + filler
    windows = scanner.candidates(text)
    assert sum(len(window.text) for window in windows) < 3 * LONG_LINE
    found = scanner.examine(windows)
    start = len(filler) + 2
    expected = sample.span or (4, 15)
    assert [(f.start - start, f.end - start) for f in found] == [expected]


PUMPS = {
    "key and spaces": b'"key"' + b" " * 2000,
    "digits": b"0123456789" * 10_000,
    "card-like digits": b"4111111111111111 " * 6_000,
    "base64": b"QUJDRGFiY2Q" * 10_000,
    "eyJ": b"eyJ" * 30_000,
    "eyJ with dots": b"eyJhbGciOiJ.eyJ" * 8_000,
    "assignments": b'password = "' * 8_000,
    "assignments without values": b"password=" * 10_000,
    "keyword soup": b"secret_token_key_password_" * 4_000,
    "at signs": b"a@b.cc" * 15_000,
    "mail users": b"a" * 100_000 + b"@",
    "phone numbers": b"+1 425 882-8080, " * 1_500,
    "urls": b"://a:b" * 15_000,
    "begin marks": b"-----BEGIN PRIVATE KEY-----" * 3_000,
    "begin lines": b"-----BEGIN PRIVATE KEY-----\n" * 3_000,
    "quotes": b"password='" + b"\\'" * 50_000,
    "brackets": b"(" * 100_000,
    "iban-like": b"DE89370400440532013000" * 4_000,
    "softlayer": b"softlayer_key " + b"a" * 100_000,
    "cloudant": b'"cloudant_key' + b" " * 50_000,
    "mail dots": b"x@" + b"a." * 40_000,
    "hex": b"0123456789abcdef" * 6_000,
    "commands": b"mysql -p " * 11_000,
    "commands with quotes": b"docker login -p '" * 6_000,
    "pipes": b"echo a | " * 11_000 + b"chpasswd",
    "argument lists": b'["mysql","-p",' * 7_000,
    "here strings": b"passwd <<< " * 9_000,
    "umlauts": "password=ü".encode() * 8_000,
}


@pytest.mark.parametrize("pump", PUMPS.values(), ids=PUMPS.keys())
def test_pumped_text_costs_time_in_proportion_to_its_length(scanner: Scanner, pump: bytes) -> None:
    scanner.scan(pump[:1000])
    begin = time.perf_counter()
    scanner.scan(pump)
    assert time.perf_counter() - begin < 4.0  # 100 KB; about 0.1 s on a free core


def test_windows_are_bounded_whatever_the_text(scanner: Scanner) -> None:
    for pump in PUMPS.values():
        for window in scanner.candidates(pump):
            assert len(window.text) <= max(MAX_WINDOW, 2 * (MAX_RUN + CUT) + LONG_LINE)
            assert window.text == pump[window.start : window.end]


def test_a_short_clean_text_costs_microseconds(scanner: Scanner) -> None:
    text = b"Please rename the function and update its callers."
    scanner.scan(text)
    begin = time.process_time()
    for _ in range(1000):
        scanner.scan(text)
    assert (time.process_time() - begin) / 1000 < 400e-6  # about 20 on an idle machine


def test_windows_survive_pickling(scanner: Scanner) -> None:
    windows = scanner.candidates(expand("x\npassword = '{password}'\n", random.Random(1)).text)
    assert windows
    assert pickle.loads(pickle.dumps(windows)) == windows


def test_offsets_count_bytes_of_utf_8(scanner: Scanner) -> None:
    text = "ключ 🔑 password: 'größe-Zx81q'  # ✓"
    (finding,) = scanner.scan(text.encode())
    assert text.encode()[finding.start : finding.end].decode() == "größe-Zx81q"


def test_every_occurrence_in_one_text_is_found(scanner: Scanner) -> None:
    token = expand("ghp_{alnum:36}", random.Random(3)).text
    text = token + b" " + token + b"," + token + b"\n" + token
    assert [text[f.start : f.end] for f in scanner.scan(text)] == [token] * 4


def test_broken_utf_8_does_not_stop_a_scan(scanner: Scanner) -> None:
    token = expand("ghp_{alnum:36}", random.Random(3)).text
    text = b"\xff\xfe password = '\xc3" + token + b"' \x80\x0c\xe2\x80\xa8 x@y.zz"
    assert any(token in text[f.start : f.end] for f in scanner.scan(text))


def finding(start: int, end: int, kind: str = "PASSWORD", *, distinctive: bool = False) -> Finding:
    return Finding(start, end, kind, DataClass.SECRET, "a/b", distinctive)


def test_one_value_has_the_type_that_comes_first_in_the_table() -> None:
    (resolved,) = resolve([finding(0, 5), finding(0, 5, "GITHUB_TOKEN", distinctive=True)])
    assert (resolved.type, resolved.distinctive) == ("GITHUB_TOKEN", True)


def test_a_finding_covers_those_inside_it_and_overlaps_are_united() -> None:
    assert resolve([finding(2, 4), finding(0, 9)]) == [finding(0, 9)]
    assert [(f.start, f.end) for f in resolve([finding(0, 5), finding(3, 9), finding(9, 12)])] == [(0, 9), (9, 12)]


def test_what_others_know_too_is_not_left_out_with_what_a_message_alone_says() -> None:
    alone = replace(finding(0, 34, "SECRET"), rule=MESSAGE)
    wallet, part = finding(0, 34, "CRYPTO_WALLET"), finding(4, 30, "PASSWORD")
    assert resolve([alone]) == [alone]
    assert resolve([alone, wallet]) == [wallet]
    (whole,) = resolve([alone, part])
    assert (whole.start, whole.end) == (0, 34)
    assert whole.rule == part.rule


LEFT_ALONE = {
    "git hash": "commit {hex:40}",
    "uuid": "id: {uuid}",
    "integrity": '"integrity": "sha512-{b64std:86}=="',
    "sha256 line": "requests==2.32 --hash=sha256:{hex:64}",
    "go sum": "golang.org/x/text v0.3.7 h1:{b64std:43}=",
    "docker digest": "FROM python@sha256:{hex:64}",
    "environment reference": "password: ${DB_PASSWORD}",
    "template reference": "token: '{{ secrets.DEPLOY_TOKEN }}'",
    "actions reference": "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}",
    "process.env": "const apiKey = process.env.API_KEY;",
    "os.environ": 'api_key = os.environ["API_KEY"]',
    "getenv": 'password = os.getenv("DB_PASSWORD")',
    "call": "token = get_token(user, scope='all')",
    "annotation": "password: str",
    "annotation with default": "    password: Optional[str] = None",
    "typescript": "  accessToken: string;",
    "typescript union": "  token: string | null;",
    "rust": "    pub api_key: String,",
    "go field": '\tPassword string `json:"password"`',
    "none": "password = None",
    "mask": 'password: "********"',
    "keyword argument": "connect(user=user, password=password)",
    "attribute": "self.token = token",
    "example mail": "mail user@example.com",
    "noreply": "noreply@github.com",
    "git remote": "git@github.com:acme/shop.git",
    "loopback": "http://127.0.0.1:8080/a@b",
    "version": "version 10.2.3.4 of 2024-05-06",
    "public key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64std:43}",
    "test card": "4242 4242 4242 4242",
    "tokens of a parser": "token = tokens[i]",
    "max tokens": '"max_tokens": 4096',
    "token usage": '"prompt_tokens": 1234, "total_tokens": 5678',
    "password prompt": 'getpass("Password: ")',
    "label": '"password": "Your password"',
    "html field": '<input type="password" name="password" id="password">',
    "css": ".token.keyword { color: #07a; }",
    "minified": "var t=e.token,n=e.secret;return f(t,n)",
    "secret name": 'secret_name = "prod/db/main"',
    "token path": "TOKEN_FILE=/run/secrets/token",
    "token url": 'token_url = "https://auth.acme.io/oauth/token"',
    "sql column": "password VARCHAR(255) NOT NULL,",
    "kubernetes reference": "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password",
    "authorization template": 'headers = {"Authorization": "Bearer " + token}',
    "time": "2025-11-20T12:34:56.789Z",
    "numbers": "12345678 1234567890 123456789012",
    "semver lock": '"node_modules/@types/node": "20.1.2"',
    "package at version": "lodash@4.17.21 react@18.2.0",
    "decorator": "@app.route('/x')",
    "svg path": "M10.5 20.3L4111.1 1111.1 1111.1",
}


@pytest.mark.parametrize("template", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_what_code_is_made_of_is_left_alone(scanner: Scanner, template: str) -> None:
    text = expand(template, random.Random(template)).text
    assert scanner.scan(text) == [], text


FOUND = {
    "plain word in yaml": ("password: ⟦swordfish⟧", "PASSWORD"),
    "json": ('{"a": 1, "dbPassword": "⟦{password}⟧"}', "PASSWORD"),
    "json in json": ('{"body": "{\\"api_key\\": \\"⟦{alnum:24}⟧\\"}"}', "API_KEY"),
    "toml": ("[db]\nsecret_key = '⟦{alnum:30}⟧'", "SECRET"),
    "properties": ("spring.datasource.password=⟦{alnum:12}⟧", "PASSWORD"),
    "dotenv with everything": ('DB_PASSWORD=⟦ab"cd\\ef$gü{digit:2}⟧\nX=1', "PASSWORD"),
    "dotenv quoted": ('DB_PASSWORD="⟦{password}⟧"', "PASSWORD"),
    "docker env": ("ENV API_TOKEN=⟦{alnum:24}⟧", "ACCESS_TOKEN"),
    "shell export": ("export GITLAB_SECRET='⟦{alnum:24}⟧'", "SECRET"),
    "flag": ("deploy --db-password ⟦{password}⟧ --fast", "PASSWORD"),
    "cat -n": ("     3\tDB_PASSWORD=⟦{password}⟧", "PASSWORD"),
    "numbered yaml": ("  12→  password: ⟦{alnum:12}⟧", "PASSWORD"),
    "diff": ("+    password: '⟦{alnum:12}⟧'", "PASSWORD"),
    "bearer": ("Authorization: Bearer ⟦{alnum:40}⟧", "BEARER_TOKEN"),
    "openai in env": ("OPENAI_API_KEY=⟦sk-proj-{b64url:74}T3BlbkFJ{b64url:74}⟧", "OPENAI_KEY"),
    "quoted github token": ('t = "⟦ghp_{alnum:36}⟧"', "GITHUB_TOKEN"),
    "url password with at": ("amqp://u:⟦p@ss{alnum:8}⟧@mq.acme.io/v", "DSN_PASSWORD"),
    "two line pair": ("- name: API_TOKEN\n  value: ⟦{alnum:24}⟧", "ACCESS_TOKEN"),
    "quote in quotes": ('password = "⟦ab\\"c{alnum:8}⟧"', "PASSWORD"),
    "yaml doubled quote": ("password: '⟦it''s{alnum:8}⟧'", "PASSWORD"),
    "trailing backslash": ("password: '⟦C:{alnum:8}\\⟧'", "PASSWORD"),
    "no end of line": ("api_key=⟦{alnum:32}⟧", "API_KEY"),
    "windows line end": ("DB_PASSWORD=⟦{alnum:12}⟧\r\nX=1", "PASSWORD"),
}


@pytest.mark.parametrize(("template", "kind"), FOUND.values(), ids=FOUND.keys())
def test_secrets_in_the_common_syntaxes_are_found_without_key_and_quotes(
    scanner: Scanner, template: str, kind: str
) -> None:
    sample = expand(template, random.Random(template))
    assert [((f.start, f.end), f.type) for f in scanner.scan(sample.text)] == [(sample.span, kind)], sample.text


def test_engines_that_no_window_is_for_are_not_loaded() -> None:
    class Engine:
        def __init__(self, word: str) -> None:
            self.gates = [Gate(f"word/{word}", word.encode())]
            self.loaded = 0

        def load(self) -> None:
            self.loaded += 1

        def examine(self, window: Window) -> list[Finding]:
            assert self.loaded
            return [Finding(window.start, window.end, "PERSON", DataClass.PII, self.gates[0].name, False)]

    one, other = Engine("tulip"), Engine("daffodil")
    scanner = Scanner([], [one, other])
    for _ in range(2):
        assert [finding.rule for finding in scanner.scan(b"a tulip")] == ["word/tulip"]
    assert (one.loaded, other.loaded) == (1, 0)
    scanner.load()
    assert (one.loaded, other.loaded) == (1, 1)


def test_rules_stop_between_windows_when_their_time_is_over(scanner: Scanner) -> None:
    text = b"token ghp" + b"_x\n" * 10
    asked: list[int] = []

    def over() -> bool:
        asked.append(1)
        return len(asked) > 1

    assert scanner.by_rules(text) == []
    with pytest.raises(TimeoutError):
        scanner.by_rules(b"password = 'x1Y2z3W4'\n\n" * 3, over)
    with pytest.raises(TimeoutError):
        scanner.by_rules(text, lambda: True)


@pytest.mark.parametrize("seed", range(8))
def test_a_message_that_is_one_drawn_token_is_hit(scanner: Scanner, seed: int) -> None:
    """It was left alone once, since it might be an id. But nobody tells an id and nothing else, while people paste a token so."""
    for template in ("{alnum:32}", "`{alnum:40}`", "{alnum:24}\n"):
        text = expand(template, random.Random(seed)).text
        found = scanner.scan(text)
        assert [(one.rule, text[one.start : one.end]) for one in found] == [(MESSAGE, text.strip(b"`\n"))]


@pytest.mark.parametrize("seed", range(8))
def test_a_message_that_is_one_id_or_digest_is_left_alone(scanner: Scanner, seed: int) -> None:
    for template in ("ses_{alnum:26}", "run-{lower_digit:24}", "{hex:40}", "{hex:64}", "{uuid}", "{lower_digit:25}"):
        assert scanner.scan(expand(template, random.Random(seed)).text) == [], template
