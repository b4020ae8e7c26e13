"""Answers: the sentences an agent's model is given when a call did not simply succeed.

Each says what happened, who decides, an id to ask people about, and whether trying again makes
sense, since models try again by themselves. A tool that does not exist and a tool that may not be
used are answered alike: who is refused learns nothing about what is there.
"""

from collections.abc import Mapping

from gateway.action import Outcome
from gateway.approval.request import Request
from policies.decision import Decision

UNREVIEWED = "the tool is not as it was reviewed"
BARRED: Mapping[str, str] = {
    "gateway.stopped": "the operators have stopped this gateway",
    "auth.revoked": "your credential has been withdrawn",
    "epoch_unknown": "this gateway cannot tell at the moment whether your rights still stand",
    "server.suspended": "the operators have suspended the server of this tool",
    "tool.suspended": "the operators have suspended this tool",
}
THROTTLED = "too many calls of yours were denied lately; wait before you call anything again"
GUARDED: Mapping[str, str] = {
    "guard.repeats": "you have made exactly this call too often lately",
    "guard.questions": "too many of your requests wait for people",
    "guard.running": "too many of your calls run at this moment",
}
LONGEST_MESSAGE = 2000
"""Characters of an upstream's own error that are handed on."""


def not_permitted(tool: str, reference: str) -> Outcome:
    """No rule lets this caller use a tool of that name, or there is none."""
    text = (
        f"Denied: {tool} is not available to you. The operators' policy decides this; "
        f"repeating the call will not change it. Reference: {reference}."
    )
    return Outcome("denied", "policy.denied", text)


def denied(tool: str, decision: Decision, reference: str) -> Outcome:
    """A rule denied the call."""
    rules = ", ".join(decision.rules)
    text = (
        f"Denied: rule {rules} refuses this call of {tool}. The operators' policy decides this; "
        f"repeating it unchanged will not help. Reference: {reference}."
    )
    return Outcome("denied", "policy.denied", text)


def over_limit(tool: str, name: str, reference: str) -> Outcome:
    """A limit or budget is used up."""
    text = (
        f"Denied: {tool} is over the limit '{name}' for now. Repeating the call at once will be "
        f"denied again. Reference: {reference}."
    )
    return Outcome("denied", f"limit:{name}", text)


def guarded(tool: str, code: str, reference: str) -> Outcome:
    """A guard of the deployment holds the call up."""
    text = (
        f"Denied: {GUARDED[code]}, so {tool} was not called. Operators see this. "
        f"Repeating the call at once will be denied again. Reference: {reference}."
    )
    return Outcome("denied", code, text)


def pending(tool: str, request: Request) -> Outcome:
    """People have been asked."""
    text = (
        f"Approval needed: {tool} waits for a person's decision (request {request.id}, open until "
        f"{request.expires} s since 1970). Nothing has been done. After it is approved, send "
        "exactly the same call again; repeating it before that changes nothing."
    )
    return Outcome(
        "pending", "approval.pending", text, approval=request.id, expires=request.expires
    )


def in_line(tool: str) -> Outcome:
    """A run will be asked about when people have answered others."""
    text = f"{tool} waits until people can be asked about it. Nothing has been done."
    return Outcome("pending", "guard.questions", text)


def answered_no(tool: str, request: Request) -> Outcome:
    """People have said no."""
    text = (
        f"Denied: a person refused this call of {tool} (request {request.id}). Nothing has been "
        "done; the same call stays denied."
    )
    return Outcome("denied", "approval.denied", text, approval=request.id, expires=request.expires)


def refused(code: str, why: str, reference: str) -> Outcome:
    """The call is wrong in itself; `why` is our own sentence."""
    text = f"Refused: {why}. Nothing has been done. Reference: {reference}."
    return Outcome("refused", code, text)


def changed_meanwhile(tool: str, reference: str) -> Outcome:
    """Rules or rights changed between the decision and the forwarding."""
    text = (
        f"Refused: rules or rights changed while this call of {tool} was on its way. Nothing has "
        f"been done; sending it again has it decided anew. Reference: {reference}."
    )
    return Outcome("refused", "policy.changed", text)


def epoch_unknown(tool: str, reference: str) -> Outcome:
    """Whether anything was revoked meanwhile cannot be told, so nothing may happen."""
    text = (
        f"Unavailable: this gateway cannot tell at the moment whether your rights still stand, so "
        f"{tool} was not called. Operators see this too; try again later. Reference: {reference}."
    )
    return Outcome("unavailable", "epoch_unknown", text)


def not_recorded(tool: str) -> Outcome:
    """The log cannot be written, so nothing may happen."""
    text = (
        f"Unavailable: this call of {tool} cannot be recorded at the moment, so it was not made. "
        "Operators see this too; try again later."
    )
    return Outcome("unavailable", "audit_unavailable", text)


def upstream_down(tool: str, code: str) -> Outcome:
    """The server behind the tool is not reachable; nothing was sent."""
    text = f"Unavailable: the server of {tool} cannot be reached. Nothing has been done."
    return Outcome("unavailable", code, text)


def consent_needed(tool: str, url: str) -> Outcome:
    """The person for whom the agent acts has to let it use the server with their own account."""
    text = (
        f"Consent needed: {tool} works with your user's own account, and they have not let you. "
        f"Nothing has been done. Ask them to open {url} in a browser and to agree there; repeating "
        "the call before that changes nothing."
    )
    return Outcome("refused", "upstream.consent", text)


def withheld(tool: str, bar: str, reference: str) -> Outcome:
    """The call was made, and what it was made with has been withdrawn since."""
    text = (
        f"Withheld: {BARRED[bar]}. {tool} had been called before; its result is not given out. "
        f"Reference: {reference}."
    )
    return Outcome("unknown", bar, text)


def barred(bar: str, reference: str) -> Outcome:
    """Operators have suspended what this call needs, or its credential was withdrawn."""
    text = (
        f"Refused: {BARRED[bar]}. Nothing has been done, and the call is not kept for later. "
        f"Repeating it does not help until operators change this. Reference: {reference}."
    )
    return Outcome("refused", bar, text)


def stopped(tool: str, reference: str) -> Outcome:
    """The call was sent, and cut short by operators before its answer came."""
    text = (
        f"Stopped: operators cut this call of {tool} short while it ran. It may have taken effect "
        "and is not repeated by the gateway. Check before you call it again. "
        f"Reference: {reference}."
    )
    return Outcome("unknown", "stopped", text)


def outcome_unknown(tool: str, code: str) -> Outcome:
    """The call was sent and its outcome cannot be told."""
    text = (
        f"Unknown: {tool} was called and its answer was lost, late or unreadable. It may have "
        "taken effect and is not repeated by the gateway. Check before you call it again."
    )
    return Outcome("unknown", code, text)


def upstream_refused(tool: str, message: str) -> Outcome:
    """The server answered with an error of its own; `message` is its text, not ours."""
    text = f"{tool} answered with an error: {message[:LONGEST_MESSAGE]}"
    return Outcome("error", "upstream.refused", text)
