"""What the operators' API works with: the rooms of a running gateway, handed over as one value.

The command line and the console reach the same rooms through the same API; there is no second way
to approve, activate, end or read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from audit.index import Index
from audit.log import Log
from gateway.activation import Activation
from gateway.catalogue.review import Review
from gateway.epoch import Epoch
from gateway.fleet import Fleet
from gateway.flow import Flow
from gateway.home import Home
from gateway.identity.authorizing import Authorizing
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.rotation import Rotation
from gateway.identity.tokens import TokenCheck
from gateway.identity.user_proof import UserProofs
from gateway.links.connecting import Connecting
from gateway.metrics import Scrape
from gateway.operator.bell import Bell
from gateway.operator.credentials import Operators
from gateway.operator.ways_in import WaysIn
from gateway.recorder import Recorder
from gateway.refusals import Refusals
from gateway.runs.service import RunService
from gateway.session.opening import Openings
from gateway.settings import Settings
from gateway.sharing import Sharing
from gateway.state import State
from gateway.triggers.triggers import Triggers
from gateway.undo.taking_back import TakingBack
from gateway.world import Worlds


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an operator may look at or act on.

    bell          wakes who follows what happens; closed before the listener is, to end them
    runs          starts flows; None: there are none
    undo          takes back what calls did
    triggers      start runs by themselves; None: there is nothing that runs flows
    connecting    ends what people let agents use; None: there is nothing of that kind
    authorizing   ends what people let applications do
    users         takes the tokens of users for whom operators speak
    users_by_name  whether operators name users without such a token, as in development
    ways_in       how operators get in with a browser
    random        so many bytes that nobody can guess
    """

    settings: Settings
    home: Home
    log: Log
    index: Index
    recorder: Recorder
    refusals: Refusals
    state: State
    openings: Openings
    worlds: Worlds
    flow: Flow
    epoch: Epoch
    activation: Activation
    review: Review
    mint: Mint
    bell: Bell
    runs: RunService | None
    undo: TakingBack
    triggers: Triggers | None
    tokens: TokenCheck
    keys: KeySet
    rotation: Rotation
    operators: Operators
    connecting: Connecting | None
    authorizing: Authorizing
    fleet: Fleet | None
    sharing: Sharing | None
    users: UserProofs
    users_by_name: bool
    ways_in: WaysIn
    scrape: Scrape
    vkey: str
    version: str
    link_states: Callable[[], dict[str, str]]
    random: Callable[[int], bytes]
