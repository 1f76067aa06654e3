"""Turning placeholders back in replies: prose, tool-call arguments and free-text tool input, streamed or whole."""

from localguard.redact.arguments import ArgumentsRestorer, restore_arguments_json, restore_arguments_object
from localguard.redact.freeform import FreeformRestorer, restore_freeform
from localguard.redact.prose import ProseRestorer, restore_prose
from localguard.redact.report import PlaceholderKept, Report, UnknownPlaceholder, Withheld

__all__ = [
    "ArgumentsRestorer",
    "FreeformRestorer",
    "PlaceholderKept",
    "ProseRestorer",
    "Report",
    "UnknownPlaceholder",
    "Withheld",
    "restore_arguments_json",
    "restore_arguments_object",
    "restore_freeform",
    "restore_prose",
]
