"""The terminal UI: it asks the control API, as every other client does, and knows nothing else of the guard."""
