import stat
from pathlib import Path

import pytest

from localguard.config.endpoints import EndpointMissing, EndpointTaken, add_endpoint, remove_endpoint
from localguard.config.policy_files import PolicyInvalid, load_policy

COMMENTED = """\
# our policy
version = 1  # the only one

[[endpoints]] # the company's gateway
name = "gateway"
kind = "openai-compatible"
base_url = "https://llm.example"

# rules follow
[[rules]]
id = "a"
effect = "allow"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "policy.toml"


def test_an_endpoint_is_added_to_a_file_that_is_made_for_it(file: Path) -> None:
    endpoint = add_endpoint(
        file,
        name="azure",
        kind="azure-openai",
        base_url="https://x.openai.azure.com/",
        endpoint_class="enterprise",
        credential="keyring:azure",
        auth_headers=["X-Team-Key"],
    )
    assert endpoint.base_url == "https://x.openai.azure.com"
    assert endpoint.auth_headers == ("x-team-key",)
    assert endpoint.keyring_name == "azure"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    layer = load_policy(file)
    assert endpoint in layer.endpoints
    assert layer.rules[0].id == "solo-endpoints"


def test_comments_and_layout_stay_when_endpoints_come_and_go(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(COMMENTED)
    add_endpoint(file, name="other", kind="foundry", base_url="https://x.services.ai.azure.com")
    text = file.read_text()
    for comment in ("# our policy", "# the only one", "# the company's gateway", "# rules follow"):
        assert comment in text
    assert [endpoint.name for endpoint in load_policy(file).endpoints][:2] == ["gateway", "other"]
    remove_endpoint(file, "other")
    assert load_policy(file).endpoints[0].name == "gateway"
    remove_endpoint(file, "gateway")
    assert [rule.id for rule in load_policy(file).rules] == ["a"]
    add_endpoint(file, name="again", kind="ollama")
    assert load_policy(file).endpoints[0].base_url == "http://127.0.0.1:11434"


def test_inline_endpoints_are_edited_too(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('version = 1\nendpoints = [{ name = "a", kind = "openai" }]\n')
    add_endpoint(file, name="b", kind="ollama")
    assert [endpoint.name for endpoint in load_policy(file).endpoints][:2] == ["a", "b"]
    remove_endpoint(file, "a")
    assert load_policy(file).endpoints[0].name == "b"


def test_a_taken_name_is_an_error_unless_it_replaces(file: Path) -> None:
    add_endpoint(file, name="x", kind="ollama")
    with pytest.raises(EndpointTaken):
        add_endpoint(file, name="x", kind="openai")
    assert add_endpoint(file, name="x", kind="openai", replace=True).kind == "openai"
    assert add_endpoint(file, name="openai", kind="openai", base_url="http://127.0.0.1:9").base_url.endswith(":9")


def test_nothing_is_written_unless_the_result_is_valid(file: Path) -> None:
    add_endpoint(file, name="x", kind="ollama")
    before = file.read_bytes()
    with pytest.raises(PolicyInvalid, match="allow_http"):
        add_endpoint(file, name="y", kind="ollama", base_url="http://gpu.example")
    with pytest.raises(PolicyInvalid, match="lower case"):
        add_endpoint(file, name="Y", kind="ollama")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir() if "new" in path.name] == []


def test_a_broken_file_is_not_edited(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("version = 1\noops\n")
    with pytest.raises(PolicyInvalid):
        add_endpoint(file, name="x", kind="ollama")
    assert file.read_text() == "version = 1\noops\n"


def test_removing_what_is_not_there_names_the_nearest(file: Path) -> None:
    add_endpoint(file, name="gateway", kind="ollama")
    with pytest.raises(EndpointMissing, match="gateway"):
        remove_endpoint(file, "gatway")
    with pytest.raises(EndpointMissing, match="built in"):
        remove_endpoint(file, "openai")
