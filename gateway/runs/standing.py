"""In whose name the steps of a run are made: a credential for each grant, recorded and short-lived.

A run has no token: a grant stands in the log, and what it is good for becomes a principal when a
step needs it, with an entry like that of a token, and is renewed in time.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from audit.canonical import Json
from audit.entry import Receipt
from gateway.errors import SessionEnded
from gateway.identity import scopes
from gateway.identity.delegation import check_chain, lent
from gateway.identity.errors import DelegationRefused, ScopeInvalid
from gateway.identity.minting import ISSUED, Mint, Order
from gateway.principal import Principal
from gateway.rooms import Rooms
from gateway.runs.run import FACE, Grant, Run
from gateway.session.opening import HandedOn
from gateway.session.session import Session

MOST_GRANTS = 2_000
"""In how many names one run can act."""

_TOKEN_S = 3600  # the mint shortens it to what tokens may live
_RENEW_S = 60  # a credential that ends so soon is not used for another step


@dataclass(frozen=True, slots=True)
class _Credential:
    """A principal, and its entry on its way into the log."""

    principal: Principal
    recorded: "asyncio.Future[Receipt]"

    @property
    def is_lost(self) -> bool:
        """Whether its entry did not get there, as far as anybody knows."""
        entry = self.recorded
        return entry.done() and (entry.cancelled() or entry.exception() is not None)

    def is_good(self, now_s: int) -> bool:
        """Whether it may be used for another step."""
        return not self.is_lost and self.principal.expires > now_s + _RENEW_S


class Standing:
    """The principals of the grants of all runs."""

    def __init__(self, rooms: Rooms, mint: Mint) -> None:
        self._rooms = rooms
        self._mint = mint
        self._credentials: dict[tuple[str, str], _Credential] = {}

    async def principal(self, run: Run, path: str) -> Principal:
        """The principal of a grant, with a credential that is recorded, and renewed in time.

        Raises SessionEnded and AuditUnavailable.
        """
        credential = self._credential(run, path)
        await asyncio.shield(credential.recorded)  # others wait for it too
        return credential.principal

    def acting(self, run: Run, path: str) -> Principal:
        """The same for what is recorded itself before it does anything: crossing the gate.

        Its entry stands behind the credential's in the log, and is not durable before that.
        """
        return self._credential(run, path).principal

    def _credential(self, run: Run, path: str) -> _Credential:
        place, now_s = (run.id, path), self._now_s
        known = self._credentials.get(place)
        if known is not None and known.is_good(now_s):
            return known
        grant = run.grants[path]
        session = self._session(grant)
        order = Order(
            agent=grant.agent,
            session=session,
            scopes=grant.scopes,
            lifetime_s=_TOKEN_S,
            by=f"run:{run.id}",
            source=FACE,
            chain=grant.chain,
            hops=grant.hops,
            user=grant.user,
            user_groups=grant.groups,
            bound_to=grant.bound_to,
            renews=None if known is None or known.is_lost else known.principal.token_id,
            root=session.root,
        )
        principal, entry = self._mint.untold(order, now_s)
        recorded = self._rooms.recorder.write(ISSUED, entry)
        self._credentials[place] = _Credential(principal, recorded)
        return self._credentials[place]

    def _session(self, grant: Grant) -> Session:
        session = self._rooms.sessions.get(grant.session)
        if session is None or session.ended:
            raise SessionEnded
        return session

    async def hand_on(self, run: Run, grant: str, path: str, agent: str) -> None:
        """Let `agent` act for the agent of `grant`, in a session below; recorded as a grant.

        Raises DelegationRefused, SessionEnded and AuditUnavailable.
        """
        policy = self._rooms.worlds.current.snapshot
        subject = await self.principal(run, grant)
        check_chain(agent, subject, policy)
        chain, may = (subject.agent, *subject.chain), lent(agent, subject, policy)
        if not may:  # a credential is good for something
            raise DelegationRefused("scope", "nothing that may be used here is lent to it")
        session = await self._below(subject, agent, chain)
        given = Grant(
            agent=agent,
            session=session.id,
            chain=chain,
            scopes=may,
            hops=subject.hops - 1,
            user=subject.user,
            groups=subject.user_groups,
        )
        fields: dict[str, Json] = {"run": run.id, "path": path, **given.to_json()}
        await self._rooms.recorder.write("run.granted", fields)

    async def narrow(self, run: Run, grant: str, path: str, tools: Iterable[str]) -> None:
        """Let who acts under `grant` act under `path`, too, with no more than these tools.

        Raises ScopeInvalid where they are too many, no tools, or none of those that it may use, or
        the run has lent MOST_GRANTS times, and AuditUnavailable.
        """
        if len(run.grants) >= MOST_GRANTS:
            raise ScopeInvalid(f"a run lends {MOST_GRANTS} times at most")
        before, most = run.grants[grant], scopes.parse(" ".join(tools))
        given = replace(before, scopes=scopes.intersect(before.scopes, most))
        if not given.scopes:  # a credential is good for something
            raise ScopeInvalid("none of them may be used here")
        fields: dict[str, Json] = {"run": run.id, "path": path, **given.to_json()}
        await self._rooms.recorder.write("run.granted", fields)

    async def of_caller(self, caller: Principal, most: scopes.Scopes, lifetime_s: int) -> Grant:
        """The grant of a run that an agent starts: its own rights, in a session below its own.

        most  what the run may be used for, of what the caller may

        Raises DelegationRefused, SessionEnded and AuditUnavailable.
        """
        session = await self._below(caller, caller.agent, caller.chain, lifetime_s)
        return Grant(
            agent=caller.agent,
            session=session.id,
            chain=caller.chain,
            scopes=scopes.intersect(caller.scopes, most),
            hops=caller.hops,
            user=caller.user,
            groups=caller.user_groups,
            bound_to=caller.bound_to,
        )

    async def _below(
        self, subject: Principal, agent: str, chain: tuple[str, ...], lifetime_s: int | None = None
    ) -> Session:
        """A session below that of `subject`, which ends with it at the latest."""
        parent = self._rooms.sessions.live(subject, self._now_s)
        ends = parent.ends if lifetime_s is None else self._now_s + lifetime_s
        return await self._rooms.openings.handed_on(
            HandedOn(
                parent=parent,
                agent=agent,
                chain=chain,
                ends=ends,
                granted_by=subject.token_id,
                max_children=self._rooms.worlds.current.snapshot.delegation.max_children,
            )
        )

    def forget(self, run_id: str) -> None:
        """Drop the credentials of a run that is over."""
        for place in [each for each in self._credentials if each[0] == run_id]:
            del self._credentials[place]

    @property
    def _now_s(self) -> int:
        return self._rooms.recorder.now() // 1_000_000
