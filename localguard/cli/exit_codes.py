"""Exit codes of every command, and the one table from errors to them.

Errors are named, not imported: a command that fails early must not load what it never used.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from localguard.errors import LocalguardError


class ExitCode(IntEnum):
    """What the exit code of a command says (design section 5)."""

    DONE = 0
    FOUND = 1
    """Found something, or refused to do it."""
    WRONG_USE = 2
    UNREACHABLE = 3
    """The guard is not reachable."""


class WrongUse(LocalguardError):
    """The command was called with something that cannot be right; the message says what would be."""


class NotReachable(LocalguardError):
    """No guard of this home answers on the port; the message says what was tried and how to start one."""


EXIT_CODES: Mapping[str, ExitCode] = MappingProxyType(
    {
        "WrongUse": ExitCode.WRONG_USE,
        "EndpointInvalid": ExitCode.WRONG_USE,
        "EndpointTaken": ExitCode.WRONG_USE,
        "EndpointMissing": ExitCode.WRONG_USE,
        "KeyUnknown": ExitCode.WRONG_USE,
        "KeyInvalid": ExitCode.WRONG_USE,
        "KeyNotTrusted": ExitCode.WRONG_USE,
        "NotAllowed": ExitCode.WRONG_USE,
        "SettingInvalid": ExitCode.WRONG_USE,
        "AgreementInvalid": ExitCode.WRONG_USE,
        "NoSuchDevice": ExitCode.WRONG_USE,
        "PolicyNotServed": ExitCode.WRONG_USE,
        "ServingInvalid": ExitCode.WRONG_USE,
        "StoreUnavailable": ExitCode.UNREACHABLE,
        "HooksUnchanged": ExitCode.WRONG_USE,
        "NotReachable": ExitCode.UNREACHABLE,
        "GuardNotReachable": ExitCode.UNREACHABLE,
        "GuardNotOurs": ExitCode.UNREACHABLE,
        "GuardAnswered": ExitCode.FOUND,
        "LocalguardError": ExitCode.FOUND,
    }
)
"""Name of an error class to the exit code; a class that is not named takes that of its nearest parent which is."""


def exit_code_for(error: LocalguardError) -> ExitCode:
    """Return the exit code of an error: its class's, else its nearest parent's in `EXIT_CODES`."""
    return next(EXIT_CODES[parent.__name__] for parent in type(error).__mro__ if parent.__name__ in EXIT_CODES)
