"""The audit log: records, durable store, verification."""
