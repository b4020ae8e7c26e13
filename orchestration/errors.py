"""What can go wrong in orchestration, beside what the gate says to a step.

OrchestrationError (GatewayError)
├── FlowInvalid     flow.invalid     a flow file or flow that cannot be
├── EngineRefused   engine.refused   the engine cannot run here
└── SealBroken      engine.seal      a stored value is not what was stored at this place

How a run ends early is no error of these: see `orchestration.stop`.
"""

from gateway.errors import GatewayError


class OrchestrationError(GatewayError):
    """The base of all errors of this package; `code` is stable and public."""

    code: str = "orchestration"


class FlowInvalid(OrchestrationError):
    """A flow is not well-formed, or names what there is not. The message says where."""

    code = "flow.invalid"


class EngineRefused(OrchestrationError):
    """The engine cannot be started in this process."""

    code = "engine.refused"


class SealBroken(OrchestrationError):
    """A value of the database cannot be opened, or belongs to another run, step or argument."""

    code = "engine.seal"
