"""Opt-in sync: batches of the log for a central store, and where they go."""
