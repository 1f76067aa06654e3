"""Which work a request belongs to: from a token, or from the connection's process to directory, repository, workspace.

Rules of attribution (design sections 4 and 6): a token names its workspace; else the connecting process's own working
directory counts, and where that lies in no repository and no configured path, the nearest parent's that does. Relays and
programs that serve many workspaces never attribute. The first workspace in file order names the work, the highest
sensitivity of all that match binds. A git repository that no workspace matches is an implicit workspace, named by its
repository, of sensitivity `internal`. What remains is `unattributed`, at the highest sensitivity that is configured.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import string
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from localguard.config import git
from localguard.config.home import Home, exclusively, write_private
from localguard.config.peer import SHARED_HOSTS, Peer
from localguard.errors import LocalguardError
from localguard.policy.matching import glob_matches
from localguard.policy.model import UNATTRIBUTED, Layer, LayerName, Sensitivity, WorkspaceRule

REPOSITORY_FILE = ".localguard.toml"
"""Name of a repository's policy file, at the top of its working tree."""

TOKEN_PREFIX = "lgw_"  # noqa: S105 - the prefix that all tokens share, no token
_TOKEN_LENGTH = 32
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(r"lgw_[0-9A-Za-z]{32}")


class TokensDamaged(LocalguardError):
    """The file of workspace tokens cannot be read; no token is accepted until it is repaired or moved away."""


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

    @property
    def attributed(self) -> bool:
        """Whether the caller could be attributed."""
        return self.id != UNATTRIBUTED


@dataclass(frozen=True, slots=True)
class Binding:
    """What a workspace token stands for: a configured workspace's name or a directory."""

    token_id: str
    """First characters of the token's digest: names the token in lists, reveals nothing of it."""
    workspace: str | None
    directory: str | None
    created: str
    """UTC, ISO 8601."""


class Workspaces:
    """Attributes work under one set of layers; make a new one when policy changes. Safe to share between threads."""

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        facts: Callable[[Path], Iterable[git.GitFacts]] = git.enclosing,
        user_home: Path | None = None,
    ) -> None:
        ordered = sorted(layers, key=lambda layer: layer.name.rank)
        self._user_home = user_home or Path.home()
        self._facts = facts
        self._rules = [
            _Places(rule, self._user_home)
            for layer in ordered
            if layer.name is not LayerName.REPOSITORY
            for rule in layer.workspaces
        ]
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
        if peer is None or not peer.same_user or peer.pid is None or peer.is_relay or peer.name in SHARED_HOSTS:
            return self.unattributed()
        found = self.of_directory(peer.cwd) if peer.cwd is not None else None
        if found is not None:
            return found
        for ancestor in peer.ancestors:
            if ancestor.stops_attribution:
                break
            found = self.of_directory(ancestor.cwd) if ancestor.cwd is not None else None
            if found is not None:
                return found
        return self.unattributed()

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
        return Workspace(
            id=name,
            name=name,
            root=None,
            repository=None,
            branch=None,
            commit=None,
            sensitivity=max(rule.sensitivity for rule in rules),
            cost_bucket=rules[0].cost_bucket,
        )

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

    def tightened(self, workspace: Workspace, layers: Iterable[Layer]) -> Workspace:
        """Return the workspace with its sensitivity raised by matching `[[workspaces]]` of repository layers.

        A repository may say that its work is more sensitive; it names nothing and lowers nothing.
        """
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


class Tokens:
    """Workspace tokens, stored as keyed hashes in `state/tokens.json` (0600); the key stands in `state/token.key` (0600).

    Who can read the state directory cannot recover a token, but can add one: tokens keep work apart, not users of the
    same account. Safe to share between threads; other processes' changes are seen at the next look-up.
    """

    def __init__(self, home: Home) -> None:
        self._file = home.state_dir / "tokens.json"
        self._key_file = home.state_dir / "token.key"
        self._lock_file = home.state_dir / "tokens.lock"
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._bindings: dict[str, Binding] = {}

    def create(self, *, workspace: str | None = None, directory: Path | None = None, now: str) -> str:
        """Make a token for a configured workspace or a directory, store its hash durably, and return it this once.

        `now` is UTC in ISO 8601. Raises ValueError unless exactly one of the two is given, TokensDamaged.
        """
        if (workspace is None) == (directory is None):
            raise ValueError("a token stands for one workspace or one directory")
        token = TOKEN_PREFIX + "".join(secrets.choice(_BASE62) for _ in range(_TOKEN_LENGTH))
        place = os.path.realpath(directory) if directory is not None else None
        with self._lock, exclusively(self._lock_file):
            digest = self._digest(token)
            self._load()
            self._bindings[digest] = Binding(digest[:10], workspace, place, now)
            self._store()
        return token

    def lookup(self, token: str) -> Binding | None:
        """Return what a token stands for, None if it is not known. Takes the same time for every unknown token."""
        if not _TOKEN.fullmatch(token):
            return None
        with self._lock:
            self._load()
            if not self._bindings:
                return None
            digest = self._digest(token)
            found = None
            for known, binding in self._bindings.items():
                if hmac.compare_digest(known, digest):
                    found = binding
            return found

    def list(self) -> tuple[Binding, ...]:
        """Return all bindings, oldest first."""
        with self._lock:
            self._load()
            return tuple(sorted(self._bindings.values(), key=lambda binding: binding.created))

    def revoke(self, token_id: str) -> bool:
        """Forget the token with this id; return whether there was one."""
        with self._lock, exclusively(self._lock_file):
            self._load()
            kept = {digest: binding for digest, binding in self._bindings.items() if binding.token_id != token_id}
            if len(kept) == len(self._bindings):
                return False
            self._bindings = kept
            self._store()
            return True

    def _digest(self, token: str) -> str:
        try:
            key = self._key_file.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) != 32:
            key = secrets.token_bytes(32)
            write_private(self._key_file, key)
        return hmac.new(key, token.encode("ascii"), hashlib.sha256).hexdigest()

    def _load(self) -> None:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            self._seen, self._bindings = None, {}
            return
        signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if signature == self._seen:
            return
        try:
            raw = json.loads(self._file.read_bytes())
            self._bindings = {digest: Binding(**entry) for digest, entry in raw["tokens"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TokensDamaged(
                f"{self._file} cannot be read. Move it away and make new tokens with `localguard workspace token`."
            ) from None
        self._seen = signature

    def _store(self) -> None:
        entries = {digest: asdict(binding) for digest, binding in self._bindings.items()}
        write_private(self._file, json.dumps({"version": 1, "tokens": entries}, indent=1).encode())
        found = self._file.stat()
        self._seen = (found.st_mtime_ns, found.st_size, found.st_ino)
