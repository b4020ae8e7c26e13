"""The fleet: gateways that share what is withdrawn, each beside a log and a state of its own.

A gateway tells what it has recorded, and hears what the others have, in an exchange with the
fleet's database (`gateway.store.fleet`) ten times a second, from a thread of its own. What it hears
counts at once. While the last exchange is less than a second old (`gateway.epoch`) and the policy
in force is the fleet's, the epoch is confirmed; else every call is refused until it is so again.

Nothing is told that is not durable in the own log, and what could not be told is told as soon as
the database can be written again, also after a restart; until then it counts here. Taking
something back is told at once or not at all: a late one could undo what was withdrawn after it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from audit.canonical import Json
from audit.entry import Record
from audit.errors import AuditUnavailable
from gateway.activation import Activation
from gateway.epoch import Epoch
from gateway.errors import ActivationRefused, FleetUnavailable
from gateway.identity.revocation import GRACE_S, Untold
from gateway.in_force import FLEET
from gateway.recorder import Recorder
from gateway.state import State
from gateway.store.fleet import Fact, FleetDatabase, News, Telling
from policies.errors import PolicyError

POLL_S = 0.1
MOST_FACTS = 128
"""Told in one exchange: their keys stand in one entry."""

MOST_NAMED = 64
"""Facts of others that an entry names; of more it says how many."""

_FOLLOW_EVERY_S = 1.0

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What a fleet's member works with.

    clock  microseconds, monotonic
    """

    database: FleetDatabase
    state: State
    epoch: Epoch
    recorder: Recorder
    clock: Callable[[], int]


class Fleet:
    """One gateway's part in its fleet.

    trouble  why it does not keep up at the moment; None: it does
    policy   digest of the policy that the fleet has activated
    """

    def __init__(self, around: Around) -> None:
        self._around = around
        self._activation: Activation | None = None
        self._heard = 0  # number of the last change that has been taken over since the start
        self._turn = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._following: asyncio.Task[None] | None = None
        self._follow_at = 0.0
        self.policy: str | None = None
        self.trouble: str | None = "not heard from yet"

    @contextmanager
    def opened(self) -> Iterator["Fleet"]:
        """With a thread to wait for the database in."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        try:
            yield self
        finally:
            if self._following is not None:
                self._following.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def join(self, *, anew: bool = False) -> None:
        """Belong to the fleet of this database, and hear all it has to say.

        anew  also when this gateway belongs to another; it is then told all that stands here

        Raises FleetUnavailable when it is the first time and not possible, and AuditUnavailable.
        Later a database that is not there is waited for, and never made.
        """
        known, recorder = self._around.state.membership.known, self._around.recorder
        if known.fleet is None or anew:
            fleet = await self._wait(lambda: self._around.database.create(recorder.new_id()))
            if fleet != known.fleet:
                await recorder.write("fleet.joined", {"fleet": fleet})
        await self._exchange()

    async def run(self, activation: Activation) -> None:
        """Keep up with the fleet until cancelled, also with the policy that it activates."""
        self._activation = activation
        while True:
            try:
                await self._exchange()
            except Exception:  # outermost: nothing may end this for good
                log.exception("fleet.failed")
            await asyncio.sleep(POLL_S)

    async def spread(self) -> None:
        """Tell the others what was withdrawn here, now.

        Raises FleetUnavailable: it counts here, and will be told as soon as that is possible.
        """
        is_activation = self._around.state.activations.untold is not None
        while self._is_untold():
            if await self._exchange() is None:
                raise FleetUnavailable(
                    "done and recorded here, and not yet known to the other gateways of the "
                    f"fleet: {self.trouble}"
                )
        if is_activation and self._is_behind():
            raise FleetUnavailable("another gateway of the fleet has activated another policy")

    @property
    def acts(self) -> tuple[int, str | None]:
        """What there was to tell so far: differs after an act that the others are to know of."""
        state = self._around.state
        return state.revocations.acts, state.activations.untold

    async def check(self) -> None:
        """Hear from the fleet now. Raises FleetUnavailable."""
        if await self._exchange() is None:
            raise FleetUnavailable(f"nothing was done: {self.trouble}")

    async def resume(self, key: str) -> None:
        """Take something back in the whole fleet, unless another withdrew it again meanwhile.

        key  as `Revocations` names it

        Raises FleetUnavailable: then it stays withdrawn.
        """
        if await self._exchange(resumed=(key,)) is None:
            raise FleetUnavailable(f"recorded here, and still withdrawn: {self.trouble}")
        if self._around.state.revocations.stands(key):
            raise FleetUnavailable("another gateway of the fleet has withdrawn it again meanwhile")

    # -- an exchange ------------------------------------------------------------------------

    async def _exchange(self, resumed: Sequence[str] = ()) -> News | None:
        """Tell and hear everything; None when that was not possible."""
        async with self._turn:
            state, database = self._around.state, self._around.database
            untold = state.revocations.untold[:MOST_FACTS]
            # What was withdrawn anew while this waited for its turn stays withdrawn.
            lifted = [key for key in resumed if not state.revocations.is_own(key)]
            telling = self._telling(untold, lifted)
            known, since = state.membership.known, self._heard
            asked = self._around.clock()
            try:
                news = await self._wait(lambda: database.exchange(known, since, telling))
            except FleetUnavailable as error:
                if self.trouble != str(error):
                    log.error("fleet.cut", reason=str(error))
                self.trouble = str(error)
                return None
            state.heard(news.facts, self._around.recorder.now())
            told = [each.key for each in untold if state.revocations.told(each.key, each.act)]
            self._note(news, told + lifted, telling.policy)
            self._confirm(news, asked)
            return news

    async def _wait(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _is_untold(self) -> bool:
        state = self._around.state
        return bool(state.revocations.untold) or state.activations.untold is not None

    def _telling(self, untold: Sequence[Untold], resumed: Sequence[str]) -> Telling:
        state, recorder = self._around.state, self._around.recorder
        return Telling(
            origin=recorder.origin,
            before=recorder.now() // 1_000_000 - GRACE_S,
            withdrawn=tuple((each.key, each.until) for each in untold),
            resumed=tuple(resumed),
            policy=state.activations.untold,
            replaces=self.policy or state.activations.replaces,
            in_force=self._in_force(),
        )

    def _note(self, news: News, told: list[str], activated: str | None) -> None:
        """Record what was told, and what was heard of others, without waiting for it.

        told       keys that the others know of now
        activated  policy that they know of now
        """
        if told or activated is not None:
            self._around.state.activations.told(activated)
            self._enqueue("fleet.told", news, {"keys": list[Json](told), "activated": activated})
        origin = self._around.recorder.origin
        facts = [fact for fact in news.facts if fact.origin != origin]
        if facts or (news.policy != self.policy and activated is None):
            self._enqueue("fleet.heard", news, _named(facts))
        self._heard, self.policy = news.number, news.policy

    def _confirm(self, news: News, asked: int) -> None:
        """Believe that nothing is missing, unless the policy is another."""
        if self._is_behind():
            self._follow(news.policy or "")
            return
        self._around.epoch.confirm(asked)
        if self.trouble is not None:
            log.info("fleet.reached", number=news.number)
        self.trouble = None

    def _enqueue(self, kind: str, news: News, members: dict[str, Json]) -> None:
        recorder = self._around.recorder
        fields: dict[str, Json] = {"number": news.number, "policy": news.policy, **members}
        recorder.leave(Record(recorder.new_id(), kind, fields), "fleet.unrecorded")

    # -- the policy -------------------------------------------------------------------------

    def _in_force(self) -> str | None:
        """Digest of the policy in force here; None before there is one."""
        if self._activation is None:
            return None
        return self._activation.worlds.current.snapshot.digest

    def _is_behind(self) -> bool:
        """Whether the fleet has activated a policy that is not in force here."""
        in_force = self._in_force()
        if in_force is None or self._around.state.activations.untold is not None:
            return False
        return self.policy != in_force

    def _follow(self, digest: str) -> None:
        """Put the fleet's policy into force, if it is what the files here amount to."""
        now = asyncio.get_running_loop().time()
        if now < self._follow_at or (self._following and not self._following.done()):
            return
        self._follow_at = now + _FOLLOW_EVERY_S
        self._following = asyncio.create_task(self._activate(digest))

    async def _activate(self, digest: str) -> None:
        assert self._activation is not None
        try:
            await self._activation.activate(digest, by=FLEET)
        except (ActivationRefused, PolicyError, AuditUnavailable) as error:
            trouble = f"the fleet has activated {digest}, and that is not to be had here: {error}"
            if self.trouble != trouble:
                log.error("fleet.policy_not_here", snapshot=digest, reason=str(error))
            self.trouble = trouble


def _named(facts: Sequence[Fact]) -> dict[str, Json]:
    withdrawn = [fact.key for fact in facts if fact.stands]
    resumed = [fact.key for fact in facts if not fact.stands]
    return {
        "withdrawn": list[Json](withdrawn[:MOST_NAMED]),
        "resumed": list[Json](resumed[:MOST_NAMED]),
        "count": len(facts),
    }
