"""The runs: a fold of the log, so that a restart finds each of them where it was.

Before a step is made its path is looked up here. One that was authorised and has no outcome may
have acted, and is not made again; one that has an outcome gives what was recorded of it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from audit.canonical import Json
from gateway.recorder import Recorder
from gateway.runs.errors import RunRefused
from gateway.runs.progress import Progress
from gateway.runs.run import ROOT, Cut, Forked, Grant, Run, State, place_of
from gateway.runs.steps import Steps, Taken
from gateway.store.row import from_row, to_row

KEEP_S = 24 * 3600
"""How long after its end a run can still be looked up; then the log alone knows it."""

_PEOPLE = "approvals."
"""Tools that are questions to people."""

_ANY = ""
"""Where it does not matter which run."""

_MOVES: Mapping[str, tuple[State, frozenset[State]]] = {
    "run.paused": ("paused", frozenset({"running"})),
    "run.resumed": ("running", frozenset({"paused"})),
    "run.cancelled": ("stopping", frozenset({"running", "paused"})),
}
"""Where an entry takes a run, and from where."""


class Runs:
    """Runs by id, and what their steps did."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._by_id: dict[str, Run] = {}
        self._by_key: dict[tuple[str, str, str], str] = {}  # starter, flow, key
        self._steps = Steps()
        self._reused = Steps()  # what forks have taken over
        self.progress = Progress()
        self._in_session: dict[str, str] = {}  # session -> run
        self._moved: dict[str, asyncio.Future[None]] = {}
        self._news: dict[str, asyncio.Future[None]] = {}
        self._failed: dict[str, asyncio.Future[None]] = {}
        self.changed: set[str] = set()

    def find(self, run_id: str) -> Run | None:
        """The run of that id; None when there is none, or it ended long ago."""
        return self._by_id.get(run_id)

    def get(self, run_id: str) -> Run:
        """The run of that id. Raises RunRefused."""
        run = self._by_id.get(run_id)
        if run is None:
            raise RunRefused("run.unknown", "there is no such run")
        return run

    def all(self) -> tuple[Run, ...]:
        """Every known run, oldest first."""
        return tuple(sorted(self._by_id.values(), key=lambda run: run.id))

    def started_as(self, by: str, flow: str, key: str) -> Run | None:
        """The run that this starter began under a key of its own."""
        return self._by_id.get(self._by_key.get((by, flow, key), ""))

    def steps(self, run_id: str) -> Mapping[str, Taken]:
        """What the steps of a run did, by path, in the order in which they were first made."""
        return self._steps.of(run_id)

    def reused(self, run_id: str) -> Mapping[str, Taken]:
        """What a fork has taken over from the run that it comes from, by path."""
        return self._reused.of(run_id)

    def hands_on(self, run_id: str, path: str) -> bool:
        """Whether what was done at this place of a run was to hand work on, and nothing else."""
        run, made = self._by_id.get(run_id), self._steps.of(run_id).get(path)
        given = None if run is None or path == ROOT else run.grants.get(path)
        return given is not None and made is not None and made.tool == f"agents.{given.agent}"

    def in_session(self, session: str) -> Run | None:
        """The run whose steps are made in this session."""
        return self._by_id.get(self._in_session.get(session, ""))

    def acts_in(self, session: str) -> bool:
        """Whether it is a run, and one that goes on, that acts in this session."""
        run = self.in_session(session)
        return run is not None and run.state != "ended"

    def moved(self, run_id: str) -> "asyncio.Future[None]":
        """Done when the run is paused, resumed, cut, cancelled or at its end the next time."""
        return _next(self._moved, run_id)

    def news(self, run_id: str) -> "asyncio.Future[None]":
        """Done when anything is known of the run that was not before: a step, a question, an end.

        Shared by all who wait: nobody may cancel it.
        """
        return _next(self._news, run_id)

    def failed(self) -> "asyncio.Future[None]":
        """Done when the next run has failed that is to be taken back."""
        return _next(self._failed, _ANY)

    def stirred(self, run_id: str) -> None:
        """There is news of a run."""
        _done(self._news, run_id)

    async def move(self, run_id: str, kind: str, *, by: str) -> Run:
        """Pause, resume or cancel a run, as `kind` of the entry says.

        Raises RunRefused when it is not where that can be done, and AuditUnavailable.
        """
        run, (_, before) = self.get(run_id), _MOVES[kind]
        if run.state not in before:
            raise RunRefused("run.state", f"this run is {run.state}")
        await self._recorder.write(kind, {"run": run_id, "by": by})
        return self.get(run_id)

    def forget(self, now_s: int) -> None:
        """Drop what ended long ago."""
        for run in list(self._by_id.values()):
            if run.ended is not None and run.ended + KEEP_S < now_s:
                self._drop(run)

    def _drop(self, run: Run) -> None:
        del self._by_id[run.id]
        self._steps.drop(run.id)
        self._reused.drop(run.id)
        self.progress.drop(run.id)
        for grant in run.grants.values():
            self._in_session.pop(grant.session, None)
        if run.key is not None:
            self._by_key.pop((run.by, run.flow, run.key), None)
        self.changed.add(run.id)

    # -- the fold ---------------------------------------------------------------------------

    def started(self, body: Mapping[str, Json], index: int) -> Run:
        """Entry `run.started`: the run that it begins."""
        run = Run.from_entry(body, index)
        if run.forked is not None:
            self._reused.take_over(run.id, self._before(run.forked))
            run = replace(run, cuts=self._cuts_before(run.forked))
        self._put(run)
        return run

    def _cuts_before(self, forked: Forked) -> dict[str, Cut]:
        """The races that were over before a step: in the fork, too, the same have lost them."""
        origin = self._by_id.get(forked.run)
        cuts = {} if origin is None else origin.cuts
        return {path: cut for path, cut in cuts.items() if cut.index < forked.before}

    def _before(self, forked: Forked) -> dict[str, Taken]:
        """What a run had done before a step; what people said yes to there counts for it alone."""
        made = {**self._reused.of(forked.run), **self._steps.of(forked.run)}
        return {
            path: taken
            for path, taken in made.items()
            if taken.may_have_acted
            and taken.index < forked.before
            and not taken.tool.startswith(_PEOPLE)
        }

    def granted(self, body: Mapping[str, Json]) -> None:
        """Entry `run.granted`."""
        run = self._by_id.get(str(body["run"]))
        if run is not None:
            path = cast("str", body["path"])
            self._put(replace(run, grants={**run.grants, path: Grant.from_entry(body)}))

    def cut(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `run.cut`; of one race the first counts."""
        run, path = self._by_id.get(str(body["run"])), cast("str", body["path"])
        if run is not None and path not in run.cuts:
            self._go(replace(run, cuts={**run.cuts, path: Cut.from_entry(body, index)}))

    def told(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `run.progress`."""
        run_id = str(body["run"])
        if run_id in self._by_id:
            self.progress.said(body, index)
            self._took(run_id)

    def went(self, body: Mapping[str, Json]) -> None:
        """Entry `run.paused`, `run.resumed` or `run.cancelled`."""
        run, (state, before) = self._by_id.get(str(body["run"])), _MOVES[str(body["kind"])]
        if run is not None and run.state in before:
            cancelled = run.cancelled or state == "stopping"
            self._go(replace(run, state=state, cancelled=cancelled))

    def ended(self, body: Mapping[str, Json], index: int) -> str | None:
        """Entry `run.ended`: the session that is over with it."""
        run = self._by_id.get(str(body["run"]))
        if run is None or run.state == "ended":
            return None
        self._go(
            replace(
                run,
                state="ended",
                ended=cast("int", body["ts"]) // 1_000_000,
                result=cast("str", body["result"]),
                detail=cast("str", body["detail"]),
                ended_at=index,
            )
        )
        if self._by_id[run.id].is_owed_undo:
            _done(self._failed, _ANY)
        return run.session

    def decided(self, body: Mapping[str, Json], index: int, *, authorised: bool) -> None:
        """The decision entry of a step."""
        run_id, _ = place_of(cast("str", cast("Mapping[str, Json]", body["req"])["id"]))
        if run_id in self._by_id:
            self._steps.decided(body, index, authorised=authorised)
            self._took(run_id)

    def settled(self, call_id: str, body: Mapping[str, Json], index: int) -> None:
        """The outcome entry of a call, if it is one of a step."""
        run_id = self._steps.settled(call_id, body, index)
        if run_id is not None:
            self._took(run_id)

    def _took(self, run_id: str) -> None:
        self.changed.add(run_id)
        self.stirred(run_id)

    def _go(self, run: Run) -> None:
        self._put(run)
        _done(self._moved, run.id)
        self.stirred(run.id)

    def _put(self, run: Run) -> None:
        self._keep(run)
        self.changed.add(run.id)

    def _keep(self, run: Run) -> None:
        self._by_id[run.id] = run
        for grant in run.grants.values():
            self._in_session[grant.session] = run.id
        if run.key is not None:
            self._by_key[run.by, run.flow, run.key] = run.id

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one run; None when it is forgotten."""
        run = self._by_id.get(key)
        if run is None:
            return None
        steps, reused = self._steps.stored(key), self._reused.stored(key)
        said: Json = self.progress.stored(key)
        return {"run": to_row(run), "steps": steps, "reused": reused, "progress": said}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        run = from_row(Run, cast("Mapping[str, Json]", row["run"]))
        assert run.id == key
        self._keep(run)
        self._steps.restore(key, row["steps"])
        self._reused.restore(key, row["reused"])
        self.progress.restore(key, row["progress"])


def _next(among: dict[str, asyncio.Future[None]], key: str) -> asyncio.Future[None]:
    waiting = among.get(key)
    if waiting is None:
        waiting = among[key] = asyncio.get_running_loop().create_future()
    return waiting


def _done(among: dict[str, asyncio.Future[None]], key: str) -> None:
    waiting = among.pop(key, None)
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
