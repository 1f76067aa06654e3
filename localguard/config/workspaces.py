"""Which work a request belongs to: from a token, or from the connection's process to directory, repository, workspace.

Rules of attribution (design sections 4 and 6): a token names its workspace; else the connecting process's own working
directory counts, and where that lies in no repository and no configured path, the nearest parent's that does. A program
that serves many workspaces is attributed by all of those that it and what it started work in: one of them names the work,
several bind it together and none of them names it. Relays never attribute. What prompts and headers say about place can
only add workspaces that bind too, and is compared with the policy's places, never with the disk: a path that a prompt
names may lie on another machine. The first workspace in file order names the work, the highest
sensitivity of all that match binds. A git repository that no workspace matches is an implicit workspace, named by its
repository, of sensitivity `internal`. What remains is `unattributed`, at the highest sensitivity that is configured.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from localguard.config import git
from localguard.config.peer import EDITORS, SHARED_HOSTS, Peer
from localguard.config.process_tree import root_of, working_places
from localguard.config.workspace_tokens import Binding
from localguard.policy.matching import glob_matches
from localguard.policy.model import UNATTRIBUTED, Layer, LayerName, Sensitivity, WorkspaceRule

REPOSITORY_FILE = ".localguard.toml"
"""Name of a repository's policy file, at the top of its working tree."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The work that a request belongs to."""

    id: str
    """Stable name for key derivation: the configured name, `repo:` + repository, `dir:` + root, or `unattributed`."""
    name: str
    root: Path | None
    repository: str | None
    branch: str | None
    commit: str | None
    sensitivity: Sensitivity
    cost_bucket: str | None = None
    task: str | None = None
    """Task category by the workspace's branch rules; a declared task beats it."""
    roots: tuple[Path, ...] = ()
    """The working trees that the work lies in, innermost first: each may hold a repository policy file."""
    remotes: tuple[str, ...] = ()
    beside: "tuple[Workspace, ...]" = ()
    """Others whose work it may be: each binds as if it were this one."""
    several: bool = False
    """It is any of those `beside`, and stands for no work of its own."""

    @property
    def attributed(self) -> bool:
        """Whether the caller could be attributed."""
        return self.id != UNATTRIBUTED

    @property
    def configured(self) -> bool:
        """Whether policy names it, rather than its repository or directory."""
        return self.attributed and not self.id.startswith(("repo:", "dir:"))

    @property
    def candidates(self) -> "tuple[Workspace, ...]":
        """The workspaces that policy is asked about: all must allow."""
        return self.beside if self.several else (self, *self.beside)

    def and_also(self, others: "Iterable[Workspace]") -> "Workspace":
        """This workspace, bound by others too; those that bind it already are left out."""
        binding = {one.id: one.sensitivity for one in self.candidates}
        new = tuple(one for one in others if one.id not in binding or one.sensitivity > binding[one.id])
        if not new:
            return self
        highest = max(self.sensitivity, *(one.sensitivity for one in new))
        return replace(self, beside=(*self.beside, *new), sensitivity=highest)


class Workspaces:
    """Attributes work under one set of layers; make a new one when policy changes. Safe to share between threads."""

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        facts: Callable[[Path], Iterable[git.GitFacts]] = git.enclosing,
        places: Callable[[int, str | None], Iterable[Path]] = working_places,
        user_home: Path | None = None,
    ) -> None:
        ordered = sorted(layers, key=lambda layer: layer.name.rank)
        self._user_home = user_home or Path.home()
        self._facts = facts
        self._places = places
        self._rules = [
            _Places(rule, self._user_home)
            for layer in ordered
            if layer.name is not LayerName.REPOSITORY
            for rule in layer.workspaces
        ]
        self.names = tuple(dict.fromkeys(places.rule.name for places in self._rules))
        """The workspaces that these layers name."""
        self.tasks = frozenset(_tasks(ordered))
        """The task categories that these layers name."""
        configured = [places.rule.sensitivity for places in self._rules]
        self._highest = max(configured, default=Sensitivity.INTERNAL)

    def locate(self, *, peer: Peer | None = None, binding: Binding | None = None) -> Workspace:
        """Return the workspace of a caller: its token's binding if it has one, else what its process shows."""
        if binding is not None:
            return self.of_binding(binding)
        return self.of_peer(peer)

    def of_binding(self, binding: Binding) -> Workspace:
        """Return the workspace that a token stands for; unattributed when policy no longer knows its name."""
        if binding.directory is not None:
            return self.of_directory(Path(binding.directory)) or self.unattributed()
        return self.named(binding.workspace or "") or self.unattributed()

    def of_peer(self, peer: Peer | None) -> Workspace:
        """Return the workspace of a process; see the module's rules. None and other users' processes: unattributed."""
        if peer is None or not peer.same_user or peer.pid is None or peer.is_relay:
            return self.unattributed()
        if peer.name in EDITORS:
            others = self._of_places(root_of(peer) or peer.pid, peer.name)
            started = self.of_directory(peer.cwd) if peer.cwd is not None and others else None
            return self._together([*others, *([started] if started is not None else [])])
        if peer.name in SHARED_HOSTS:
            return self.unattributed()
        found = self._of_own_place(peer)
        if found is None:
            return self._together(self._of_places(peer.pid, None))
        if found.sensitivity >= self._highest:
            return found
        # Its own directory names the work. What it started may work in a more sensitive place that policy knows.
        others = self._of_places(peer.pid, None)
        beside = [one for one in others if one.configured and one.sensitivity > found.sensitivity]
        return found.and_also(beside)

    def _of_own_place(self, peer: Peer) -> Workspace | None:
        found = self.of_directory(peer.cwd) if peer.cwd is not None else None
        for ancestor in peer.ancestors:
            if found is not None or ancestor.stops_attribution:
                return found
            found = self.of_directory(ancestor.cwd) if ancestor.cwd is not None else None
        return found

    def _of_places(self, pid: int, besides: str | None) -> list[Workspace]:
        return [found for place in self._places(pid, besides) if (found := self.of_directory(place)) is not None]

    def _together(self, candidates: Sequence[Workspace]) -> Workspace:
        """The one workspace that all candidates are, or work of no name that all of them bind; unattributed if there are none."""
        different: dict[str, Workspace] = {}
        for one in candidates:
            first = different.setdefault(one.id, one)
            different[one.id] = replace(
                first,
                sensitivity=max(first.sensitivity, one.sensitivity),
                roots=tuple(dict.fromkeys((*first.roots, *one.roots))),
            )
        if len(different) == 1:
            return different.popitem()[1]
        nameless = self.unattributed()
        if not different:
            return nameless
        sensitivity = max(one.sensitivity for one in different.values())
        return replace(nameless, sensitivity=sensitivity, beside=tuple(different.values()), several=True)

    def claimed(self, paths: Iterable[str], remotes: Iterable[str]) -> tuple[Workspace, ...]:
        """Return the configured workspaces that hold one of these places; without a look at the disk.

        `paths` are absolute or begin with `~`, `remotes` in any spelling of git's.
        """
        addresses = [address for remote in remotes if (address := git.normalise_remote(remote)) is not None]
        homes = (str(self._user_home) + path[1:] if path[:2] in ("~", "~/", "~\\") else path for path in paths)
        directories = [Path(os.path.normpath(path)) for path in homes if "\0" not in path]
        found: dict[str, Workspace] = {}
        for places in self._rules:
            rule = places.rule
            if any(places.cover(directory, ()) for directory in directories) or any(
                glob_matches(rule.remotes, address) for address in addresses
            ):
                known = found.get(rule.name)
                highest = rule.sensitivity if known is None else max(rule.sensitivity, known.sensitivity)
                found[rule.name] = _configured(rule, highest)
        return tuple(found.values())

    def of_directory(self, directory: Path) -> Workspace | None:
        """Return the workspace of work in this directory, None if it is in no repository and no configured path."""
        place = Path(os.path.realpath(directory))
        repositories = tuple(self._facts(place))
        remotes = tuple(dict.fromkeys(remote for facts in repositories for remote in facts.remotes))
        roots = tuple(facts.root for facts in repositories)
        named = [places.rule for places in self._rules if places.cover(place, remotes)]
        # whoever writes to a repository can add a marker: it neither renames what is known otherwise nor lowers anything
        marked = [p.rule for p in self._rules if p.rule not in named and p.marked(place, roots)]
        matching = [*named, *marked]
        inner = repositories[0] if repositories else None
        if inner is None and not matching:
            return None
        root = inner.root if inner is not None else place
        repository = inner.repository if inner is not None else None
        branch = inner.branch if inner is not None else None
        workspace = Workspace(
            id=f"repo:{repository}" if repository else f"dir:{root}",
            name=repository or root.name or str(root),
            root=root,
            repository=repository,
            branch=branch,
            commit=inner.commit if inner is not None else None,
            sensitivity=Sensitivity.INTERNAL,
            roots=roots or (root,),
            remotes=remotes,
        )
        if not matching:
            return workspace
        return replace(
            workspace,
            id=matching[0].name,
            name=matching[0].name,
            sensitivity=max([rule.sensitivity for rule in matching] + ([] if named else [Sensitivity.INTERNAL])),
            cost_bucket=matching[0].cost_bucket,
            task=_task(matching, branch),
        )

    def named(self, name: str) -> Workspace | None:
        """Return a configured workspace by its name, without a directory; the highest sensitivity of that name."""
        rules = [places.rule for places in self._rules if places.rule.name == name]
        if not rules:
            return None
        return _configured(rules[0], max(rule.sensitivity for rule in rules))

    def unattributed(self) -> Workspace:
        """Return the workspace of work that cannot be attributed: the highest configured sensitivity."""
        return Workspace(
            id=UNATTRIBUTED,
            name=UNATTRIBUTED,
            root=None,
            repository=None,
            branch=None,
            commit=None,
            sensitivity=self._highest,
        )

    def tightened(self, workspace: Workspace, layers: Sequence[Layer]) -> Workspace:
        """Return the workspace with its sensitivity raised by matching `[[workspaces]]` of repository layers.

        A repository may say that its work is more sensitive; it names nothing and lowers nothing.
        """
        if workspace.beside:
            beside = tuple(self.tightened(one, layers) for one in workspace.beside)
            raised = max(workspace.sensitivity, *(one.sensitivity for one in beside))
            workspace = replace(workspace, beside=beside, sensitivity=raised)
        if workspace.root is None:
            return workspace
        raised = workspace.sensitivity
        for layer in layers:
            if layer.name is LayerName.REPOSITORY:
                for rule in layer.workspaces:
                    places = _Places(rule, self._user_home)
                    if places.cover(workspace.root, workspace.remotes) or places.marked(
                        workspace.root, workspace.roots
                    ):
                        raised = max(raised, rule.sensitivity)
        return workspace if raised is workspace.sensitivity else replace(workspace, sensitivity=raised)


def _tasks(layers: Iterable[Layer]) -> Iterator[str]:
    """What rules ask about, globs aside, and what branches stand for."""
    for layer in layers:
        for workspace in layer.workspaces:
            yield from (task for _, task in workspace.tasks)
        for rule in layer.rules:
            yield from (task for task in rule.when.tasks or () if not set(task) & set("*?"))


def _configured(rule: WorkspaceRule, sensitivity: Sensitivity) -> Workspace:
    """A workspace of which nothing is known but what policy says."""
    return Workspace(
        id=rule.name,
        name=rule.name,
        root=None,
        repository=None,
        branch=None,
        commit=None,
        sensitivity=sensitivity,
        cost_bucket=rule.cost_bucket,
    )


def _task(rules: Sequence[WorkspaceRule], branch: str | None) -> str | None:
    if branch is None:
        return None
    return next((task for rule in rules for glob, task in rule.tasks if glob_matches([glob], branch)), None)


class _Places:
    """A workspace rule with its path globs made absolute, links in their literal part resolved."""

    def __init__(self, rule: WorkspaceRule, user_home: Path) -> None:
        self.rule = rule
        self._paths = tuple(glob for path in rule.paths for glob in _path_globs(path, user_home))

    def cover(self, directory: Path, remotes: Sequence[str]) -> bool:
        if any(glob_matches(self.rule.remotes, remote) for remote in remotes):
            return True
        text = str(directory)
        if sys.platform in ("win32", "darwin"):
            text = text.replace("\\", "/").lower()
        return any(pattern.fullmatch(text) for pattern in self._paths)

    def marked(self, directory: Path, roots: Sequence[Path]) -> bool:
        """Whether a marker stands in the directory, or above it up to the outermost repository that it lies in."""
        if not self.rule.markers:
            return False
        places = [directory]
        if roots and directory.is_relative_to(roots[-1]):
            places += [parent for parent in directory.parents if parent.is_relative_to(roots[-1])]
        return any(os.path.lexists(place / marker) for place in places for marker in self.rule.markers)


def _path_globs(path: str, user_home: Path) -> list[re.Pattern[str]]:
    expanded = str(user_home) + path[1:] if path == "~" or path.startswith(("~/", "~\\")) else path
    literal = re.split(r"[*?]", expanded, maxsplit=1)[0]
    spellings = {expanded}
    if literal == expanded:
        spellings.add(os.path.realpath(expanded))
    else:
        parent = literal.rpartition("/")[0] or "/"
        spellings.add(os.path.realpath(parent).rstrip("/") + expanded[len(parent.rstrip("/")) :])
    return [_path_glob(spelling) for spelling in spellings]


def _path_glob(glob: str) -> re.Pattern[str]:
    """Compile a path glob that covers what lies below it too; letter case counts where the file system minds it."""
    if sys.platform in ("win32", "darwin"):
        glob = glob.replace("\\", "/").lower()
    glob = re.sub(r"\*+", "*", glob.rstrip("/"))
    translated = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    return re.compile(f"{translated}(?:/.*)?", re.DOTALL)
