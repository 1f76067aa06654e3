"""Policy files on disk: reading them safely, and following their changes.

A file that cannot be used never loosens anything: the last good policy stays in force, and where there was none yet, a
layer that denies everything and says why.
"""

import asyncio
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from localguard.config.builtin import builtin_layer
from localguard.config.home import Home, without_waiting
from localguard.config.policy_problems import PolicyInvalid, PolicyProblem
from localguard.config.workspaces import REPOSITORY_FILE
from localguard.policy.model import Effect, Layer, LayerName, Rule

__all__ = [
    "PolicyInvalid",
    "PolicyProblem",
    "PolicyWatcher",
    "RepositoryPolicies",
    "load_layers",
    "load_policy",
    "refusing_layer",
]

_MAX_POLICY = 1 << 20
"""Bytes; the policy of a large company (1,000 rules) is a fifth of this."""
_SETTLE_SECONDS = 0.1
"""A file must look the same this long before it is read: an editor that writes in place is given time to finish."""
_RECHECK_SECONDS = 2.0
"""How often the file is looked at even without a notice: network file systems and replaced directories give none."""
_GAP_SECONDS = 1.0
_REMEMBERED_REPOSITORIES = 256

_Signature = tuple[int, int, int, int] | None


def load_policy(path: Path, name: LayerName = LayerName.USER) -> Layer:
    """Return the layer of a policy file; the built-in policy where the user's file does not exist.

    Raises PolicyInvalid for whatever keeps it from being used: no regular file, a loop of links, unreadable, larger than
    1 MiB, not UTF-8, not TOML, or not a policy. Blocking: a few milliseconds, more at the first call (pydantic loads).
    """
    try:
        data = _read(path)
    except FileNotFoundError:
        if name is LayerName.USER and not path.is_symlink():
            return builtin_layer()
        raise PolicyInvalid([PolicyProblem(str(path), 1, "", "The file does not exist.")]) from None
    from localguard.config.policy_parser import parse_policy  # pydantic: only where there is a file

    return parse_policy(data, str(path), name)


def load_layers(home: Home) -> tuple[Layer, ...]:
    """Return the layers of organisation and user as the files say them now. Raises PolicyInvalid; blocking."""
    organisation = _load_organisation(home)
    user = load_policy(home.policy_file)
    return (user,) if organisation is None else (organisation, user)


def _load_organisation(home: Home) -> Layer | None:
    if not os.path.lexists(home.organisation_file) and not (home.state_dir / "trust.json").exists():
        return None
    from localguard.config.organisation import load_organisation  # cryptography: only where an organisation is known

    return load_organisation(home, _read)


def _read(path: Path) -> bytes:
    def unusable(message: str) -> PolicyInvalid:
        return PolicyInvalid([PolicyProblem(str(path), 1, "", message)])

    try:
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise unusable("This is no regular file.")
            data = file.read(_MAX_POLICY + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unusable(f"The file cannot be read ({error.strerror}).") from None
    if len(data) > _MAX_POLICY:
        raise unusable("The file is larger than 1 MiB, which no policy needs.")
    return data


def refusing_layer(error: PolicyInvalid, name: LayerName = LayerName.USER) -> Layer:
    """Return a layer that denies everything because its file is broken, saying where; its endpoints are the built-in ones."""
    more = len(error.problems) - 1
    others = f" (and {more} more)" if more else ""
    return Layer(
        name=name,
        default=Effect.DENY,
        rules=(
            Rule(
                id="policy-invalid",
                effect=Effect.DENY,
                reason=f"The {name} policy file cannot be used: {error.problems[0]}{others}",
                file=error.file,
                line=error.line,
            ),
        ),
        endpoints=builtin_layer().endpoints if name is LayerName.USER else (),
        file=error.file,
    )


class RepositoryPolicies:
    """The `.localguard.toml` of repositories, read once per change. Not for concurrent use."""

    def __init__(self) -> None:
        self._held: OrderedDict[Path, tuple[_Signature, Layer | None]] = OrderedDict()

    def layer_for(self, root: Path) -> Layer | None:
        """Return the layer of the repository at `root`, None if it has no policy file.

        A file that cannot be used, or a link that leads out of the repository, gives a layer that denies everything and
        says why. One `stat` where nothing changed; blocking.
        """
        path = root / REPOSITORY_FILE
        signature = _signature(path)
        held = self._held.get(root)
        if held is not None and held[0] == signature:
            self._held.move_to_end(root)
            return held[1]
        layer = None if signature is None else self._load(root, path)
        self._held[root] = (signature, layer)
        while len(self._held) > _REMEMBERED_REPOSITORIES:
            self._held.popitem(last=False)
        return layer

    @staticmethod
    def _load(root: Path, path: Path) -> Layer:
        try:
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                raise PolicyInvalid(
                    [PolicyProblem(str(path), 1, "", "This is a link that leads out of the repository.")]
                )
            return load_policy(path, LayerName.REPOSITORY)
        except PolicyInvalid as error:
            return refusing_layer(error, LayerName.REPOSITORY)


def _signature(path: Path) -> _Signature:
    """Return what changes when the file changes; None where there is none. A broken link counts as a file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0, 0, 0) if path.is_symlink() else None
    except OSError:
        return (0, 0, 0, 1)
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


class _Followed:
    """One policy file as it was last seen, and what is in force of it."""

    def __init__(
        self, path: Path, load: Callable[[], Layer | None], name: LayerName, beside: Path | None = None
    ) -> None:
        self.path = path
        self._beside = beside
        """Another file that decides whether this one counts."""
        self.load = load
        self.name = name
        self.seen: tuple[_Signature, _Signature] = (None, None)
        self.layer: Layer | None = None
        self.error: PolicyInvalid | None = None

    def begin(self) -> None:
        """Read it for the first time; what cannot be used refuses everything."""
        self.seen = self._now()
        try:
            self.layer, self.error = self.load(), None
        except PolicyInvalid as error:
            self.layer, self.error = refusing_layer(error, self.name), error

    async def settled(self) -> tuple[_Signature, _Signature]:
        """Return the files' signatures once they have stopped changing."""
        signature = self._now()
        while signature != self.seen:
            await asyncio.sleep(_SETTLE_SECONDS)
            again = self._now()
            if again == signature:
                break
            signature = again
        return signature

    def _now(self) -> tuple[_Signature, _Signature]:
        return _signature(self.path), None if self._beside is None else _signature(self._beside)


class PolicyWatcher:
    """Keeps the policies of organisation and user current. `layers` is what is in force, `error` why the newest file is not.

    The directories of the files and of what they link to are watched, so that atomic replacement is seen. `on_change` is
    called on the event loop with the layers after each change; a user's file that vanishes for good brings the built-in
    policy back, an organisation's that vanishes stays in force.
    """

    def __init__(
        self,
        home: Home,
        on_change: Callable[[tuple[Layer, ...]], None],
        on_error: Callable[[PolicyInvalid], None] | None = None,
    ) -> None:
        self._user = _Followed(home.policy_file, lambda: load_policy(home.policy_file), LayerName.USER)
        self._organisation = _Followed(
            home.organisation_file,
            lambda: _load_organisation(home),
            LayerName.ORGANISATION,
            beside=home.state_dir / "trust.json",
        )
        self._followed = (self._organisation, self._user)
        self._on_change = on_change
        self._on_error = on_error
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def layer(self) -> Layer:
        """The user's layer; the built-in one before `load`."""
        return self._user.layer or builtin_layer()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers in force, the organisation's first."""
        organisation = self._organisation.layer
        return (self.layer,) if organisation is None else (organisation, self.layer)

    @property
    def error(self) -> PolicyInvalid | None:
        """What is wrong with the newest file of either."""
        return self._organisation.error or self._user.error

    def load(self) -> Layer:
        """Read the files for the first time and return the user's layer; blocking, never raises PolicyInvalid."""
        for followed in self._followed:
            followed.begin()
        return self.layer

    async def start(self) -> None:
        """Follow changes from now on; call `load` before."""
        self._task = asyncio.create_task(self._follow(), name="policy-watcher")

    async def close(self) -> None:
        """Stop following; returns when the watching thread has ended."""
        self._stop.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        from watchfiles import awatch  # 20 ms that the start of a guard does not need

        while not self._stop.is_set():
            directories = self._directories()
            present = [directory for directory in directories if directory.is_dir()]
            if not present:
                await self._pause(_RECHECK_SECONDS)
                continue
            try:
                async for _ in awatch(
                    *present,
                    watch_filter=None,
                    debounce=50,
                    step=20,
                    recursive=False,
                    stop_event=self._stop,
                    rust_timeout=int(_RECHECK_SECONDS * 1000),
                    yield_on_timeout=True,
                ):
                    await self._check_all()
                    if self._directories() != directories:
                        break  # the link leads elsewhere now
            except (OSError, RuntimeError):  # a watched directory vanished, or no more watches: fall back to looking
                await self._check_all()
                await self._pause(_RECHECK_SECONDS)

    def _directories(self) -> set[Path]:
        paths = [followed.path for followed in self._followed]
        return {place for path in paths for place in (path.parent, Path(os.path.realpath(path)).parent)}

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _check_all(self) -> None:
        for followed in self._followed:
            await self._check(followed)

    async def _check(self, followed: _Followed) -> None:
        signature = await followed.settled()
        if signature[0] is None and followed.seen[0] is not None:
            # between deleting and writing anew, an editor leaves a gap
            await asyncio.sleep(_GAP_SECONDS)
            signature = await followed.settled()
        if signature == followed.seen:
            return
        followed.seen = signature
        try:
            layer = await asyncio.to_thread(followed.load)
        except PolicyInvalid as error:
            followed.error = error
            if self._on_error is not None:
                self._on_error(error)
            return
        followed.error = None
        if (layer and layer.digest) != (followed.layer and followed.layer.digest):
            followed.layer = layer
            self._on_change(self.layers)
