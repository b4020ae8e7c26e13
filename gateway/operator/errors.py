"""What an operator's request can be refused for.

GatewayError
└── OperatorRefused   operator.<reason> | auth.<reason>
"""

from gateway.errors import GatewayError


class OperatorRefused(GatewayError):
    """A request on the operators' listener is refused; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
