"""Personal data as it stands in code, logs, SQL, chat and prose is covered whole; what only looks like it is left alone."""

import random
import re
import tomllib

import pytest

from localguard.config.rule_files import packaged_rules
from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner

COVERED = (
    "phone: ⟦+1-581-896-0013x3890⟧",
    "tel ⟦001-581-896-0013x389⟧",
    "⟦(581)896-0013⟧",
    "⟦581.896.0013x389⟧ called",
    '"phone": "⟦581-896-0013 x389⟧"',
    "Phone - ⟦5818960013⟧",
    '{"phone": ⟦2125551234⟧, "x": 1}',
    '{"phone_number": ⟦15185550182⟧}',
    "mobile number ⟦98765 43210⟧",
    "tel: ⟦+33 (0)1 42 68 53 00⟧",
    "Tél. : ⟦06 12 34 56 78⟧",
    "Telefon: ⟦0171/1234567⟧",
    "Handy ⟦0171-1234567⟧",
    "Ruf mich an unter ⟦+49 171 1234567⟧.",
    "you can reach her at ⟦555-0123⟧",
    "my cell is ⟦(555) 123-4567⟧",
    "Call ⟦555-123-4567⟧ now",
    "tel:⟦+1-800-555-0199⟧",
    "whatsapp ⟦+55 11 91234-5678⟧",
    "fone: ⟦(11) 91234-5678⟧",
    "電話：⟦03-1234-5678⟧",
    "携帯 ⟦090-1234-5678⟧",
    "전화번호: ⟦010-1234-5678⟧",
    "手机号⟦13812345678⟧",
    "+86 phone ⟦+86 138 1234 5678⟧",
    "teléfono: ⟦612 34 56 78⟧",
    "telefono ⟦333 123 4567⟧",
    "telefoonnummer ⟦06-12345678⟧",
    "tlf. ⟦22 33 44 55⟧",
    "telefonnummer: ⟦070-123 45 67⟧",
    "numer telefonu: ⟦601 234 567⟧",
    "contact me on ⟦07700 900123⟧",
    "user 12 phone '⟦415-555-2671⟧' ok",
    "2024-05-01 12:00:01 INFO sms sent to ⟦+14155552671⟧ ok",
    "2024-05-01 12:00:01 INFO login from ⟦81.2.69.142⟧ user=4",
    '⟦81.2.69.142⟧ - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326',
    "2024-10-10T10:00:00.123 ⟦81.2.69.142⟧ GET /",
    "ssh root@⟦81.2.69.142⟧",
    "http://⟦81.2.69.142⟧:8080/x",
    "remote_addr=⟦5.9.12.30⟧",
    '"ip":"⟦24.48.0.1⟧"',
    "[⟦2a00:1450:4001:81b::200e⟧]:443",
    "server 203.0.113.9 and client ⟦81.2.69.142⟧,",
    "SSN ⟦219-09-9998⟧",
    '"ssn":"⟦219099998⟧"',
    "social security # ⟦219 09 9998⟧",
    "INSERT INTO p (ssn) VALUES ('⟦219-09-9998⟧');",
    "IBAN: ⟦GB82 WEST 1234 5698 7654 32⟧",
    "iban=⟦DE89370400440532013000⟧",
    "⟦FR14 2004 1010 0505 0001 3M02 606⟧",
    "⟦NL91ABNA0417164300⟧",
    "write to ⟦Jane.Roe+news@mail.firm.co.uk⟧.",
    "'⟦o'brien@firm.ie⟧'",
    "<⟦a.b@firm.museum⟧>",
    "email:⟦x_y@sub.firm.io⟧;",
    "mailto:⟦jane@firm.org⟧?subject=hi",
    "email=⟦jane@firm.org⟧&x=1",
    "lat=⟦48.858370⟧&lon=⟦2.294481⟧",
    "VIN ⟦1HGCM82633A004352⟧",
    "IMEI ⟦490154203237518⟧",
    "mac ⟦00:1b:44:11:3a:b7⟧",
    "DOB: ⟦12/03/1985⟧",
    "born on ⟦12 March 1985⟧",
    "dob,⟦1985-03-12⟧",
    "routing number ⟦021000021⟧ account number ⟦000123456789⟧",
    "card ⟦{valid:card_number:54## #### #### ####}⟧",
    '"card_number": ⟦{luhn:4:16}⟧,',
    "cc=⟦{valid:card_number:45##-####-####-####}⟧ exp 12/26",
    "amex ⟦{valid:card_number:37## ###### #####}⟧",
    "lives at ⟦1640 Alder Avenue NW, Fairfield, CA 94534⟧",
    "Wohnort: ⟦Birkenstraße 12, 10115 Berlin⟧",
    "btc ⟦{btc}⟧",
    "eth ⟦{ethereum}⟧",
)
LEFT_ALONE = (
    "GEM\n    selenium (4.1.0.150)\n    rack (2.2.8.1)\n",
    "points: [[181.2345, 91.2345], [10.1, 20.2]]",
    '<polygon points="12.53419,33.25781 40.25119,60.51982"/>',
    'url = "https://files.acme.io/packages/ab/cc/0d1e/x.whl", size = 12345678 }',
    'url = "https://files.acme.io/nit/cc/x.tar.gz", size = 91827364 }',
    "version 1.2.3.4 of 2024-05-06",
    '"version": "10.0.19041.1"',
    "Chrome/119.0.6045.199 Safari/537.36",
    '<path d="M12.5 3.4c-1.2.5 3.51.98.32-2.12 1.1 0 2.2 4.03 12.44.22z"/>',
    "M10 10L20.5-3.2.44.55.66 12.12.12",
    'd="m3.22.24.10-2.8"',
    "192.168.1.1 127.0.0.1:8080 10.0.0.1 0.0.0.0 169.254.169.254 203.0.113.7 198.51.100.2",
    "ISBN 978-3-16-148410-0, 0-306-40615-2, 9783161484100",
    "1700000000 1700000000123 1700000000123456 1700000000123456789",
    "id=1234567890123456 order 4000123456789 no 20240115123456",
    "tracking 1Z999AA10123456784 po 4501234567",
    "[0.123456, 0.654321, 1.5e-10, 3.14159265358979]",
    "np.array([[1.2345678, 2.3456789],[48.858370, 2.294481]])",
    "1234567890,2345678901,3456789012,4567890123",
    "212 736 5000 212 736 5001 212 736 5002",
    "555 1234 5678 9012",
    "550e8400-e29b-41d4-a716-446655440000",
    "4f2a3c1d5e6b7a8f9c0d1e2f3a4b5c6d7e8f9a0b",
    "0x1234567890ABCDEF 0xdeadbeef 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
    "2024-11-20 12:34:56,789 INFO 2024-11-20T12:34:56.789Z",
    "20241120-123456 2024.11.20 20.11.2024",
    "pid 12345 tid 140234567890123 uid 1000 rev 123456789",
    "sha512-AbCd0123456789+/== ",
    "integrity sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "AS15169 /24 8.8.8.0/24",
    "SELECT * FROM t WHERE id IN (123456789, 987654321, 456789123)",
    "max 2147483647 4294967295 9007199254740991 18446744073709551615",
    "error 0x80070005 at 0040:00401000",
    "RFC 2616, section 14.35.1.2",
    "1.3.6.1.4.1.311.60.2.1.3 2.5.29.17 2.16.840.1.101.3.4.2.1",
    "GeForce 10-0000-00 part 123-45-678",
    "Boston, MA 02110-1301 USA",
    "x = -122.4194 y = 37.7749",
    "UTC+01:00 +0100 -0700 +00:00",
    "+12345 +1234567 -1234567",
    "@@ -1234,7 +1234567,8 @@",
    "a+1234567890b",
    "$1,234,567.89 12.345.678,90 1.234.567",
    "Mon 01 02 03 04 05 06 07",
    "01 23 45 67 89 ab cd ef",
    "<Buffer 01 42 68 53 00>",
    "fe 01 42 68 53 00 ab",
    "00 11 22 33 44 55 66 77",
    "12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:f0",
    "user@example.com git@github.com noreply@github.com 12345+octo@users.noreply.github.com",
    "4111 1111 1111 1111 4242424242424242 5555555555554444",
    "LTAI lib-4.5.6.7.so foo_1.2.3.4_amd64.deb foo-3.22.24.10.tgz",
    "python-3.11.2-4.el9 kernel 5.14.0-362.8.1.el9",
    '"@types/node": "20.1.2", lodash@4.17.21',
    "12345678-1234-1234-1234-123456789012",
    '{"id": 123456789012, "user_id": 987654321, "ts": 1700000000}',
    "AB123456C-lib E1234567 A1234567",
    "const PHONE_RE = /\\+?[0-9]{3}-[0-9]{3}-[0-9]{4}/",
    "line 100:200 200-300 300-4000",
    "0123456789 9876543210 1111111111",
)


@pytest.mark.parametrize("template", COVERED)
def test_personal_data_is_covered_whole(scanner: Scanner, template: str) -> None:
    text, spans = b"", []
    for number, part in enumerate(re.split("[⟦⟧]", template)):
        piece = expand(part, random.Random(part)).text
        if number % 2:
            spans.append((len(text), len(text) + len(piece)))
        text += piece
    found = scanner.scan(text)
    for start, end in spans:
        assert any(one.start <= start and end <= one.end for one in found), (text, found)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_like_personal_data_is_left_alone(scanner: Scanner, text: str) -> None:
    assert [one for one in scanner.scan(text.encode()) if one.data_class == "pii"] == []


def test_no_pattern_splits_a_letter_beyond_ascii() -> None:
    """Patterns work on bytes: in a class, or before a quantifier, such a letter would be one of its bytes."""
    for path in sorted(packaged_rules().glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        sources = list(data.get("define", {}).values())
        for rule in data.get("rules", []):
            sources += [rule.get("gate", ""), rule["pattern"], *rule.get("context", []), *rule.get("allow", [])]
        for source in sources:
            split = re.findall(r"\[[^\]]*[^\x00-\x7f][^\]]*\]|[^\x00-\x7f](?:[?*+]|\{[0-9])", source)
            assert not split, (path.name, split)
