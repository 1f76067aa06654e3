"""A command whose values were quoted for the shell goes back upstream as the model wrote it."""

import json

import orjson
import pytest

from localguard.exchange.leaves import LeafRestorer
from localguard.redact.report import Report
from localguard.redact.restorer import restore_arguments_json
from localguard.wire import messages
from tests.exchange.driver import Workspace

VALUE = "ab$cd'x9" + '"Kq\\7z'


@pytest.mark.parametrize(
    "command", ["echo \"PW={}\" > .env; echo '{}' {}", "cat > .env <<EOF\nPW={}\nEOF\n", "cat > f <<'E'\n{}\nE"]
)
def test_the_next_request_holds_the_command_as_the_model_wrote_it(command: str) -> None:
    workspace = Workspace()
    own = workspace.placeholder(VALUE, "PASSWORD")
    read = json.dumps({"command": command.replace("{}", own)})
    written = restore_arguments_json(read, "Bash", workspace.memory.vault, Report())
    assert own not in written
    LeafRestorer(messages.MESSAGES, workspace.memory, messages.MESSAGES.reader()).remember(
        read, written, arguments=True
    )
    call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": orjson.loads(written)}
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "assistant", "content": [call]}]}
    sent = workspace.send(messages.MESSAGES, body).body
    assert orjson.loads(sent)["messages"][0]["content"][0]["input"] == json.loads(read)
