"""What can go wrong at the crossing.

GatewayError
├── LinkError                 the other side of a link
│   ├── LinkDown              upstream.down             certainly not delivered
│   ├── LinkTimeout           upstream.timeout          no answer in time; may have acted
│   ├── LinkGarbage           upstream.garbage          no well-formed answer; may have acted
│   ├── LinkLost              upstream.unknown_outcome  the connection ended before the answer
│   └── LinkRefused           upstream.refused          the upstream itself said no
├── AddressRefused            upstream.address          a link may not lead there
├── SandboxMissing            sandbox.missing           a local server would see what it must not
├── ToolUnknown               tool.unknown              no such tool for this caller
├── ToolChanged               tool.changed              not the definition that was accepted
├── SchemaRefused             tool.schema               a schema that cannot be checked against
├── NameRefused               tool.name                 a name that another could be mistaken for
├── ArgumentsInvalid          args.invalid | args.unknown_field
└── LockUnreadable            catalogue.lock            the catalogue lock is malformed

Messages name servers, tools and paths; never a secret, a token, an argument's value or a body.
"""

from typing import ClassVar, Literal


class GatewayError(Exception):
    """The base of all errors of this package; `code` is stable and public."""

    code: str = "gateway"


class LinkError(GatewayError):
    """An upstream could not be used.

    acted  False: the call was certainly not delivered; None: the upstream may have acted on it
    """

    acted: ClassVar[Literal[False] | None] = None

    def __init__(self, server: str, message: str) -> None:
        super().__init__(f"{server}: {message}")
        self.server = server


class LinkDown(LinkError):
    """The server is not reachable; no byte of the call was sent."""

    code = "upstream.down"
    acted = False


class LinkTimeout(LinkError):
    """The call was sent and no answer came in time."""

    code = "upstream.timeout"


class LinkGarbage(LinkError):
    """The server answered something that is not a well-formed answer to the call."""

    code = "upstream.garbage"


class LinkLost(LinkError):
    """The connection or the process ended after the call was sent and before its answer came."""

    code = "upstream.unknown_outcome"


class LinkRefused(LinkError):
    """The server answered with a JSON-RPC error.

    error_code     the upstream's number
    error_message  the upstream's own words: untrusted text, and no part of this error's message
    """

    code = "upstream.refused"

    def __init__(self, server: str, error_code: int, error_message: str) -> None:
        super().__init__(server, f"refused with JSON-RPC error {error_code}")
        self.error_code, self.error_message = error_code, error_message


class AddressRefused(GatewayError):
    """A link may not lead to this address."""

    code = "upstream.address"


class SandboxMissing(GatewayError):
    """There is nothing to confine a local server with."""

    code = "sandbox.missing"


class ToolUnknown(GatewayError):
    """No registered server offers such a tool."""

    code = "tool.unknown"


class ToolChanged(GatewayError):
    """The definition of a tool is not the one that was accepted."""

    code = "tool.changed"


class SchemaRefused(GatewayError):
    """The input schema of a tool cannot be used to check arguments."""

    code = "tool.schema"


class NameRefused(GatewayError):
    """A server or tool has a name that is malformed, or too like another's."""

    code = "tool.name"


class ArgumentsInvalid(GatewayError):
    """The arguments do not fit the tool's schema.

    code  args.unknown_field when a field is not part of the schema, else args.invalid
    path  JSON pointer to what is wrong, "" for the arguments as a whole
    """

    code = "args.invalid"

    def __init__(self, message: str, *, path: str, unknown_field: bool = False) -> None:
        super().__init__(message)
        self.path = path
        if unknown_field:
            self.code = "args.unknown_field"


class LockUnreadable(GatewayError):
    """The catalogue lock cannot be read as one."""

    code = "catalogue.lock"
