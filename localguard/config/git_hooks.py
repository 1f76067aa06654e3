"""The hook that gives commits the trailers of agent sessions: put into a repository on request, and taken out without a trace.

Hooks that are there keep their names and places, as some of them look at either. So there are two ways:

* The repository's own hooks directory has no `commit-msg` hook: the hook is put there.
* There is one, or `core.hooksPath` leads elsewhere (into the work tree, to a directory of all repositories): `core.hooksPath` of this
  repository leads to a directory in its git directory, whose hooks run those of the former place.

The git directory is the one that all work trees of the repository share. Nothing in a work tree is touched.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Literal

from localguard.config.git_program import git_output
from localguard.errors import LocalguardError

HOOK = "commit-msg"
_MARK = "# localguard: commit trailers of agent sessions; `localguard git uninstall` takes this away"
_END = "exit 0\n# localguard's hook ends here\n"
_MADE = "# The directory of this hook was made for it.\n"
_OURS = "localguard-hooks"
_STATE = "installed.json"
_CHAINED = frozenset(
    {"applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg"}
    | {"post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "post-rewrite", "sendemail-validate"}
)
"""Hooks that count even if they are added later (githooks(5))."""
_CHAINED_IF_THERE = frozenset(
    {"pre-receive", "update", "proc-receive", "post-receive", "post-update", "reference-transaction", "pre-auto-gc"}
    | {"push-to-checkout", "fsmonitor-watchman", "post-index-change", "p4-changelist", "p4-prepare-changelist"}
    | {"p4-post-changelist", "p4-pre-submit"}
)
"""Hooks that cost much or mean something by being there."""


class HooksUnchanged(LocalguardError):
    """The repository's hooks cannot be changed or taken back safely; nothing was changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Where git looks for hooks: `hooks_path` is `core.hooksPath` as it is spelled, with its scope, None where it is not set."""

    common: Path
    top: Path
    """Of the work tree."""
    hooks_path: str | None
    scope: str | None
    hooks: str
    """The directory in force, as the hooks' own working directory sees it."""

    @property
    def ours(self) -> Path:
        """Our directory in the git directory."""
        return self.common / _OURS


@dataclass(frozen=True, slots=True)
class Installed:
    """How the hook is there. `way`: `file` in the hooks directory, or `path` by core.hooksPath; `working`: git would run it."""

    way: Literal["file", "path"]
    hook: Path
    working: bool


@dataclass(frozen=True, slots=True)
class _Before:
    """What was before a change of `core.hooksPath`, for the way back."""

    hooks: str
    """The hooks' directory, as `Repository.hooks`."""
    hooks_path: str | None
    scope: str
    config: str
    """Path of the configuration file that was changed."""
    bytes_before: str
    bytes_after: str
    """The file, as latin-1 text."""


def repository_of(directory: Path) -> Repository:
    """The repository that `directory` lies in. Raises HooksUnchanged for none, and for a bare one."""
    told = _git(directory, "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel")
    if told is None:
        raise HooksUnchanged("There is no git work tree here, or no git of 2.31 or later.")
    common, top = map(Path, told.split("\n"))
    shown = _git(directory, "config", "--show-scope", "--get", "core.hooksPath")
    if not shown:
        return Repository(common, top, None, None, str(common / "hooks"))
    scope, _, spelled = shown.partition("\t")
    return Repository(
        common, top, spelled, scope, _git(directory, "config", "--type=path", "--get", "core.hooksPath") or ""
    )


def installed(directory: Path) -> Installed | None:
    """How the hook is installed in the repository of `directory`; None where it is not. Raises HooksUnchanged."""
    repository = repository_of(directory)
    if (repository.ours / _STATE).is_file():
        return Installed("path", repository.ours / HOOK, _leads_to_ours(repository))
    for hook in (repository.common / "hooks" / HOOK, repository.common / "hooks" / f"{HOOK}.legacy"):
        if _is_ours(hook):  # pre-commit puts a hook that it finds aside, and runs it
            return Installed("file", hook, repository.hooks_path is None)
    return None


def install(directory: Path, database: Path) -> Installed:
    """Install the hook in the repository of `directory`, or renew it. `database` is the log that it reads.

    Raises HooksUnchanged, with nothing changed.
    """
    found = installed(directory)
    repository = repository_of(directory)
    if found is not None and not found.working:
        raise HooksUnchanged(
            "localguard's hook is there, but core.hooksPath was set to another place since. "
            "Run `localguard git uninstall`, then install again."
        )
    try:
        if found is not None and found.way == "file":
            _check_whole(found.hook)
            _write(found.hook, _script(database, None, _MADE if _MADE in found.hook.read_text("utf-8") else ""))
        elif found is not None:
            _write_ours(repository, database, _before(repository))
        elif repository.hooks_path is None and _is_free(repository):
            hooks = repository.common / "hooks"
            made_it = _MADE if not hooks.exists() else ""
            hooks.mkdir(exist_ok=True)
            _write(hooks / HOOK, _script(database, None, made_it))
        elif _leads_to_ours(repository):
            raise HooksUnchanged(f"core.hooksPath leads to {repository.ours}, which is not as it was installed.")
        else:
            _lead_to_ours(directory, repository, database)
    except OSError as error:
        raise HooksUnchanged(f"The hook cannot be written: {error.strerror}.") from None
    made = installed(directory)
    if made is None:
        raise HooksUnchanged("The hook was not installed.")
    return made


def uninstall(directory: Path) -> bool:
    """Take the hook out again; False where there was none. Hooks and configuration are then what they were before.

    Where `core.hooksPath` was set to another place since, that stays. Raises HooksUnchanged.
    """
    found = installed(directory)
    if found is None:
        return False
    repository = repository_of(directory)
    try:
        if found.way == "file":
            _check_whole(found.hook)
            made_it = _MADE in found.hook.read_text("utf-8")
            found.hook.unlink()
            if made_it and not any(found.hook.parent.iterdir()):
                found.hook.parent.rmdir()
            return True
        before = _before(repository)
        if found.working:
            _lead_back(directory, before)
        shutil.rmtree(repository.ours)
    except OSError as error:
        raise HooksUnchanged(f"The hook cannot be removed: {error.strerror}.") from None
    return True


def _is_free(repository: Repository) -> bool:
    """Whether the repository's own directory can take the hook: it is nobody else's, and has none."""
    hooks = repository.common / "hooks"
    shared = hooks.is_symlink() or (hooks.exists() and not hooks.is_dir())
    return not shared and not os.path.lexists(hooks / HOOK)


def _lead_to_ours(directory: Path, repository: Repository, database: Path) -> None:
    scope = "worktree" if repository.scope == "worktree" else "local"
    name = "config.worktree" if scope == "worktree" else "config"
    config = Path(_git(directory, "rev-parse", "--path-format=absolute", "--git-path", name) or "")
    own = repository.hooks_path if repository.scope in ("local", "worktree") else None
    old = config.read_bytes()
    before = _Before(repository.hooks, own, scope, str(config), old.decode("latin-1"), "")
    repository.ours.mkdir(exist_ok=True)
    try:  # in an order in which every commit runs its hooks, and `uninstall` knows the way back
        _write_state(repository, before)
        _write_ours(repository, database, before)
        if _git(directory, "config", f"--{scope}", "core.hooksPath", str(repository.ours)) is None:
            raise HooksUnchanged("git does not set core.hooksPath here; perhaps it is set more than once.")
        _write_state(repository, replace(before, bytes_after=config.read_bytes().decode("latin-1")))
    except BaseException:
        config.write_bytes(old)
        shutil.rmtree(repository.ours, ignore_errors=True)
        raise


def _write_state(repository: Repository, before: _Before) -> None:
    (repository.ours / _STATE).write_text(json.dumps(asdict(before)), "utf-8")


def _write_ours(repository: Repository, database: Path, before: _Before) -> None:
    """Write our hook, and one for each other that runs the one of the former place, if it is there then."""
    former = repository.top / before.hooks
    for name in sorted(_CHAINED | {name for name in _CHAINED_IF_THERE if (former / name).exists()}):
        _write(repository.ours / name, _RUNNER.format(mark=_MARK, former=_in(before.hooks, name)))
    _write(repository.ours / HOOK, _script(database, before.hooks))


def _lead_back(directory: Path, before: _Before) -> None:
    config = Path(before.config)
    if config.read_bytes() == before.bytes_after.encode("latin-1"):
        config.write_bytes(before.bytes_before.encode("latin-1"))
    elif before.hooks_path is None:
        _git(directory, "config", f"--{before.scope}", "--unset", "core.hooksPath")
    else:
        _git(directory, "config", f"--{before.scope}", "core.hooksPath", before.hooks_path)


def _before(repository: Repository) -> _Before:
    try:
        return _Before(**json.loads((repository.ours / _STATE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        raise HooksUnchanged(
            f"{repository.ours / _STATE} cannot be read. Set core.hooksPath yourself and remove that directory."
        ) from None


def _leads_to_ours(repository: Repository) -> bool:
    return bool(repository.hooks) and os.path.realpath(repository.hooks) == os.path.realpath(repository.ours)


def _is_ours(hook: Path) -> bool:
    try:
        return _MARK in hook.read_text("utf-8", "replace") if hook.is_file() else False
    except OSError:
        return False


def _check_whole(hook: Path) -> None:
    """Raise HooksUnchanged for a hook of ours that somebody has added lines to."""
    text = hook.read_text("utf-8", "replace")
    if not (text.startswith(f"#!/bin/sh\n{_MARK}\n") and text.endswith(_END)):
        raise HooksUnchanged(f"{hook} was changed by hand. Take localguard's lines out of it yourself.")


def _write(path: Path, text: str) -> None:
    """Write an executable file in one step: a commit that is under way reads the old one or the new one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, "utf-8", newline="\n")
    new.chmod(0o755)
    new.replace(path)


def _in(hooks: str, name: str) -> str:
    return f"{quote(hooks)}/{name}"


def _script(database: Path, hooks: str | None, more: str = "") -> str:
    """The hook. It runs the former one first, whose no stands, and fails for nothing else."""
    former = more + (_FORMER.format(former=_in(hooks, HOOK)) if hooks is not None else "")
    python = " ".join(map(quote, (sys.executable, "-P", "-m", "localguard.cli.trailers", str(database))))
    return (
        _SCRIPT.replace("@MARK@", _MARK)
        .replace("@FORMER@", former)
        .replace("@TRAILERS@", python)
        .replace("@END@", _END)
    )


_RUNNER = """#!/bin/sh
{mark}
[ -x {former} ] || exit 0
exec {former} "$@"
"""
_FORMER = """if [ -x {former} ]; then
    {former} "$@" || exit $?
fi
"""
_SCRIPT = r"""#!/bin/sh
@MARK@
@FORMER@add() {
    # an empty message ends the commit: trailers must not fill it
    sed '/^. -\{8,\} >8 -\{8,\}$/,$d' "$1" | git stripspace --strip-comments | grep -q . || return 0
    tree=$(git rev-parse --show-toplevel) || return 0
    limit=
    command -v timeout >/dev/null && limit='timeout 5'
    lines=$($limit @TRAILERS@ "$tree") || return 0
    [ -n "$lines" ] || return 0
    set -f
    IFS='
'
    for line in $lines; do
        set -- "$@" --trailer "$line"
    done
    file=$1
    shift
    git interpret-trailers --in-place --no-divider --if-exists addIfDifferent "$@" "$file"
}
(add "$1") </dev/null >/dev/null 2>&1
@END@"""


def _git(directory: Path, *arguments: str) -> str | None:
    """The output of a git command, None where it fails."""
    output = git_output(directory, *arguments)
    return None if output is None else os.fsdecode(output).rstrip("\n")
