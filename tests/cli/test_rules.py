"""`localguard rules`: what is looked for can be seen, tried out and taken over."""

import json
import tomllib
from pathlib import Path

from localguard.config.home import Home
from tests.cli.conftest import RunLocally

OWN_RULE = """
[[rules]]
id = "acme/token"
type = "ACME_TOKEN"
description = "Acme's own tokens"
pattern = "acme_[a-z0-9]{20}"
match = ["token ⟦acme_{lower_digit:20}⟧"]
no_match = ["acme_short"]

[[dictionaries]]
id = "acme/customers"
type = "CUSTOMER"
words = ["Globex"]
"""
GITLEAKS = """
title = "config"
[extend]
useDefault = true
[[rules]]
id = "acme-api-key"
description = "Acme"
regex = \'\'\'(?i)acme[\\w.-]{0,20}[\\s:=]+([a-z0-9]{32})\\b\'\'\'
secretGroup = 1
entropy = 3.0
keywords = ["acme"]
[[rules.allowlists]]
regexes = ["^0+$"]
stopwords = ["sample"]
[[rules]]
id = "by-path"
path = \'\'\'\\.p12$\'\'\'
"""


def test_rules_in_force_are_listed_by_id_type_and_class(localguard: RunLocally) -> None:
    code, out, _ = localguard("rules", "list", "--type", "github_token", "--json")
    assert code == 0
    listed = json.loads(out)
    assert "github/token" in {rule["id"] for rule in listed}
    assert {(rule["type"], rule["class"]) for rule in listed} == {("GITHUB_TOKEN", "secret")}


def test_a_rule_is_shown_with_its_source_and_made_up_samples(localguard: RunLocally) -> None:
    code, out, _ = localguard("rules", "show", "github/token")
    assert code == 0
    assert "docs.github.com" in out or "github.blog" in out
    assert "finds" in out
    assert "⟦" not in out


def test_an_unknown_rule_names_the_nearest_one(localguard: RunLocally) -> None:
    code, _, err = localguard("rules", "show", "github/tokn")
    assert code == 2
    assert "github/token" in err


def test_own_rules_are_in_force_once_they_stand_in_the_home(localguard: RunLocally, home: Home, work: Path) -> None:
    home.create()
    (home.rules_dir / "acme.toml").write_text(OWN_RULE)
    assert localguard("rules", "test") == (0, "2 rules in 1 files, 2 samples: nothing wrong.\n", "")
    (work / "mail.txt").write_text("the GLOBEX offer\n")
    code, out, _ = localguard("scan", "mail.txt")
    assert (code, out) == (1, "mail.txt:1:5: CUSTOMER (custom, acme/customers)\n")


def test_a_rule_that_contradicts_its_samples_fails_the_test(localguard: RunLocally, work: Path) -> None:
    (work / "acme.toml").write_text(OWN_RULE.replace("acme_short", "acme_{lower_digit:20}"))
    code, _, err = localguard("rules", "test", "acme.toml")
    assert code == 1
    assert "acme.toml: acme/token: finds something in the no_match sample 'acme_{lower_digit:20}'" in err


def test_a_broken_rule_file_is_told_and_not_a_traceback(localguard: RunLocally, work: Path) -> None:
    (work / "acme.toml").write_text(OWN_RULE.replace("pattern =", "patern ="))
    code, _, err = localguard("rules", "test", "acme.toml")
    assert code == 1
    assert "acme.toml: rule 'acme/token': patern is unknown" in err


def test_rules_of_gitleaks_become_a_rule_file_that_works(localguard: RunLocally, home: Home, work: Path) -> None:
    (work / "gitleaks.toml").write_text(GITLEAKS)
    home.create()
    code, _, err = localguard("rules", "import", "gitleaks.toml", "--output", str(home.rules_dir / "theirs.toml"))
    assert code == 0
    assert "by-path: it has no regex" in err
    assert "[extend]" in err
    (rule,) = tomllib.loads((home.rules_dir / "theirs.toml").read_text())["rules"]
    assert rule["id"] == "gitleaks/acme-api-key"
    value = "q7x2m9k4" * 2 + "w8r3t6z1" * 2
    (work / "x.txt").write_text(f"acme_ref = {value}\nacme = sample{value[6:]}\nacme = {'0' * 32}\n")
    code, out, _ = localguard("scan", "x.txt", "--format", "json")
    assert [(f["line"], f["type"]) for f in json.loads(out)["findings"] if "acme" in f["rule"]] == [(1, "ACME_API_KEY")]


def test_a_file_without_rules_is_wrong_use(localguard: RunLocally, work: Path) -> None:
    (work / "x.toml").write_text("a = 1\n")
    assert localguard("rules", "import", "x.toml")[0] == 2
