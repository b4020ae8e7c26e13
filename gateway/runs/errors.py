"""What can be wrong with a run, beside what the gate refuses."""

from gateway.errors import GatewayError


class RunRefused(GatewayError):
    """A run cannot be started, or not be led where it was to go; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
