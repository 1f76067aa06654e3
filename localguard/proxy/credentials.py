"""Where each provider wants its key: the header that carries a key of the guard's own."""

from localguard.config.credential_commands import is_bearer_token


def credential_headers(kind: str, path: str, key: str) -> list[tuple[str, str]]:
    """The header for `key` at an endpoint of this kind (providers' references, read November 2026)."""
    if is_bearer_token(key):  # of Entra and other identity providers
        return [("Authorization", f"Bearer {key}")]
    if kind == "anthropic" or (kind == "foundry" and "/anthropic/" in path):
        return [("x-api-key", key)]
    if kind in ("azure-openai", "foundry"):
        return [("api-key", key)]
    if kind == "gemini":
        return [("x-goog-api-key", key)]
    return [("Authorization", f"Bearer {key}")]
