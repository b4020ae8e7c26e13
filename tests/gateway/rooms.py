"""The rooms of a gateway over a real log and vault, without a gate: built, crashed, built again."""

import asyncio
import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import Json
from audit.entry import Entry, Receipt
from audit.files import Files
from audit.log import Log
from audit.note import Signer
from audit.sealed import Vault
from gateway.action import Action
from gateway.approval.approvals import Approvals
from gateway.approval.request import Key, Request, Verdict
from gateway.attempt import Attempt
from gateway.calls import Calls
from gateway.catalogue.tools import Tool
from gateway.epoch import Epoch
from gateway.identity.revocation import Revocations
from gateway.identity.single_use import SingleUse
from gateway.operator.credentials import Operator
from gateway.principal import Principal
from gateway.recorder import Recorder
from gateway.records import decision_entry, outcome_entry
from gateway.runs.runs import Runs
from gateway.session.charge import Charge
from gateway.session.limits import Limits
from gateway.session.opening import Openings
from gateway.session.sessions import Sessions
from gateway.state import State
from gateway.store.keeper import Keeper
from gateway.store.row import to_row
from gateway.store.view import View
from gateway.world import World
from policies.decision import Decision, Effect, Facts, Obligation
from tests.harness.disk import SteppingFiles

SIGNER = Signer("gw.example/audit", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
NOW_S = 1_795_154_745
PIN = "ab" * 32
SNAPSHOT = "cd" * 32
ONE_PERSON = Obligation("one-person", "approvers", 1, 1800)
TWO_PEOPLE = Obligation("two-people", "approvers", 2, 1800)
APPROVERS = frozenset({"omar", "ines", "lena"})
KEY = Key(
    agent="clerk",
    user=None,
    chain=(),
    session="s1",
    tool="ledger.pay",
    pin=PIN,
    arguments="00" * 32,
)
OTHER_KEYS = {
    "agent": replace(KEY, agent="scout"),
    "user": replace(KEY, user="ana"),
    "chain": replace(KEY, chain=("scout",)),
    "session": replace(KEY, session="s2"),
    "tool": replace(KEY, tool="ledger.refund"),
    "pin": replace(KEY, pin="00" * 32),
    "arguments": replace(KEY, arguments="11" * 32),
}
"""Keys that differ from it in one member, by that."""

ASKED = Decision(
    effect="ask",
    rules=("pay-large",),
    obligations=(ONE_PERSON,),
    limits=(),
    budgets=(),
    reason="",
    snapshot=SNAPSHOT,
)


def members(group: str) -> frozenset[str]:
    """The people whom the policy lists."""
    return APPROVERS if group == "approvers" else frozenset()


@dataclass
class Clock:
    """Microseconds since 1970, moved by hand."""

    us: int = NOW_S * 1_000_000

    def __call__(self) -> int:
        self.us += 1
        return self.us

    def pass_s(self, seconds: float) -> None:
        self.us += int(seconds * 1_000_000)


class Disk(SteppingFiles):
    """A disk that can be made to fail every write."""

    fails = False

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.fails:
            raise OSError(errno.EIO, "the disk fails")
        return super().write(descriptor, data, offset)


class House:
    """Everything below the gate that remembers; `open` it, and `reopen` it after a crash."""

    def __init__(self, log: Log, folder: Path, clock: Clock, code: str) -> None:
        self.log, self.folder, self.clock = log, folder, clock
        self.recorder = Recorder(log, Vault.open(folder / "subjects", bytes(32)))
        self.epoch = Epoch()
        self.sessions = Sessions(self.recorder)
        self.openings = Openings(self.recorder, self.sessions)
        self.approvals = Approvals(self.recorder, most=50)
        self.calls = Calls()
        self.limits = Limits()
        self.revocations = Revocations(self.epoch)
        self.single_use = SingleUse(self.recorder)
        self.runs = Runs(self.recorder)
        self.state = State(
            sessions=self.sessions,
            approvals=self.approvals,
            calls=self.calls,
            limits=self.limits,
            revocations=self.revocations,
            single_use=self.single_use,
            runs=self.runs,
            epoch=self.epoch,
        )
        self.view = View(f"sqlite:///{folder / 'state.db'}", code=code)
        self.keeper = Keeper(self.state, self.view, log)

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock | None = None,
        files: Files | None = None,
        code: str = "today's",
    ) -> "House":
        """Raises StateAhead, and what `Log.open` raises."""
        clock = clock or Clock()
        log = Log.open(
            folder / "log", signer=SIGNER, segment_bytes=1 << 20, clock=clock, files=files
        )
        house = cls(log, folder, clock, code)
        try:
            house.keeper.restore()
        except BaseException:
            house.close()
            raise
        log.subscribe(house.keeper.follow)
        return house

    def reopen(self, code: str = "today's") -> "House":
        """As after a crash: nothing of what was only in memory is left."""
        self.close()
        return House.open(self.folder, self.clock, code=code)

    def close(self) -> None:
        self.log.close_now()
        self.view.close()

    @property
    def now_s(self) -> int:
        return self.recorder.now() // 1_000_000

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [entry.body for entry in self.log.entries() if entry.body["kind"] == kind]

    async def ask(self, key: Key = KEY, *obligations: Obligation, words: bytes = b"{}") -> Request:
        """Ask as the gate does, with one person to answer unless others are named."""
        asked = replace(ASKED, obligations=obligations or (ONE_PERSON,))
        return await self.approvals.ask(key, facts(key), asked, words=words, changed=())

    async def answer(self, request: Request, name: str, verdict: Verdict = "approve") -> Request:
        """One of the people listed as `approvers` answers."""
        operator = Operator(name, frozenset({"approver"}))
        return await self.approvals.decide(
            request.id, operator, verdict, reason="because", members=members
        )

    async def decide(
        self, call: "Call", *, approval: str | None = None, joined: str | None = None
    ) -> Receipt:
        """Record a decision for `call`, as the gate does."""
        record = self.recorder.seal(
            call.id,
            "decision",
            call.decision(approval, joined),
            subject=call.key.user or call.key.agent,
            name="args",
            words=call.words,
        )
        return await self.recorder.enqueue(record)

    async def end(
        self,
        call: "Call",
        receipt: Receipt,
        status: str = "done",
        more: Mapping[str, Json] = MappingProxyType({}),
    ) -> Receipt:
        """Record what came of it, as the gate does."""
        fields = outcome_entry(
            call.id,
            receipt,
            tool=call.key.tool,
            session=call.key.session,
            status=status,
            labels=call.labels,
            us=1,
            code=None,
        )
        return await self.recorder.write("outcome", {**fields, **more})


@dataclass
class Call:
    """One attempt, with what the gate would know of it."""

    id: str
    key: Key
    effect: Effect = "allow"
    emits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    now: int = NOW_S * 1_000_000
    words: bytes = b"{}"
    obligations: tuple[Obligation, ...] = ()

    @property
    def principal(self) -> Principal:
        key = self.key
        return Principal(
            agent=key.agent,
            user=key.user,
            user_groups=frozenset(),
            chain=key.chain,
            session=key.session,
            scopes=("*",),
            hops=0,
            token_id="t1",
            issued=NOW_S,
            expires=NOW_S + 900,
        )

    def decision(self, approval: str | None = None, joined: str | None = None) -> dict[str, Json]:
        """The members of its decision entry, but for its arguments."""
        server, _, tool = self.key.tool.partition(".")
        attempt = Attempt(
            id=self.id,
            principal=self.principal,
            action=Action(server, tool, {}, "rest", "r1", None, "127.0.0.1:1", self.key.tool),
            world=cast("World", None),  # no entry is made from it
            epoch=0,
            tool=Tool(server, tool, f"{server}__{tool}", {}, self.key.pin),
            words=b"{}",
            facts=facts(self.key, now=self.now),
            decision=replace(ASKED, effect=self.effect, obligations=self.obligations),
            emits=frozenset(self.emits),
            falls=frozenset(),
            lifted=frozenset(),
            released_by=frozenset(),
            marks=(),
            is_read=False,
            rests=False,
            digest_key=bytes(32),
            began=0,
        )
        return decision_entry(
            attempt, approval=approval, joined=joined, emits=self.emits, charges=self.charges
        )


def facts(of: Key, *, now: int = NOW_S * 1_000_000, labels: Iterable[str] = ()) -> Facts:
    return Facts(
        agent=of.agent,
        tool=of.tool,
        args={},
        user=of.user,
        chain=of.chain,
        session=of.session,
        labels=frozenset(labels),
        now=now,
    )


def rows(house: House) -> dict[str, dict[str, Json]]:
    """Every row that the view would hold of this house, by room."""
    return {
        "sessions": {s.id: to_row(s) for s in house.sessions.all()},
        "approvals": {name: house.approvals.stored(name) for name in house.approvals._by_id},
        "calls": {call.id: to_row(call) for call in house.calls.unfinished},
        "limits": {name: house.limits.stored(name) for name in house.limits._charged},
        "revocations": {name: house.revocations.stored(name) for name in house.revocations._until},
        "single_use": {name: house.single_use.stored(name) for name in house.single_use._used},
        "runs": {run.id: house.runs.stored(run.id) for run in house.runs.all()},
        "uses": {name: house.state.uses.stored(name) for name in house.state.uses._counted},
        "memory": {item.id: to_row(item) for item in house.state.memory},
        "activations": {"policy": house.state.activations.stored("policy")},
        "membership": {"fleet": row} if (row := house.state.membership.stored("fleet")) else {},
    }


def fold(house: House, entries: Iterable[Entry]) -> None:
    """Hand entries to the state, as the keeper does."""
    for entry in entries:
        house.state.apply(entry.index, entry.leaf.hex(), entry.body)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
