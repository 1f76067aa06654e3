import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import pytest

from localguard.config.builtin import builtin_layer
from localguard.config.home import Home
from localguard.config.peer import Ancestor, Peer
from localguard.config.workspace_tokens import Tokens, TokensDamaged
from localguard.config.workspaces import Workspaces
from localguard.policy.model import Effect, Layer, LayerName, Sensitivity, WorkspaceRule
from tests.config.conftest import GitRun

NOW = "2026-11-22T12:00:00Z"


def workspaces(
    *rules: WorkspaceRule, user_home: Path | None = None, places: Mapping[int, Sequence[Path]] = MappingProxyType({})
) -> Workspaces:
    """`places`: where the tree below a process works."""
    return Workspaces(
        [replace(builtin_layer(), workspaces=rules)],
        user_home=user_home,
        places=lambda pid, besides: places.get(pid, ()),
    )


def peer(cwd: Path | None, *ancestors: Ancestor, name: str = "claude") -> Peer:
    return Peer(100, os.geteuid(), True, None, cwd, name, ancestors=ancestors)


PAYMENTS = WorkspaceRule(
    "payments",
    remotes=("github.com/ACME/pay*",),
    sensitivity=Sensitivity.SENSITIVE,
    cost_bucket="payments-eng",
    tasks=(("incident/*", "incident"), ("docs/*", "docs")),
)


def test_a_repository_without_a_rule_is_an_implicit_workspace_of_internal_sensitivity(repository: Path) -> None:
    found = workspaces().of_peer(peer(repository))
    assert (found.id, found.name) == ("repo:github.com/acme/payments", "github.com/acme/payments")
    assert (found.sensitivity, found.branch, found.root) == (Sensitivity.INTERNAL, "main", repository)
    assert found.attributed


def test_a_repository_without_a_remote_is_known_by_its_root(tmp_path: Path, git: GitRun) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    found = workspaces().of_peer(peer(tmp_path))
    assert (found.id, found.name) == (f"dir:{tmp_path}", tmp_path.name)


def test_a_remote_glob_names_the_work_in_any_case(repository: Path, git: GitRun) -> None:
    git(repository, "checkout", "-q", "-b", "incident/42/db")
    found = workspaces(PAYMENTS).of_peer(peer(repository))
    assert (found.id, found.sensitivity, found.cost_bucket) == ("payments", Sensitivity.SENSITIVE, "payments-eng")
    assert (found.task, found.branch, found.repository) == ("incident", "incident/42/db", "github.com/acme/payments")


def test_the_first_in_file_order_names_and_the_highest_sensitivity_binds(repository: Path) -> None:
    found = workspaces(
        WorkspaceRule("first", remotes=("github.com/*",), sensitivity=Sensitivity.PUBLIC, cost_bucket="a"),
        PAYMENTS,
        WorkspaceRule("third", remotes=("*",), sensitivity=Sensitivity.RESTRICTED),
        WorkspaceRule("other", remotes=("gitlab.com/*",), sensitivity=Sensitivity.RESTRICTED),
    ).of_peer(peer(repository))
    assert (found.name, found.cost_bucket, found.sensitivity) == ("first", "a", Sensitivity.RESTRICTED)


def test_star_crosses_slashes_in_remotes(repository: Path) -> None:
    for glob, matches in (("github.com*", True), ("*/payments", True), ("github.com/acme", False), ("acme/*", False)):
        found = workspaces(WorkspaceRule("x", remotes=(glob,))).of_peer(peer(repository))
        assert (found.name == "x") is matches


def test_any_remote_of_the_repository_may_match(repository: Path, git: GitRun) -> None:
    git(repository, "remote", "set-url", "origin", "https://github.com/somebody/fork")
    git(repository, "remote", "add", "upstream", "https://github.com/acme/payments")
    found = workspaces(PAYMENTS).of_peer(peer(repository))
    assert (found.name, found.repository) == ("payments", "github.com/somebody/fork")


def test_a_repository_inside_another_keeps_the_outer_sensitivity(repository: Path, git: GitRun) -> None:
    inner = repository / "scratch"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    found = workspaces(PAYMENTS).of_peer(peer(inner))
    assert (found.root, found.sensitivity) == (inner, Sensitivity.SENSITIVE)
    assert found.roots == (inner, repository)


@pytest.mark.parametrize(
    ("pattern", "below", "matches"),
    [
        ("~/plans", "plans", True),
        ("~/plans", "plans/deep/er", True),
        ("~/plans/", "plans", True),
        ("~/plans", "plans-other", False),
        ("~/pl*", "plans-other/x", True),
        ("~/plan?", "plans", True),
        ("~/*/secret", "plans/a/secret/b", True),
        ("~/plans/x", "plans", False),
        ("~", "plans", True),
    ],
)
def test_a_path_covers_what_lies_below_it(tmp_path: Path, pattern: str, below: str, matches: bool) -> None:
    place = tmp_path / below
    place.mkdir(parents=True)
    found = workspaces(WorkspaceRule("plans", paths=(pattern,)), user_home=tmp_path).of_peer(peer(place))
    assert (found.name == "plans") is matches
    assert found.attributed is matches
    if matches:
        assert found.root == place


def test_a_configured_path_may_lead_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk" / "plans").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for pattern in ("~/link/plans", "~/link/*"):
        rules = workspaces(WorkspaceRule("plans", paths=(pattern,)), user_home=tmp_path)
        assert rules.of_peer(peer(tmp_path / "disk" / "plans")).name == "plans"


def test_what_cannot_be_attributed_gets_the_highest_configured_sensitivity(tmp_path: Path) -> None:
    found = workspaces(PAYMENTS).of_peer(None)
    assert (found.id, found.sensitivity, found.attributed) == ("unattributed", Sensitivity.SENSITIVE, False)
    assert workspaces().unattributed().sensitivity is Sensitivity.INTERNAL
    assert workspaces(PAYMENTS).of_peer(peer(tmp_path)).id == "unattributed"
    assert workspaces(PAYMENTS).of_peer(peer(None)).id == "unattributed"


def test_another_users_process_attributes_nothing(repository: Path) -> None:
    assert not workspaces().of_peer(replace(peer(repository), same_user=False)).attributed
    assert not workspaces().of_peer(replace(peer(repository), pid=None)).attributed


@pytest.mark.parametrize("name", ["docker-proxy", "sshd", "ssh", "socat", "wslrelay", "code", "cursor", "tmux"])
def test_relays_and_hosts_of_many_workspaces_never_attribute(repository: Path, name: str) -> None:
    assert not workspaces().of_peer(peer(repository, name=name)).attributed
    outside = peer(Path("/"), Ancestor(99, name, repository))
    assert not workspaces().of_peer(outside).attributed
    beyond = peer(Path("/"), Ancestor(99, name, Path("/")), Ancestor(98, "bash", repository))
    assert not workspaces().of_peer(beyond).attributed


def test_the_process_own_directory_beats_its_parents_and_the_nearest_parent_fills_in(
    repository: Path, tmp_path: Path, git: GitRun
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    parents = Ancestor(99, "bash", repository), Ancestor(98, "zsh", other)
    assert workspaces().of_peer(peer(other, *parents)).root == other
    assert workspaces().of_peer(peer(Path("/"), *parents)).root == repository
    assert workspaces().of_peer(peer(None, Ancestor(99, "bash", None), parents[1])).root == other


def test_the_organisations_workspaces_name_before_the_users(repository: Path) -> None:
    organisation = Layer(
        LayerName.ORGANISATION,
        Effect.ALLOW,
        workspaces=(WorkspaceRule("company", remotes=("github.com/acme/*",), sensitivity=Sensitivity.PUBLIC),),
    )
    user = replace(builtin_layer(), workspaces=(PAYMENTS,))
    found = Workspaces([user, organisation]).of_peer(peer(repository))
    assert (found.name, found.sensitivity) == ("company", Sensitivity.SENSITIVE)


def test_a_repository_file_raises_its_own_sensitivity_and_never_lowers_it(repository: Path) -> None:
    rules = workspaces(PAYMENTS)
    found = rules.of_peer(peer(repository))

    def layer(sensitivity: Sensitivity, glob: str = "*") -> Layer:
        rule = WorkspaceRule("mine", remotes=(glob,), sensitivity=sensitivity)
        return Layer(LayerName.REPOSITORY, Effect.ALLOW, workspaces=(rule,))

    raised = rules.tightened(found, [layer(Sensitivity.RESTRICTED)])
    assert (raised.name, raised.sensitivity) == ("payments", Sensitivity.RESTRICTED)
    assert rules.tightened(found, [layer(Sensitivity.PUBLIC)]) == found
    assert rules.tightened(found, [layer(Sensitivity.RESTRICTED, "elsewhere/*")]) == found


class TestSeveralWorkspaces:
    """A process that serves many workspaces is bound by all of them."""

    @pytest.fixture
    def other(self, tmp_path: Path, git: GitRun) -> Path:
        place = tmp_path / "blog"
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
        return place

    def test_an_editor_is_bound_by_the_meet_over_all_that_it_has_open(self, repository: Path, other: Path) -> None:
        found = workspaces(PAYMENTS, places={100: [repository, other]}).of_peer(peer(Path("/"), name="code"))
        assert (found.attributed, found.several, found.sensitivity) == (False, True, Sensitivity.SENSITIVE)
        assert [one.name for one in found.candidates] == ["payments", "blog"]
        assert [one.sensitivity for one in found.candidates] == [Sensitivity.SENSITIVE, Sensitivity.INTERNAL]

    def test_an_editor_that_has_one_open_works_there(self, repository: Path) -> None:
        found = workspaces(PAYMENTS, places={100: [repository, repository / ".git"]}).of_peer(peer(None, name="cursor"))
        assert (found.id, found.several, found.root) == ("payments", False, repository)

    def test_where_an_editor_was_started_can_only_add(self, repository: Path, other: Path) -> None:
        rules = workspaces(PAYMENTS, places={100: [other]})
        assert workspaces(PAYMENTS).of_peer(peer(other, name="code")).id == "unattributed"
        assert rules.of_peer(peer(repository, name="code")).sensitivity is Sensitivity.SENSITIVE
        assert rules.of_peer(peer(other, name="code")).name == "blog"

    def test_the_windows_of_an_editor_are_looked_for_below_its_first_process(self, other: Path) -> None:
        window = peer(
            None, Ancestor(90, "code", None), Ancestor(80, "code", None), Ancestor(70, "bash", None), name="code"
        )
        assert workspaces(places={80: [other]}).of_peer(window).name == "blog"
        assert not workspaces(places={70: [other]}).of_peer(window).attributed

    def test_a_server_started_nowhere_works_where_its_children_do(self, repository: Path, other: Path) -> None:
        rules = workspaces(PAYMENTS, places={100: [repository, other]})
        assert rules.of_peer(peer(Path("/"))).several
        assert workspaces(places={100: [other]}).of_peer(peer(Path("/"))).name == "blog"

    def test_an_agent_keeps_its_workspace_and_is_bound_by_a_more_sensitive_one_that_its_children_work_in(
        self, repository: Path, other: Path
    ) -> None:
        found = workspaces(PAYMENTS, places={100: [other, repository]}).of_peer(peer(other))
        assert (found.name, found.root, found.sensitivity) == ("blog", other, Sensitivity.SENSITIVE)
        assert [one.name for one in found.candidates] == ["blog", "payments"]
        plain = workspaces(PAYMENTS, places={100: [other, repository]}).of_peer(peer(repository))
        assert plain.candidates == (plain,)

    def test_a_repository_file_of_any_candidate_raises_the_sensitivity_of_all(
        self, repository: Path, other: Path
    ) -> None:
        rules = workspaces(PAYMENTS, places={100: [repository, other]})
        found = rules.of_peer(peer(Path("/"), name="code"))
        mine = WorkspaceRule("mine", paths=(str(other),), sensitivity=Sensitivity.RESTRICTED)
        raised = rules.tightened(found, [Layer(LayerName.REPOSITORY, Effect.ALLOW, workspaces=(mine,))])
        assert raised.sensitivity is Sensitivity.RESTRICTED
        assert [one.sensitivity for one in raised.candidates] == [Sensitivity.SENSITIVE, Sensitivity.RESTRICTED]

    def test_a_relay_and_a_terminal_are_bound_by_nothing(self, repository: Path) -> None:
        for name in ("sshd", "tmux", "docker-proxy"):
            assert workspaces(places={100: [repository]}).of_peer(peer(None, name=name)).id == "unattributed"


class TestClaims:
    """What prompts and headers say about place is compared with policy, and only tightens."""

    @pytest.mark.parametrize("path", ["~/plans", "~/plans/deep/er", "~/other/../plans/x"])
    def test_a_claimed_path_names_the_workspaces_that_cover_it(self, tmp_path: Path, path: str) -> None:
        rules = workspaces(WorkspaceRule("plans", paths=("~/plans",)), PAYMENTS, user_home=tmp_path)
        assert [one.name for one in rules.claimed([path], [])] == ["plans"]
        assert [one.name for one in rules.claimed([path.replace("~", str(tmp_path))], [])] == ["plans"]

    @pytest.mark.parametrize("remote", ["git@github.com:Acme/payments.git", "https://github.com/acme/payments"])
    def test_a_claimed_remote_names_the_workspaces_that_match_it(self, remote: str) -> None:
        [found] = workspaces(PAYMENTS).claimed([], [remote])
        assert (found.name, found.sensitivity, found.cost_bucket) == ("payments", Sensitivity.SENSITIVE, "payments-eng")

    def test_other_places_and_nonsense_claim_nothing(self) -> None:
        assert workspaces(PAYMENTS).claimed(["/", "", "relative", "\0", "~x"], ["", "nonsense", "/local"]) == ()

    def test_the_disk_is_not_looked_at(self, repository: Path) -> None:
        def never(directory: Path) -> NoReturn:
            raise AssertionError(directory)

        rules = Workspaces([replace(builtin_layer(), workspaces=(PAYMENTS,))], facts=never)
        assert rules.claimed([str(repository), "/net/elsewhere/x"], []) == ()

    def test_a_claim_raises_and_never_lowers(self, repository: Path) -> None:
        low = WorkspaceRule("blog", remotes=("*/blog",), sensitivity=Sensitivity.PUBLIC)
        rules = workspaces(PAYMENTS, low)
        work, unknown = rules.of_peer(peer(repository)), rules.unattributed()
        claims = rules.claimed([], ["https://github.com/acme/blog"])
        assert work.and_also(claims).sensitivity is Sensitivity.SENSITIVE
        assert unknown.and_also(claims).candidates == (unknown.and_also(claims), *claims)
        blog = replace(work, id="blog", name="blog", sensitivity=Sensitivity.PUBLIC)
        payments = rules.claimed([], ["https://github.com/acme/payments"])
        assert blog.and_also(payments).sensitivity is Sensitivity.SENSITIVE
        assert blog.and_also(claims) is blog
        assert work.and_also(payments) is work


class TestTokens:
    def test_a_token_is_known_by_every_process_of_the_home(self, home: Home, repository: Path) -> None:
        tokens, others = Tokens(home), Tokens(home)
        by_name = tokens.create(workspace="payments", now=NOW)
        by_directory = others.create(directory=repository, now=NOW)
        assert by_name.startswith("lgw_")
        assert len(by_name) == 36
        binding = others.lookup(by_name)
        assert binding is not None
        assert workspaces(PAYMENTS).locate(binding=binding, peer=peer(Path("/"))).id == "payments"
        binding = tokens.lookup(by_directory)
        assert binding is not None
        assert workspaces(PAYMENTS).locate(binding=binding).root == repository
        assert not workspaces().locate(binding=tokens.lookup(by_name)).attributed

    def test_only_hashes_are_stored_and_only_for_the_owner(self, home: Home) -> None:
        token = Tokens(home).create(workspace="x", now=NOW)
        for file in home.state_dir.iterdir():
            assert token.encode() not in file.read_bytes()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        [binding] = Tokens(home).list()
        assert (binding.workspace, binding.created) == ("x", NOW)

    def test_a_revoked_changed_or_foreign_token_is_unknown(self, home: Home, tmp_path: Path) -> None:
        tokens, reader = Tokens(home), Tokens(home)
        token = tokens.create(workspace="x", now=NOW)
        binding = reader.lookup(token)
        assert binding is not None
        changed = token[:-1] + ("A" if token[-1] != "A" else "B")
        for wrong in (changed, token.swapcase(), token + "A", "lgw_", "", "lgw_" + "é" * 32, token + "\n"):
            assert reader.lookup(wrong) is None
        other = Home(tmp_path / "other")
        other.create()
        assert Tokens(other).lookup(token) is None
        assert tokens.revoke(binding.token_id)
        assert not tokens.revoke(binding.token_id)
        assert reader.lookup(token) is None

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"tokens": {"a": {"b": 1}}}', b'{"tokens": 5}', b"\xff"])
    def test_a_damaged_file_accepts_no_token_and_says_so(self, home: Home, content: bytes) -> None:
        token = Tokens(home).create(workspace="x", now=NOW)
        (home.state_dir / "tokens.json").write_bytes(content)
        with pytest.raises(TokensDamaged, match="Move it away"):
            Tokens(home).lookup(token)

    def test_a_token_stands_for_exactly_one_thing(self, home: Home) -> None:
        with pytest.raises(ValueError, match="one workspace or one directory"):
            Tokens(home).create(now=NOW)


def test_a_marker_file_names_the_work_below_it(repository: Path) -> None:
    rule = WorkspaceRule("safe", markers=("infra/prod.tf",), sensitivity=Sensitivity.RESTRICTED)
    below = repository / "service" / "api"
    below.mkdir(parents=True)
    assert workspaces(rule).of_peer(peer(below)).name != "safe"
    (repository / "infra").mkdir()
    (repository / "infra" / "prod.tf").touch()
    found = workspaces(rule).of_peer(peer(below))
    assert (found.name, found.sensitivity) == ("safe", Sensitivity.RESTRICTED)


def test_a_marker_outside_the_repository_marks_nothing_in_it(repository: Path) -> None:
    (repository.parent / ".marked").touch()
    assert workspaces(WorkspaceRule("x", markers=(".marked",))).of_peer(peer(repository)).name != "x"
    assert workspaces(WorkspaceRule("x", markers=(".marked",))).of_peer(peer(repository.parent)).name == "x"


def test_a_marker_neither_renames_known_work_nor_makes_unknown_work_public(repository: Path) -> None:
    free = WorkspaceRule("free", markers=(".oss",), sensitivity=Sensitivity.PUBLIC)
    (repository / ".oss").touch()
    assert workspaces(free).of_peer(peer(repository)).sensitivity is Sensitivity.INTERNAL
    known = workspaces(free, PAYMENTS).of_peer(peer(repository))
    assert (known.name, known.sensitivity) == ("payments", Sensitivity.SENSITIVE)
