"""localguard: a local proxy and privacy guard for coding agents."""

__version__ = "0.1.0"
