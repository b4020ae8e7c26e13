"""What can be wrong with a rollback, beside what the gate refuses."""

from gateway.errors import GatewayError


class RollbackRefused(GatewayError):
    """A rollback cannot begin or go on; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
