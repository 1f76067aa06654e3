"""A hostile reviewer: values that must not get out, through a real guard process."""
