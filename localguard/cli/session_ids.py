"""Which session somebody means by the beginning of its id."""

from typing import TYPE_CHECKING

from localguard.cli.exit_codes import WrongUse

if TYPE_CHECKING:
    from localguard.audit.queries import Log


def session_id(log: "Log", beginning: str) -> str:
    """The id of the session that is meant. Raises WrongUse for none, or several."""
    found = log.session_ids(beginning, 2)
    if beginning in found:
        return beginning
    if not found:
        raise WrongUse("The log has no session whose id begins so. `localguard session list` shows the latest ones.")
    if len(found) > 1:
        raise WrongUse("Several sessions' ids begin so. Give more of it.")
    return found[0]
