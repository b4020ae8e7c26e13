"""Calls that a stop came between: authorised and without outcome, or ended and not answered.

After a crash it cannot be told whether a call acted, so each without outcome gets one that says
just that. After a clean stop the last entry names the calls whose answers had not been delivered.
A resend of either that comes soon after is answered so, instead of being forwarded again.
"""

from collections.abc import Callable, Mapping
from typing import cast

import structlog

from audit.canonical import Json
from audit.entry import Receipt, Record
from audit.errors import SealBroken, SubjectErased
from audit.log import Log
from gateway import answers
from gateway.approval.request import Key, arguments_digest
from gateway.calls import HOLD_US, Calls, Unfinished
from gateway.recorder import Recorder
from gateway.records import outcome_entry

log = structlog.get_logger(__name__)


async def settle(calls: Calls, recorder: Recorder, *, origin: str, digest_key: bytes) -> int:
    """Record `unknown` for every unfinished call; how many there were.

    Raises AuditUnavailable: a gateway that cannot record this cannot start.
    """
    found = calls.unfinished
    for call in found:
        outcome = answers.outcome_unknown(call.tool, "upstream.unknown_outcome")
        fields = outcome_entry(
            call.id,
            Receipt(origin, call.index, bytes.fromhex(call.leaf)),
            tool=call.tool,
            session=call.session,
            status="unknown",
            us=recorder.now() - call.ts,
            code=outcome.code,
        )
        await recorder.write("outcome", fields)
        key = _key(call, recorder, digest_key)
        if key is not None:
            calls.hold(call.id, key, outcome, recorder.now())
    if found:
        log.warning("calls.unknown", count=len(found))
    return len(found)


def hold_owed(calls: Calls, recorder: Recorder, entries: Log, *, digest_key: bytes) -> None:
    """After a clean stop: hold the calls whose answers were still owed, as the stop entry says.

    Their results are gone; a resend that comes soon after is not to repeat what was done.
    """
    if not entries.size:
        return
    last = entries.entry(entries.size - 1).body
    if last["kind"] != "stop" or last["ts"] + HOLD_US <= recorder.now():
        return
    for index in last.get("owed", []):
        decided = entries.entry(index)
        call = Unfinished.from_entry(decided.body, index, decided.leaf.hex())
        outcome = answers.outcome_unknown(call.tool, "upstream.unknown_outcome")
        key = _key(call, recorder, digest_key)
        if key is not None:
            calls.hold(call.id, key, outcome, recorder.now())


def _key(call: Unfinished, recorder: Recorder, digest_key: bytes) -> Key | None:
    """What a resend of this call would be recognised by; None when its arguments are gone."""
    try:
        words = recorder.words(call.index, "args")
    except (SealBroken, SubjectErased):
        return None
    if words is None:
        return None
    return Key(
        agent=cast("str", call.actor["agent"]),
        user=cast("str | None", call.actor["sub"]),
        chain=tuple(cast("list[str]", call.actor["chain"])),
        session=call.session,
        tool=call.tool,
        pin=call.pin,
        arguments=arguments_digest(words, digest_key),
    )


def closes_abandoned(recorder: Recorder) -> Callable[[Mapping[str, Json], int, str], None]:
    """What to do with an authorising entry that became durable after its call was given up.

    The caller was told that nothing was done, and nothing was: the log is to say so too.
    """

    def close(body: Mapping[str, Json], index: int, leaf: str) -> None:
        call = Unfinished.from_entry(body, index, leaf)
        fields = outcome_entry(
            call.id,
            Receipt(recorder.origin, index, bytes.fromhex(leaf)),
            tool=call.tool,
            session=call.session,
            status="refused",
            us=recorder.now() - call.ts,
            code="not_forwarded",
        )
        record = Record(recorder.new_id(), "outcome", fields)
        recorder.leave(record, "outcome.lost")

    return close
