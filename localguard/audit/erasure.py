"""Erasing a workspace's fingerprints: the record that it leaves. The key itself is `config.fingerprint_keys`' matter."""

from localguard.audit.fields import ControlMetadata


def erasure_event(workspace: str) -> ControlMetadata:
    """The `metadata` of the record. `workspace` is as the metadata of its records name it: policy's name, else the keyed digest."""
    return {"event": "erase", "detail": {"workspace": workspace, "what": "fingerprint key"}}


def name_in_metadata(workspace_id: str, fingerprint: str) -> str:
    """How records name a workspace in their `metadata`: the name that policy gave it, else a keyed digest, as it says something local."""
    return f"w-{fingerprint}" if workspace_id.startswith(("repo:", "dir:")) else workspace_id
