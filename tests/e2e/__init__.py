"""End to end: real clients and agents, a real guard process, a real provider on loopback."""
