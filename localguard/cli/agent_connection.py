"""An agent's own settings pointed at the guard, and back, byte for byte.

What is to be changed is planned first, so that it can be shown; then a copy of each file is kept beside it, and the state directory
remembers what was written (addresses and digests, nothing else of the file). Undone is only what was done: a file that nobody touched
meanwhile gets its bytes back, in one that somebody did only the values that were written are changed back. Neither needs a guard.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localguard.audit.record import without_userinfo
from localguard.cli.agent_catalogue import Agent, Setting, SettingsFile, Surroundings
from localguard.cli.agent_environment import guard_address, points_to_guard
from localguard.cli.exit_codes import WrongUse
from localguard.config.home import Home, exclusively, write_private
from localguard.config.settings import files
from localguard.config.settings.path import Path as SettingPath
from localguard.config.settings.path import SettingsBroken
from localguard.config.settings.text import FORMATS, changed, pruned, value_at
from localguard.policy.model import Endpoint


@dataclass(frozen=True, slots=True)
class Change:
    """One value, from what to what; None is no value."""

    path: SettingPath
    was: str | None
    now: str | None

    def __str__(self) -> str:
        """Two lines, of a difference, without credentials in addresses."""
        name = ".".join(map(str, self.path))
        lines = [f"- {name} = {_shown(self.was)}"] if self.was is not None else []
        lines += [f"+ {name} = {_shown(self.now)}"] if self.now is not None else []
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What becomes of one file. `new` is None where it is removed."""

    path: Path
    old: bytes | None
    new: bytes | None
    changes: tuple[Change, ...]
    whole: bool = False
    """It goes back to the bytes that it had."""


@dataclass(slots=True)
class Plan:
    """What becomes of an agent's files, and what has to be said beside it."""

    agent: Agent
    files: list[FilePlan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pointed:
    """One address of an agent's settings, as it stands."""

    file: Path
    name: str
    value: str
    at_guard: bool


def addresses(agent: Agent, where: Surroundings, port: int) -> tuple[list[Pointed], list[str]]:
    """The addresses that the agent's settings hold now, and what is wrong with files that cannot be read."""
    found: list[Pointed] = []
    wrong: list[str] = []
    for one in agent.files(where):
        try:
            _, document = _read(one)
        except (files.SettingsUnusable, SettingsBroken) as error:
            wrong.append(str(error))
            continue
        for setting in one.settings(document):
            value = _value(document, setting)
            if value:
                name = ".".join(map(str, setting.path))
                found.append(Pointed(one.path, name, without_userinfo(value), points_to_guard(value, port)))
    return found, wrong


def plan_to_connect(agent: Agent, where: Surroundings, home: Home, endpoints: Sequence[Endpoint], port: int) -> Plan:
    """What has to change so that the agent's requests come to the guard. Raises SettingsUnusable, SettingsBroken."""
    plan = Plan(agent)
    remembered = _Remembered(home).of(agent.name)
    prefix = f"http://127.0.0.1:{port}"
    written = False
    for one in agent.files(where):
        old, document = _read(one)
        if old is None and not one.needed:
            continue
        text = files.text_of(one.path, old or b"")
        written_before = {each["now"]: each["was"] for each in remembered.get(str(one.path), {}).get("changes", ())}
        changes = []
        for setting in list(one.settings(document)):
            was = _value(document, setting)
            whole = setting.before + (was or "")
            # an address of ours, for another port, stands for what was there before it
            meant = (written_before[whole] or "").removeprefix(setting.before) if whole in written_before else was or ""
            meant = meant or setting.elsewhere
            try:
                now = guard_address(setting.variable, meant, endpoints, prefix, port)
            except WrongUse as error:
                plan.notes.append(str(error))
                continue
            written = written or now is not None
            if now is None or now == was:
                continue
            text = _changed(one, text, setting.path, setting.before + now)
            changes.append(Change(setting.path, was and setting.before + was, setting.before + now))
        if changes:
            plan.files.append(FilePlan(one.path, old, text.encode(), tuple(changes)))
    if not written and agent.note:
        plan.notes.append(agent.note)
    return plan


def plan_to_disconnect(
    agent: Agent, where: Surroundings, home: Home, endpoints: Callable[[], Sequence[Endpoint]], port: int
) -> Plan:
    """What has to change so that the agent's settings are as they were. Raises SettingsUnusable, SettingsBroken.

    `endpoints` are asked for only where nothing is remembered of what stood there before.
    """
    plan = Plan(agent)
    remembered = _Remembered(home).of(agent.name)
    for one in agent.files(where):
        known = remembered.get(str(one.path))
        old = files.read(one.path)
        if old is None:
            continue
        back = _bytes_before(known)
        if known is not None and files.digest(old) == known["written"] and (back is not None or not known["existed"]):
            changes = tuple(
                Change(tuple(each["path"]), each["now"], each["was"]) for each in reversed(known["changes"])
            )
            plan.files.append(FilePlan(one.path, old, back if known["existed"] else None, changes, whole=True))
            continue
        step = _taken_out(one, old, known, back, endpoints, port)
        if step is not None:
            plan.files.append(step)
    return plan


def apply(plan: Plan, home: Home, *, connect: bool) -> None:
    """Write what was planned, file by file, and remember it. Raises SettingsUnusable; files before that one are written then."""
    home.create()
    remembered = _Remembered(home)
    for one in plan.files:
        known = remembered.of(plan.agent.name).get(str(one.path))
        if connect:
            backup = known["backup"] if known else None
            existed = known["existed"] if known else one.old is not None
            if known is None and one.old is not None:
                backup = str(files.back_up(one.path, one.old))
            assert one.new is not None
            made = files.replace(one.path, one.new, expected=one.old)
            earlier = known["changes"] if known else []
            entry = {
                "existed": existed,
                "backup": backup,
                "written": files.digest(one.new),
                "made": [*(known["made"] if known else []), *map(str, made)],
                "changes": _joined(earlier, one.changes),
            }
            remembered.keep(plan.agent.name, str(one.path), entry)
            continue
        if one.new is None:
            files.remove(one.path, [Path(name) for name in known["made"]] if known else [])
        else:
            files.replace(one.path, one.new, expected=one.old)
        if known is not None and known["backup"]:
            Path(known["backup"]).unlink(missing_ok=True)
        remembered.keep(plan.agent.name, str(one.path), None)


def _taken_out(
    one: SettingsFile,
    old: bytes,
    known: dict[str, Any] | None,
    back: bytes | None,
    endpoints: Callable[[], Sequence[Endpoint]],
    port: int,
) -> FilePlan | None:
    """The file without what was written into it, where somebody else changed it meanwhile or nothing is remembered."""
    text = files.text_of(one.path, old)
    document = _parsed(one, text)
    original = _parsed(one, files.text_of(one.path, back)) if back is not None else {}
    written = {each["now"]: each for each in known["changes"]} if known is not None else {}
    changes = []
    for setting in reversed(list(one.settings(document))):
        value = _value(document, setting)
        if value is None:
            continue
        whole = setting.before + value
        if known is not None:
            if whole not in written:
                continue  # somebody else's by now
            each = written[whole]
            was = value_at(original, tuple(each["path"])) if each.get("in_copy") else each["was"]
        elif points_to_guard(value, port):
            was = _address_before(setting, value, endpoints())
        else:
            continue
        text = _changed(one, text, setting.path, was)
        if was is None and known is not None:
            text = pruned(one.form, text, setting.path, original)
        changes.append(Change(setting.path, whole, was))
    if not changes:
        return None
    emptied = known is not None and not known["existed"] and not text.strip().strip("{}").strip()
    return FilePlan(one.path, old, None if emptied else text.encode(), tuple(changes))


def _address_before(setting: Setting, value: str, endpoints: Sequence[Endpoint]) -> str | None:
    """What an address at the guard stands for, where an agent would be lost without one; None where its default will do."""
    if not setting.variable.only_if_set:
        return None
    name, _, rest = urlsplit(value).path.removeprefix("/").partition("/")
    base = next((one.base_url for one in endpoints if one.name == name), None)
    return None if base is None else setting.before + base + (f"/{rest}" if rest else "")


def _read(one: SettingsFile) -> tuple[bytes | None, Any]:
    data = files.read(one.path)
    return data, _parsed(one, files.text_of(one.path, data or b""))


def _parsed(one: SettingsFile, text: str) -> Any:
    try:
        document = FORMATS[one.form].values(text)
    except SettingsBroken as error:
        raise SettingsBroken(f"{one.path}: {error}. Mend it first; nothing was changed.") from None
    if not isinstance(document, dict | list):
        raise SettingsBroken(f"{one.path}: this is no settings file; nothing was changed.")
    return document


def _changed(one: SettingsFile, text: str, path: SettingPath, value: str | None) -> str:
    try:
        return changed(one.form, text, path, value)
    except SettingsBroken as error:
        raise SettingsBroken(f"{one.path}: {error}. Nothing was changed.") from None
    except (KeyError, TypeError, AttributeError, IndexError):
        name = ".".join(map(str, path))
        raise SettingsBroken(f"{one.path}: {name} has another form than expected. Nothing was changed.") from None


def _value(document: Any, setting: Setting) -> str | None:
    value = value_at(document, setting.path)
    if not isinstance(value, str) or not value.startswith(setting.before):
        return None
    return value[len(setting.before) :]


def _joined(earlier: list[dict[str, Any]], now: Sequence[Change]) -> list[dict[str, Any]]:
    """What was written, with what stood there before the first time."""
    kept = {tuple(each["path"]): each for each in earlier}
    for change in now:
        first = kept.get(change.path)
        entry = dict(first) if first is not None else {"path": list(change.path), **_remembered_as(change.was)}
        kept[change.path] = entry | {"now": change.now}
    return list(kept.values())


def _remembered_as(was: str | None) -> dict[str, Any]:
    """An earlier value; one with a credential in its address is in the copy beside the file only."""
    if was is not None and without_userinfo(was) != was:
        return {"was": None, "in_copy": True}
    return {"was": was}


def _bytes_before(known: dict[str, Any] | None) -> bytes | None:
    """What the file held before it was changed, if its copy is still there."""
    if known is None or not known["backup"]:
        return None
    try:
        return Path(known["backup"]).read_bytes()
    except OSError:
        return None


def _shown(value: str | None) -> str:
    return json.dumps(without_userinfo(value or ""))


class _Remembered:
    """What was written into whose files: `agents.json` of the state directory."""

    def __init__(self, home: Home) -> None:
        self._path = home.state_dir / "agents.json"

    def of(self, agent: str) -> dict[str, dict[str, Any]]:
        """File to what was written into it."""
        return dict(self._all().get(agent, {}))

    def keep(self, agent: str, file: str, entry: dict[str, Any] | None) -> None:
        """Remember, or forget, what was written into a file."""
        with exclusively(self._path.with_suffix(".lock")):
            everything = self._all()
            of_agent = everything.setdefault(agent, {})
            of_agent.pop(file, None)
            if entry is not None:
                of_agent[file] = entry
            if not of_agent:
                del everything[agent]
            write_private(self._path, json.dumps(everything, indent=1).encode())

    def _all(self) -> dict[str, dict[str, dict[str, Any]]]:
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            raise files.SettingsUnusable(
                f"{self._path} cannot be read. Remove it; what was there before is in the files *.before-localguard."
            ) from None
        return found if isinstance(found, dict) else {}
