"""What can go wrong at the crossing.

GatewayError
├── IdentityError             auth.* | oauth.*          drawn in `gateway.identity.errors`
├── LinkError                 the other side of a link
│   ├── LinkDown              upstream.down             certainly not delivered
│   │   └── CredentialRefused upstream.credential       no credential for it was to be had
│   │       └── ConsentNeeded upstream.consent          its user has to let this agent use it
│   ├── LinkTimeout           upstream.timeout          no answer in time; may have acted
│   ├── LinkGarbage           upstream.garbage          no well-formed answer; may have acted
│   │   └── LinkUnsupported   upstream.unsupported      wants input or a task; never offered to it
│   ├── LinkLost              upstream.unknown_outcome  the connection ended before the answer
│   ├── LinkStopped           stopped                   cut short by an operator; may have acted
│   └── LinkRefused           upstream.refused          the upstream itself said no
├── NotUnderstood             upstream.garbage          bytes of an upstream that are no message
├── RequestRefused            request.<reason>          a request that no face reads
├── AddressRefused            upstream.address          a link may not lead there
├── CredentialMissing         credential.missing        a reference to a secret leads nowhere
├── FetchFailed               fetch.failed              somebody else's server gave no answer
│   └── FetchUnreached        fetch.failed              nothing was sent to it
├── TokenRefused              credential.refused        an authorization server gave no token
├── ConnectRefused            connect.refused           a browser that did not come as it was sent
├── SandboxMissing            sandbox.missing           a local server would see what it must not
├── ToolUnknown               tool.unknown              no such tool for this caller
├── ToolChanged               tool.changed              not the definition that was accepted
├── SchemaRefused             tool.schema               a schema that cannot be checked against
├── NameRefused               tool.name                 a name that another could be mistaken for
├── ArgumentsInvalid          args.invalid | args.unknown_field
├── LockUnreadable            catalogue.lock            the catalogue lock is malformed
├── SessionEnded              session.ended             no session of this caller, or it is over
├── MemoryRefused             memory.refused            what is asked of memory cannot be done
├── PurposeInvalid            purpose.invalid           words or tools that are no purpose
├── ApprovalRefused           approval.<reason>         this answer to a request does not count
├── ReviewRefused             server.review             what was reviewed is not what is offered
├── ActivationRefused         policy.<reason>           this policy may not come into force
├── FleetUnavailable          fleet.unavailable         what gateways share cannot be used now
├── StateAhead                state.ahead               the log is older than what is known of it
└── SettingsInvalid           settings.invalid          the deployment file is refused

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


class CredentialRefused(LinkDown):
    """There is no credential with which the server could be asked; nothing was sent to it."""

    code = "upstream.credential"


class ConsentNeeded(CredentialRefused):
    """The person for whom an agent acts has not let it use the server with their own account.

    url  where they can
    """

    code = "upstream.consent"

    def __init__(self, server: str, url: str) -> None:
        super().__init__(server, "its user has not connected this agent")
        self.url = url


class LinkTimeout(LinkError):
    """The call was sent and no answer came in time."""

    code = "upstream.timeout"


class LinkGarbage(LinkError):
    """The server answered something that is not a well-formed answer to the call."""

    code = "upstream.garbage"


class LinkUnsupported(LinkGarbage):
    """The server wants input, or defers to a task: capabilities that were never declared to it."""

    code = "upstream.unsupported"


class LinkLost(LinkError):
    """The connection or the process ended after the call was sent and before its answer came."""

    code = "upstream.unknown_outcome"


class LinkStopped(LinkError):
    """The call was cut short because the rights that it ran with were withdrawn."""

    code = "stopped"


class LinkRefused(LinkError):
    """The server answered with a JSON-RPC error.

    error_code     the upstream's number
    error_message  the upstream's own words: untrusted text, and no part of this error's message
    """

    code = "upstream.refused"

    def __init__(self, server: str, error_code: int, error_message: str) -> None:
        super().__init__(server, f"refused with JSON-RPC error {error_code}")
        self.error_code, self.error_message = error_code, error_message


class NotUnderstood(GatewayError):
    """What an upstream sent is no message by the rules; its link ends with LinkGarbage."""

    code = "upstream.garbage"


class RequestRefused(GatewayError):
    """A request is not one that a face reads: nothing of it reached the gate.

    code  `request.` and the reason (`gateway.faces.problems` has the HTTP status of each)
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AddressRefused(GatewayError):
    """A link may not lead to this address."""

    code = "upstream.address"


class CredentialMissing(GatewayError):
    """There is no usable secret where a reference points. The message names the reference."""

    code = "credential.missing"


class FetchFailed(GatewayError):
    """A request to an issuer of keys or tokens had no usable answer."""

    code = "fetch.failed"


class FetchUnreached(FetchFailed):
    """No connection could be made, so nothing was sent."""


class TokenRefused(GatewayError):
    """An authorization server of an upstream gave no usable token. The message names the server.

    error  its own word for it, where that is a registered one
    """

    code = "credential.refused"

    def __init__(self, message: str, *, error: str | None = None) -> None:
        super().__init__(message)
        self.error = error


class ConnectRefused(GatewayError):
    """Somebody in a browser did not come as they were sent; the message is for them."""

    code = "connect.refused"


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


class SessionEnded(GatewayError):
    """The caller has no such session: unknown, over, ended and another's are all the same."""

    code = "session.ended"


class MemoryRefused(GatewayError):
    """A memory cannot take or give what is asked of it; the message is for the agent."""

    code = "memory.refused"


class PurposeInvalid(GatewayError):
    """What was stated as the purpose of a session is none; the message never repeats it."""

    code = "purpose.invalid"


class ApprovalRefused(GatewayError):
    """An answer to a request for approval does not count; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ReviewRefused(GatewayError):
    """A server no longer offers what was reviewed, or cannot be reached."""

    code = "server.review"


class ActivationRefused(GatewayError):
    """A policy may not come into force; the one before stays. `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FleetUnavailable(GatewayError):
    """What the gateways of a fleet share cannot be read and written now."""

    code = "fleet.unavailable"


class StateAhead(GatewayError):
    """The log is shorter than, or not the one of, the state that was made from it."""

    code = "state.ahead"


class SettingsInvalid(GatewayError):
    """The deployment file is refused; the message names every place."""

    code = "settings.invalid"
