"""The central store's service: takes batches of many devices, verifies them, and keeps them in PostgreSQL."""
