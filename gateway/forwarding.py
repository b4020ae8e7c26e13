"""Forwarding: step 10 of a call, from its permit to what came back, or to what is said instead."""

from collections.abc import Callable, Mapping

from gateway import answers
from gateway.action import Outcome
from gateway.attempt import Attempt
from gateway.errors import (
    ConsentNeeded,
    LinkError,
    LinkLost,
    LinkRefused,
    LinkStopped,
    LinkTimeout,
    ToolChanged,
)
from gateway.guard.watch import Watch
from gateway.links.link import Answered, Link, Permit
from gateway.running import RunningCalls

UPSTREAM_TIMEOUT_S = 60.0


class Forwarding:
    """Sends permits over links, once each, unless something stands against it at the last moment.

    stopped  what has come up since the call was decided; None: nothing
    """

    def __init__(
        self,
        links: Mapping[str, Link],
        running: RunningCalls,
        watch: Watch,
        stopped: Callable[[Attempt], Outcome | None],
    ) -> None:
        self._links = links
        self._running = running
        self._watch = watch
        self._stopped = stopped

    async def send(self, call: Attempt, permit: Permit) -> Answered | tuple[Outcome, str]:
        """Send the permit's bytes; the answer, or what to say and the status of the outcome."""
        name, reference = call.action.called, call.action.request_id
        agent, circuits = permit.caller.agent, self._watch.circuits
        link = self._links[permit.server]
        try:
            prepared = link.prepare(permit.caller)
            if prepared is not None:  # nothing has to be waited for between here and sending
                await prepared
            held = self._stopped(call) or self._held_up(call, permit)
            if held is not None:
                return held, "refused"
            with self._running.call(call.principal, call.facts.tool):
                answered = await link.call(permit, timeout_s=UPSTREAM_TIMEOUT_S)
        except LinkStopped:
            return answers.stopped(name, reference), "unknown"
        except ToolChanged as error:
            return answers.refused(error.code, answers.UNREVIEWED, reference), "refused"
        except LinkRefused as error:
            circuits.succeeded(permit.server, agent)
            return answers.upstream_refused(name, error.error_message), "error"
        except ConsentNeeded as error:
            return answers.consent_needed(name, error.url), "refused"
        except LinkError as error:
            if error.acted is False:
                return answers.upstream_down(name, error.code), "refused"
            if isinstance(error, LinkTimeout | LinkLost):  # an answer that is no good is one
                circuits.failed(permit.server, agent, call.facts.now)
            return answers.outcome_unknown(name, error.code), "unknown"
        circuits.succeeded(permit.server, agent)
        return answered

    def _held_up(self, call: Attempt, permit: Permit) -> Outcome | None:
        """What the guards have against sending it now."""
        agent, most = permit.caller.agent, self._watch.rules.running
        if not self._watch.circuits.admits(permit.server, agent, call.facts.now):
            return answers.upstream_down(call.action.called, "upstream.circuit")
        if len(self._running) >= most and self._running.of(agent) >= most:
            return answers.guarded(call.action.called, "guard.running", call.action.request_id)
        return None
