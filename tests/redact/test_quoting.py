"""A value in a shell command: a real shell reads exactly the value, however the model quoted its placeholder."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localguard.redact.quoting import restored_spellings, spell_text
from localguard.redact.report import Report
from localguard.redact.restorer import restore_arguments_json, restore_arguments_object
from localguard.redact.vault import Vault
from tests.redact.conftest import KEY

PLACES = {
    "unquoted": "printf '%s' {} > f",
    "joined": "printf '%s' a/{}-b > f",
    "assigned": "X={}; printf '%s' \"$X\" > f",
    "double": "printf '%s' \"{}\" > f",
    "double joined": "printf '%s' \"PW={};\" > f",
    "single": "printf '%s' '{}' > f",
    "echo": 'echo "PW={}" > f',
    "substitution": "printf '%s' \"$(printf '%s' \"{}\")\" > f",
    "here": "cat > f <<EOF\nPW={}\nHOME=$((1+1))\nEOF",
    "here plain": "cat > f <<EOF\nPW={}\nEOF",
    "here quoted": "cat > f <<'EOF'\nPW={}\nEOF",
    "here tabs": "cat > f <<-EOF\n\tPW={}\n\tEOF",
    "two commands": "mkdir -p d && cat > f <<E && printf '%s' '{}' >> f\nPW={}\nE",
}
WRITES = {
    "joined": "a/{}-b",
    "double joined": "PW={};",
    "echo": "PW={}\n",
    "here": "PW={}\nHOME=2\n",
    "here plain": "PW={}\n",
    "here quoted": "PW={}\n",
    "here tabs": "PW={}\n",
    "two commands": "PW={}\n{}",
}
VALUES = st.text(alphabet="abZ09$`\"'\\!#*?~ =-{}()&;|<>%/é\n", min_size=1, max_size=12)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, st.sampled_from(sorted(PLACES)))
def test_a_real_shell_writes_exactly_the_value(tmp_path: Path, value: str, place: str) -> None:
    vault = Vault(KEY)
    own = vault.placeholder_for(value, "PASSWORD", data_class="secret", distinctive=True)
    command = PLACES[place].replace("{}", own)
    arguments = {"command": command}
    answer = json.loads(restore_arguments_json(json.dumps(arguments), "Bash", vault, Report()))["command"]
    assert restore_arguments_object(arguments, "Bash", vault, Report()) == {"command": answer}
    if own in answer:
        assert answer.count(own) == command.count(own)
        assert "\n" in value or place == "substitution"
        return
    (tmp_path / "f").unlink(missing_ok=True)
    subprocess.run(["bash", "-c", answer], cwd=tmp_path, check=True, timeout=10)
    expected = WRITES.get(place, "{}").replace("{}", value)
    written = (tmp_path / "f").read_bytes().decode()
    assert written == (expected.rstrip("\n") if place == "substitution" else expected)


@pytest.mark.parametrize(
    "command",
    [
        'bash -c "echo {} > f"',
        "printf '{}' > f",
        "echo `printf {}` > f",
        'echo "${{X:-{}}}" > f',
        "sed -i 's/x/{}/' f",
        "python3 -c \"open('f', 'w').write('{}')\"",
        "echo $'{}' > f",
    ],
)
def test_where_quoting_cannot_be_told_the_placeholder_stays(command: str) -> None:
    vault = Vault(KEY)
    own = vault.placeholder_for("a'b\\$c%n\"d", "PASSWORD", data_class="secret", distinctive=True)
    text = json.dumps({"command": command.replace("{{", "{").replace("{}", own).replace("}}", "}")})
    report = Report()
    assert restore_arguments_json(text, "Bash", vault, report) == text
    assert len(report.withheld) == 1


def test_words_of_an_array_are_exact_and_the_script_of_a_shell_is_quoted() -> None:
    vault = Vault(KEY)
    own = vault.placeholder_for("ab$cd", "PASSWORD", data_class="secret", distinctive=True)
    plain = {"command": ["tee", own]}
    assert restore_arguments_object(plain, "local_shell", vault, Report()) == {"command": ["tee", "ab$cd"]}
    script = {"command": ["bash", "-lc", f'echo "PW={own}" > f']}
    written = {"command": ["bash", "-lc", 'echo "PW=ab\\$cd" > f']}
    assert restore_arguments_object(script, "local_shell", vault, Report()) == written


@given(VALUES)
def test_every_spelling_begins_with_the_exact_one(value: str) -> None:
    assert restored_spellings(value)[0] == value


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ['echo "{}" ;\n', "{} ", 'echo "$(echo {})"\n', "cat <<E\n{}\nE\n"])
def test_many_placeholders_take_linear_time(unit: str) -> None:
    vault = Vault(KEY)
    own = vault.placeholder_for("a$b", "PASSWORD", data_class="secret", distinctive=True)
    spell_text("echo " + unit.replace("{}", own) * 1500, vault)
