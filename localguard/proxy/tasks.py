"""What developers say that they are working on: a task category by workspace, set through the control API.

A task that a request names itself (header, address) goes before it; it goes before what the branch says. It holds until it
is changed or the guard ends.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.workspaces import Workspace, Workspaces
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import TaskList, TaskSet
from localguard.proxy.control_models import TaskBody

TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_MOST = 1000


class DeclaredTasks:
    """The tasks that were set, by the ids of workspaces."""

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[str, str]] = {}
        self.version = 0
        """Another number after each change."""

    def of(self, workspace_id: str) -> str | None:
        """The task that was set for a workspace."""
        found = self._tasks.get(workspace_id)
        return found[1] if found is not None else None

    def all(self) -> Sequence[tuple[str, str]]:
        """Names of workspaces and their tasks, sorted."""
        return sorted(self._tasks.values())

    def set(self, workspace: Workspace, task: str | None) -> bool:
        """Set a workspace's task, or end it (None); says whether there was room."""
        if task is None:
            self._tasks.pop(workspace.id, None)
        elif workspace.id in self._tasks or len(self._tasks) < _MOST:
            self._tasks[workspace.id] = (workspace.name, task)
        else:
            return False
        self.version += 1
        return True


class TaskBoard:
    """The control calls about tasks. `workspaces` answers what policy makes of workspaces now."""

    def __init__(
        self, tasks: DeclaredTasks, store: Store, control: Control, workspaces: Callable[[], Workspaces]
    ) -> None:
        self._tasks = tasks
        self._store = store
        self._control = control
        self._workspaces = workspaces
        control.offer(
            Call(
                "GET",
                "/tasks",
                "The tasks that were set, by workspace; those that policy names; the workspaces that it names.",
                lambda _: self._shown(),
                gives=TaskList,
            ),
            Call(
                "POST",
                "/tasks",
                "Set `task` for `workspace` (a name) or `directory`; an empty one ends it.",
                self._set,
                takes=TaskBody,
                gives=TaskSet,
            ),
        )

    def _shown(self) -> Mapping[str, object]:
        known = self._workspaces()
        return {
            "tasks": [{"workspace": workspace, "task": task} for workspace, task in self._tasks.all()],
            "known": sorted({*known.tasks, *(task for _, task in self._tasks.all())})[:_MOST],
            "workspaces": list(known.names)[:_MOST],
        }

    def _set(self, given: Arguments) -> Mapping[str, object]:
        task = given.text("task")
        if task and not TASK.fullmatch(task):
            raise ControlRefused(400, "A task category holds letters, digits and . _ : - only, 64 at most.")
        workspace = self._named(given)
        if not self._tasks.set(workspace, task or None):
            raise ControlRefused(409, "Too many tasks are set; end some first.")
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note(
                "control",
                metadata={"event": "task", "detail": {"task": task or None}},
                local={"workspace": workspace.name},
            )
        self._control.publish("tasks", self._shown())
        return {"workspace": workspace.name, "task": task or None, "by_branch": workspace.task}

    def _named(self, given: Arguments) -> Workspace:
        name, directory = given.text("workspace", ""), given.text("directory", "")
        if name:
            found = self._workspaces().named(name)
        elif Path(directory).is_absolute() and "\0" not in directory:
            found = self._workspaces().of_directory(Path(directory))
        else:
            raise ControlRefused(400, "Give a workspace by name, or a directory.")
        if found is None:
            raise ControlRefused(404, "There is no such workspace. `localguard workspace list` shows them.")
        return found
