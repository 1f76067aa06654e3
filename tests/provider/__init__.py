"""A scripted model provider on loopback: what the project's own tests have in place of the real ones."""
