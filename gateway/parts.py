"""Parts: the opened rooms of a gateway, of which its two applications are made."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.activation import Activation
from gateway.evidence import Evidence
from gateway.fleet import Fleet
from gateway.home import Home
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.rotation import Rotation
from gateway.notation import milliseconds
from gateway.operator.credentials import Operators
from gateway.operator.login_codes import LoginCodes
from gateway.rooms import Rooms
from gateway.runs.service import RunService
from gateway.runs.tasks import Tasks
from gateway.settings import Settings
from gateway.state import State
from gateway.triggers.triggers import Triggers
from gateway.undo.taking_back import TakingBack
from gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Parts:
    """What both applications are made of.

    codes         one-time codes with which operators log in
    show_code     brings a code before the eyes of the one person of a development gateway
    """

    settings: Settings
    home: Home
    evidence: Evidence
    keys: KeySet
    rotation: Rotation
    state: State
    upstream: Upstream
    activation: Activation
    rooms: Rooms
    operators: Operators
    mint: Mint
    runs: RunService | None
    tasks: Tasks | None
    undo: TakingBack
    triggers: Triggers | None
    fleet: Fleet | None
    codes: LoginCodes
    show_code: Callable[[str], None] | None
    users_by_name: bool

    @property
    def skew_s(self) -> int:
        """How far clocks may be apart, in seconds."""
        return milliseconds(self.settings.identity.tokens.skew) // 1000

    def now_s(self) -> int:
        """Seconds since 1970, by the log's clock."""
        return self.rooms.recorder.now() // 1_000_000
