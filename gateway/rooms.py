"""The rooms of a gateway that a call passes through."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.approval.approvals import Approvals
from gateway.calls import Calls
from gateway.epoch import Epoch
from gateway.flow import Flow
from gateway.guard.watch import Watch
from gateway.identity.revocation import Revocations
from gateway.links.link import Link
from gateway.metrics import Metrics
from gateway.recorder import Recorder
from gateway.refusals import Refusals
from gateway.session.limits import Limits
from gateway.session.opening import Openings
from gateway.session.sessions import Sessions
from gateway.sharing import Sharing
from gateway.world import Worlds


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the gate works with; all of it lives as long as the gateway.

    watch       counts what agents do against the guards
    sharing     asks the fleet for more of a limit; None: there is no fleet
    digest_key  32 bytes; keys the digests by which equal arguments are recognised
    """

    recorder: Recorder
    sessions: Sessions
    openings: Openings
    approvals: Approvals
    calls: Calls
    limits: Limits
    flow: Flow
    refusals: Refusals
    revocations: Revocations
    epoch: Epoch
    worlds: Worlds
    links: Mapping[str, Link]
    metrics: Metrics
    watch: Watch
    sharing: Sharing | None
    digest_key: bytes
