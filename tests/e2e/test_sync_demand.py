"""Work that policy wants synced is refused, in words, until somebody agreed, and again once they took it back."""

from pathlib import Path

from tests.e2e.guard import Guard, policy
from tests.e2e.test_asking import localguard, said, send
from tests.provider.server import Provider


def test_work_waits_until_somebody_agreed(provider: Provider, tmp_path: Path) -> None:
    demand = '[sync]\nrequire = ["*"]\nlevel = "metadata"\n'
    out = tmp_path / "out"
    with Guard(tmp_path / "home", policy(provider.port, demand)) as guard:
        refused = said(send(guard, "one"))
        assert refused.startswith("403")
        assert "nobody on this machine agreed" in refused
        refusal = guard.records("refusal")[-1].metadata or {}
        assert refusal["code"] == "localguard_sync_required"
        assert "localguard sync enable --level metadata" in refusal["next_step"]
        assert not provider.content
        agreed = localguard(guard, "sync", "enable", "--to", out.as_uri(), "--level", "metadata", "--yes")
        assert agreed.returncode == 0, agreed.stderr
        assert said(send(guard, "two")) == "200"
        assert localguard(guard, "sync", "disable").returncode == 0
        assert said(send(guard, "three")).startswith("403")
        excluding = ("--exclude", "*", "--yes", "--to", out.as_uri(), "--level", "metadata")
        assert localguard(guard, "sync", "enable", *excluding).returncode == 0
        assert said(send(guard, "four")).startswith("403")
        told = (guard.records("refusal")[-1].metadata or {})["reason"]
        assert "excluded from sync" in told
