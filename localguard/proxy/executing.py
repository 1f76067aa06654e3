"""Commands that a person lets run with values in place of their placeholders (`localguard exec`).

A model that was not given a secret writes its placeholder into commands, and the guard leaves it there where the command
reaches beyond this machine. Here a person says yes to one such command, once; the values go to the process that runs it.
"""

import shlex
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from localguard.policy.approvals import Question, Scope, Subject
from localguard.proxy.asking import Asking, in_one_line
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import CommandAsked, CommandTaken
from localguard.proxy.control_models import CommandBody, WaitBody
from localguard.proxy.exchange_ids import ExchangeIds
from localguard.proxy.live import Memories
from localguard.redact.vault import Vault

_MOST_KEPT = 50
_MOST_SHOWN = 1000
"""Characters of a command in a question: all of them, as nobody can allow what is not shown."""


@dataclass(frozen=True, slots=True)
class _Command:
    """A command with placeholders, and the same with values."""

    question: Question
    resolved: tuple[str, ...] = field(repr=False)


class Executing:
    """Resolves the placeholders of commands, each after its own approval. Offers its calls to `control`."""

    def __init__(
        self,
        asking: Asking,
        control: Control,
        callers: Callers,
        memories: Memories,
        policy: Callable[[], PolicyState],
    ) -> None:
        self._asking = asking
        self._callers = callers
        self._memories = memories
        self._policy = policy
        self._ids = ExchangeIds()
        self._commands: OrderedDict[str, _Command] = OrderedDict()
        control.offer(
            Call(
                "POST",
                "/commands",
                "Ask to run `argv` with values in place of its placeholders.",
                self._ask,
                takes=CommandBody,
                gives=CommandAsked,
            ),
            Call(
                "POST",
                "/commands/{id}",
                "Wait for the answer, and get the command with its values once.",
                self._take,
                takes=WaitBody,
                gives=CommandTaken,
            ),
        )

    async def _ask(self, given: Arguments) -> Mapping[str, object]:
        argv = given.body.get("argv")
        if not isinstance(argv, list) or not argv or not all(isinstance(one, str) for one in argv):
            raise ControlRefused(400, "argv must be a list of texts.")
        policy = self._policy()
        workspace = policy.workspaces.of_peer(await self._callers.peer_of(given.request))
        memory = await self._memories.of(workspace.id)
        types: Counter[str] = Counter()
        resolved = tuple(_resolved(argument, memory.vault, types) for argument in argv)
        if not types:
            raise ControlRefused(400, "The command holds no placeholder of this workspace. Run it as it is.")
        id = self._ids.new()
        subject = Subject(
            workspace=workspace.id,
            endpoint="",
            model=None,
            rules=("guard/values-in-commands",),
            policy=policy.digest,
            session=None,
            task=None,
            request=memory.digest(b"command", *(argument.encode("utf-8", "surrogatepass") for argument in argv)),
        )
        shown = in_one_line(memory.vault.shown(shlex.join(argv)))
        if len(shown) > _MOST_SHOWN:
            raise ControlRefused(
                400,
                f"The command is too long to be shown to a person, who has to allow it: {_MOST_SHOWN} characters at most.",
            )
        what = ", ".join(f"{count} × {type}" if count > 1 else type for type, count in sorted(types.items()))
        question = Question(
            id,
            subject,
            time.monotonic(),
            f"A command would run with real values ({what}): {shown}",
            dict.fromkeys(("agent", "task", "model"))
            | {"workspace": workspace.name, "endpoint": "a command on this machine", "tool": "exec"},
            most=(Scope.ONCE,),
        )
        self._commands[id] = _Command(question, resolved)
        while len(self._commands) > _MOST_KEPT:
            self._commands.popitem(last=False)
        self._asking.ask(question)
        return {"id": id, "types": dict(types)}

    async def _take(self, given: Arguments) -> Mapping[str, object]:
        command = self._commands.pop(given.path["id"], None)
        if command is None:
            raise ControlRefused(404, "No command with this id waits.")
        if await self._asking.settle(command.question) is None:
            raise ControlRefused(403, "Nobody allowed the command in time, or somebody said no. It was not run.")
        return {"argv": command.resolved}


def _resolved(argument: str, vault: Vault, types: Counter[str]) -> str:
    """`argument` with values in place of its own placeholders, whose types are counted. Raises ControlRefused (409)."""
    raw = argument.encode("utf-8", "surrogatepass")
    parts: list[str] = []
    position = 0
    for start, end in vault.own_spans(raw):
        placeholder = raw[start:end].decode("ascii")
        known = vault.resolve(placeholder)
        if known is None:
            raise ControlRefused(409, f"The value of {placeholder} is not known since the guard's last start.")
        types[known.type] += 1
        parts += [raw[position:start].decode("utf-8", "surrogatepass"), known.value]
        position = end
    parts.append(raw[position:].decode("utf-8", "surrogatepass"))
    return "".join(parts)
