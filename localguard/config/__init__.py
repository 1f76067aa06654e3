"""Home directory, policy files, keys, workspaces, git facts and peer processes."""
