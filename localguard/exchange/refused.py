"""Why a request is not passed on."""

from localguard.errors import LocalguardError


class RequestRefused(LocalguardError):
    """The request may not be passed on. `code` and `status` follow the refusal table; no raw value in `reason`."""

    def __init__(self, status: int, code: str, rule: str, reason: str, next_step: str) -> None:
        super().__init__(f"{rule}: {reason}")
        self.status = status
        self.code = code
        self.rule = rule
        self.reason = reason
        self.next_step = next_step
