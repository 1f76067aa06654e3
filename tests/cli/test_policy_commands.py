"""`policy`: from an empty home to a policy that is checked, tested, explained, compared, signed and trusted."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localguard.audit.store import Store
from localguard.cli import main
from localguard.config.home import Home
from localguard.config.policy_files import load_policy
from localguard.config.presets import EXAMPLES, PRESETS
from localguard.config.signing import new_key
from tests.cli.conftest import RunLocally

RULES = """\
version = 1

[[endpoints]]
name = "company"
kind = "azure-openai"
base_url = "https://company.example.com"
class = "enterprise"

[[endpoints]]
name = "unused"
kind = "openai-compatible"
base_url = "https://unused.example.com"
class = "experimental"

[[workspaces]]
name = "payments"
match = { remotes = ["git.example.com/payments*"] }
sensitivity = "restricted"

[[rules]]
id = "hosted"
effect = "allow"
when = { classes = ["hosted"], tasks = ["docs"] }

[[rules]]
id = "no-incidents"
effect = "deny"
when = { tasks = ["incident"] }
reason = "Incidents stay inside."

[[tests]]
given = { workspace = "payments", task = "incident", endpoint = "openai", model = "gpt-5" }
expect = { effect = "deny", rule = "no-incidents" }
"""


@pytest.fixture
def policy(home: Home) -> Path:
    home.create()
    home.policy_file.write_text(RULES, "utf-8")
    return home.policy_file


class TestInit:
    @pytest.mark.parametrize("name", [*PRESETS, *EXAMPLES])
    def test_every_preset_is_written_valid_and_passes_its_own_tests(
        self, localguard: RunLocally, home: Home, name: str
    ) -> None:
        code, out, _ = localguard("policy", "init", "--preset", name, "--company-url", "https://llm.corp.test")
        assert code == 0
        tests = len(load_policy(home.policy_file).tests)
        assert f"{tests} of {tests} tests pass" in out
        assert tests >= 2
        assert stat.S_IMODE(home.policy_file.stat().st_mode) == 0o600
        assert localguard("policy", "test")[0] == 0
        assert localguard("policy", "check")[0] == 0
        schema = json.loads((home.root / "policy.schema.json").read_text("utf-8"))
        assert home.policy_file.read_text("utf-8").startswith("#:schema policy.schema.json\n")
        assert "model_groups" in schema["properties"]
        assert "llm.example.com" not in home.policy_file.read_text("utf-8")

    def test_a_policy_that_is_there_is_left_alone(self, localguard: RunLocally, policy: Path) -> None:
        code, _, err = localguard("policy", "init", "--yes")
        assert code == 2
        assert "there already" in err
        assert policy.read_text("utf-8") == RULES

    def test_an_unknown_preset_is_told_the_nearest(self, localguard: RunLocally) -> None:
        code, _, err = localguard("policy", "init", "--preset", "regulatd")
        assert code == 2
        assert 'Did you mean "regulated"?' in err

    def test_it_goes_elsewhere_or_to_standard_output(self, localguard: RunLocally, work: Path) -> None:
        assert localguard("policy", "init", "--yes", "--output", "mine.toml")[0] == 0
        assert load_policy(work / "mine.toml").rules
        assert "ask-about-trials" in localguard("policy", "init", "--yes", "--output", "-")[1]

    @pytest.mark.parametrize(
        ("answers", "rule"),
        [
            (["n"], "nothing-leaves"),
            (["y", "1"], "ask-about-trials"),
            (["y", "3", "https://llm.corp.test"], "expensive-needs-a-task"),
            (["y", "5", ""], "incident-stays-inside"),
        ],
    )
    def test_three_questions_lead_to_a_preset(self, home: Home, work: Path, answers: list[str], rule: str) -> None:
        from typer.testing import CliRunner

        done = CliRunner().invoke(main.app, ["policy", "init"], input="".join(f"{one}\n" for one in answers))
        assert done.exit_code == 0, done.output
        assert rule in [one.id for one in load_policy(home.policy_file).rules]


class TestCheck:
    def test_it_remarks_on_what_never_decides_and_what_is_never_used(
        self, localguard: RunLocally, policy: Path
    ) -> None:
        code, out, _ = localguard("policy", "check")
        assert code == 0
        assert f"{policy}:9: endpoint unused can never be used: no rule allows it." in out
        assert localguard("policy", "check", "--strict")[0] == 1
        shown = json.loads(localguard("policy", "check", "--json")[1])
        assert [one["line"] for one in shown["remarks"]] == [3, 9]

    def test_a_schema_for_editors_is_printed_and_written(self, localguard: RunLocally, work: Path) -> None:
        schema = json.loads(localguard("policy", "schema")[1])
        assert schema["$schema"].startswith("https://json-schema.org/")
        assert schema["additionalProperties"] is False
        assert localguard("policy", "schema", "--output", "schema.json")[0] == 0
        assert json.loads((work / "schema.json").read_text("utf-8")) == schema


class TestTest:
    def test_a_failing_test_is_told_with_its_place(self, localguard: RunLocally, policy: Path) -> None:
        assert localguard("policy", "test")[:2] == (0, "1 tests, 0 failed.\n")
        policy.write_text(RULES.replace('effect = "deny"\nwhen', 'effect = "ask"\nwhen'), "utf-8")
        code, out, _ = localguard("policy", "test")
        assert code == 1
        assert f"{policy}:31: expected deny, but it is ask" in out
        shown = json.loads(localguard("policy", "test", "--json")[1])
        assert (shown["tests"], shown["failed"]) == (1, 1)

    def test_a_test_about_an_unknown_endpoint_fails(self, localguard: RunLocally, policy: Path) -> None:
        policy.write_text(RULES.replace('endpoint = "openai", model', 'endpoint = "opneai", model'), "utf-8")
        assert "knows no endpoint called opneai" in localguard("policy", "test")[1]


class TestExplain:
    def test_it_says_what_decides_and_how_each_field_came_out(self, localguard: RunLocally, policy: Path) -> None:
        code, out, _ = localguard(
            "policy",
            "explain",
            "--endpoint",
            "openai",
            "--model",
            "gpt-5",
            "--workspace",
            "payments",
            "--task",
            "incident",
        )
        assert code == 1
        assert out.startswith("DENY: Incidents stay inside. Rule: no-incidents")
        assert "yes tasks: incident; wanted incident" in out
        assert "no  tasks: incident; wanted docs" in out
        code, out, _ = localguard(
            "policy", "explain", "--endpoint", "openai", "--workspace", "payments", "--task", "docs", "--json"
        )
        shown = json.loads(out)
        assert (code, shown["effect"], shown["deciding"][0]["id"]) == (0, "allow", "hosted")
        assert shown["obligations"]["secret"] == "redact"

    def test_names_that_policy_does_not_know_are_wrong_use(self, localguard: RunLocally, policy: Path) -> None:
        code, _, err = localguard("policy", "explain", "--endpoint", "companny")
        assert code == 2
        assert 'Did you mean "company"?' in err
        assert localguard("policy", "explain")[0] == 2
        assert localguard("policy", "explain", "--endpoint", "openai", "--workspace", "paymints")[0] == 2


def record(home: Home, exchange: str, **metadata: object) -> None:
    """One recorded request."""
    home.create()
    store = Store.open(home.audit_db, clock=lambda: datetime.now(UTC))
    store.append(
        "intent",
        exchange=exchange,
        metadata={
            "endpoint": "openai",
            "endpoint_class": "hosted",
            "sensitivity": "internal",
            "model": "gpt-5",
            "task": "docs",
            **metadata,
        },
        local={"repository": "git.example.com/payments/api", "workspace": "git.example.com/payments/api"},
    )
    store.close()


class TestDiff:
    def test_recorded_requests_are_asked_again(self, localguard: RunLocally, home: Home, work: Path) -> None:
        (work / "old.toml").write_text(RULES, "utf-8")
        (work / "new.toml").write_text(RULES.replace('tasks = ["incident"]', 'tasks = ["docs"]'), "utf-8")
        for number in range(3):
            record(home, f"x{number}")
        record(home, "x9", task="other")
        assert localguard("policy", "diff", "old.toml", "old.toml")[:2] == (
            0,
            "4 requests asked again, 0 would be decided otherwise.\n",
        )
        code, out, _ = localguard("policy", "diff", "old.toml", "new.toml")
        assert code == 1
        assert "4 requests asked again, 3 would be decided otherwise." in out
        assert "payments" in out
        shown = json.loads(localguard("policy", "diff", "old.toml", "new.toml", "--json")[1])
        assert shown["changes"][0]["before"] == "allow"
        assert (shown["changes"][0]["after"], shown["changes"][0]["rules"]) == ("deny", ["no-incidents"])

    def test_explain_takes_a_recorded_request(self, localguard: RunLocally, home: Home, policy: Path) -> None:
        record(home, "x1", task="incident")
        code, out, _ = localguard("policy", "explain", "x1")
        assert code == 1
        assert "Incidents stay inside." in out
        assert localguard("policy", "explain", "x2")[0] == 2


ORGANISATION = """\
version = 1
[organisation]
name = "acme"
revision = 3
expires = 2099-01-01T00:00:00Z

[[endpoints]]
name = "company"
kind = "openai-compatible"
base_url = "https://acme.example.com"
class = "enterprise"

[[rules]]
id = "inside"
effect = "allow"
when = { classes = ["enterprise"] }
"""


class TestSignAndTrust:
    def test_from_signing_to_what_binds_here(
        self, localguard: RunLocally, home: Home, work: Path, policy: Path
    ) -> None:
        (work / "acme.toml").write_text(ORGANISATION, "utf-8")
        target = str(home.organisation_file)
        code, out, err = localguard("policy", "sign", "acme.toml", "--key", "k.pem", "--new-key", "--output", target)
        assert (code, out) == (0, "")
        assert "acme, revision 3, signed" in err
        public = err.split("localguard policy trust ")[1].split()[0]
        assert "No trusted key" in localguard("policy", "show", "--effective")[2]
        assert localguard("policy", "trust", public, "--name", "acme")[0] == 0
        out = localguard("policy", "show", "--effective")[1]
        assert "Of acme, revision 3" in out
        assert "organisation layer" in out
        assert "user layer" in out
        assert "endpoint company is hidden by the one of the policy above it" in localguard("policy", "check")[1]
        assert "https://acme.example.com" in localguard("endpoint", "list")[1]
        code, out, _ = localguard(
            "policy", "explain", "--endpoint", "openai", "--model", "m", "--workspace", "payments"
        )
        assert code == 1
        assert "organisation" in out
        listed = json.loads(localguard("policy", "trust", "--json")[1])
        assert (listed["keys"][0]["key"], listed["accepted"]) == (public, {"acme": 3})
        assert localguard("policy", "trust", "--remove", listed["keys"][0]["id"])[0] == 0
        assert localguard("policy", "trust", "--remove", "0" * 16)[0] == 2
        home.organisation_file.unlink()
        assert "organisation layer" not in localguard("policy", "show", "--effective")[1]

    def test_a_policy_without_an_organisation_is_not_signed(self, localguard: RunLocally, policy: Path) -> None:
        code, _, err = localguard("policy", "sign", str(policy), "--key", "k.pem", "--new-key")
        assert code == 1
        assert "[organisation]" in err
        assert not Path("k.pem").exists()

    def test_a_key_that_is_none_is_wrong_use(self, localguard: RunLocally, work: Path) -> None:
        (work / "acme.toml").write_text(ORGANISATION, "utf-8")
        (work / "k.pem").write_text("nothing", "utf-8")
        assert localguard("policy", "sign", "acme.toml", "--key", "k.pem")[0] == 2
        assert localguard("policy", "sign", "acme.toml", "--key", "k.pem", "--new-key")[0] == 2
        assert localguard("policy", "trust", "ed25519:short")[0] == 2

    def test_an_address_needs_a_key_and_must_not_be_readable_on_the_way(
        self, localguard: RunLocally, home: Home, tmp_path: Path
    ) -> None:
        assert "Pin the key" in localguard("policy", "trust", "--from", "https://policies.example.com")[2]
        public = str(new_key(tmp_path / "signing.pem"))
        assert "plain http" in localguard("policy", "trust", public, "--from", "http://policies.example.com")[2]
        code, _, err = localguard("policy", "trust", "--from", "http://127.0.0.1:1")
        assert code == 1
        assert "nothing could be fetched yet: nothing accepts connections" in err
        listed = json.loads(localguard("policy", "trust", "--json")[1])
        assert listed["source"] == "http://127.0.0.1:1"  # a running guard tries again
        assert localguard("policy", "trust", "--from", "none")[0] == 0
        assert json.loads(localguard("policy", "trust", "--json")[1])["source"] is None


def test_the_repository_s_layer_is_part_of_what_binds(localguard: RunLocally, policy: Path, work: Path) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".localguard.toml").write_text(
        'version = 1\n[[rules]]\nid = "ours"\neffect = "deny"\nwhen = { endpoints = ["openai"] }\n', "utf-8"
    )
    assert "repository layer" in localguard("policy", "show", "--effective")[1]
    code, out, _ = localguard("policy", "explain", "--endpoint", "openai", "--model", "m", "--task", "docs")
    assert code == 1
    assert "Rule: ours" in out
