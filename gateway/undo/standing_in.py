"""Standing in: the calls of a rollback, in the name of whoever made the call that is taken back.

They are made in a session of the rollback's own, which brings the labels of the old ones along,
with a credential that is good for the one tool, is recorded, and never leaves this process.
"""

import asyncio

from audit.canonical import Json
from audit.value import value_type
from gateway.action import Action, Outcome
from gateway.approval.request import OPEN
from gateway.errors import SessionEnded
from gateway.gate import Gate
from gateway.identity.minting import Mint, Order
from gateway.principal import Principal
from gateway.rooms import Rooms
from gateway.runs.run import request_id
from gateway.session.session import Session
from gateway.undo.deeds import Deed
from gateway.undo.rollback import FACE, Rollback

LIFETIME_S = 7 * 24 * 3600
"""How long people have, at most, to answer what a rollback asks them."""

AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before further attempts at a call for which something was away: nothing was done then."""

_AGAIN = frozenset({"policy.changed"})
_EXPIRED = Outcome("denied", "approval.expired", "Nobody answered in time; nothing has been done.")
_ENDED = Outcome("denied", SessionEnded.code, "The session of the rollback has ended.")


@value_type
class Call:
    """What a rollback wants done.

    place  where it is made, in the rollback
    key    that of the call which it repeats; None: it repeats none
    """

    tool: str
    args: dict[str, Json]
    place: str
    key: str | None = None


class StandingIn:
    """Makes the calls of rollbacks."""

    def __init__(self, rooms: Rooms, mint: Mint) -> None:
        self._rooms = rooms
        self._gate = Gate(rooms)
        self._mint = mint

    async def make(self, rollback: Rollback, deed: Deed, call: Call) -> Outcome:
        """Make a call, and wait for it however long people take. Raises AuditUnavailable."""
        session = self._session(rollback, deed) or await self._opened(rollback, deed)
        try:
            principal = await self._principal(rollback, deed, session, call.tool)
        except SessionEnded:
            return _ENDED
        server, _, tool = call.tool.partition(".")
        place = request_id(rollback.id, call.place)
        action = Action(server, tool, call.args, FACE, place, None, FACE, call.tool, again=call.key)
        while True:
            outcome = await self._crossed(principal, action)
            if outcome.status != "pending" or outcome.approval is None:
                return outcome
            await self._rooms.approvals.answered(outcome.approval)
            request = self._rooms.approvals.get(outcome.approval)
            if request is None or request.state not in OPEN | {"denied"}:
                return _EXPIRED

    async def leave(self, rollback: Rollback) -> None:
        """End the sessions that a rollback has opened. Raises AuditUnavailable."""
        for session in self._sessions(rollback):
            await self._rooms.sessions.end(session.id, by=_by(rollback))

    async def _crossed(self, principal: Principal, action: Action) -> Outcome:
        for pause in AGAIN_S:
            outcome = await self._crossed_once(principal, action)
            if outcome.status != "unavailable" and outcome.code not in _AGAIN:
                return outcome
            await asyncio.sleep(pause)
        return await self._crossed_once(principal, action)

    async def _crossed_once(self, principal: Principal, action: Action) -> Outcome:
        outcome = await self._gate.cross(principal, action)
        if outcome.call is not None:
            self._gate.delivered(outcome.call)
        return outcome

    async def _principal(
        self, rollback: Rollback, deed: Deed, session: Session, tool: str
    ) -> Principal:
        order = Order(
            agent=deed.agent,
            user=deed.user,
            user_groups=deed.groups,
            chain=deed.chain,
            session=session,
            scopes=(tool,),
            lifetime_s=3600,
            by=_by(rollback),
            source=FACE,
        )
        now_s = self._rooms.recorder.now() // 1_000_000
        return (await self._mint.mint(order, now_s)).principal

    def _session(self, rollback: Rollback, deed: Deed) -> Session | None:
        mine = (
            each
            for each in self._sessions(rollback)
            if (each.agent, each.user) == (deed.agent, deed.user)
        )
        return next(mine, None)

    def _sessions(self, rollback: Rollback) -> list[Session]:
        by = _by(rollback)
        return [each for each in self._rooms.sessions.all() if each.by == by and not each.ended]

    async def _opened(self, rollback: Rollback, deed: Deed) -> Session:
        old = (self._rooms.sessions.get(each) for each in rollback.sessions)
        labels = frozenset[str]().union(*(each.labels for each in old if each is not None))
        return await self._rooms.openings.clean(
            deed.agent, deed.user, by=_by(rollback), lifetime_s=LIFETIME_S, labels=labels
        )


def _by(rollback: Rollback) -> str:
    return f"rollback:{rollback.id}"
