"""The one root error. Each module defines its own errors beside the code that raises them."""


class LocalguardError(Exception):
    """Everything that localguard raises on purpose.

    Messages give the place, the kind and what to do next, and never a raw value.
    """
