"""Releasing: what rules free of labels in an answer is in the log before the answer is given out.

One entry for each value, as for a value that a person releases; it names the rule, and the call
whose answer the value stands in. What cannot be recorded is not released.
"""

from collections.abc import Mapping

import structlog

from audit import canonical
from audit.canonical import Json
from audit.errors import AuditError
from gateway.attempt import Attempt
from gateway.flow import Flow
from gateway.recorder import Recorder
from gateway.values.freed import Freed
from policies.release import PREFIX

log = structlog.get_logger(__name__)


async def release(
    call: Attempt,
    result: Mapping[str, Json],
    carried: frozenset[str],
    flow: Flow,
    recorder: Recorder,
) -> None:
    """Release what rules of the policy release of one result; never raises.

    carried  labels that the answer has beside those that its tool puts on
    """
    for each in flow.freed(call.world.snapshot, call.facts, result, carried):
        try:
            await _record(call, each, flow, recorder)
        except (AuditError, OSError) as error:  # OSError: a key to seal with cannot be kept
            log.error("release.lost", rule=each.rule, reason=type(error).__name__)


async def _record(call: Attempt, each: Freed, flow: Flow, recorder: Recorder) -> None:
    fields: dict[str, Json] = {
        "session": call.principal.session,
        "labels": list[Json](sorted(each.labels)),
        "match": list[Json](flow.match(each.value)),
        "by": f"{PREFIX}{each.rule}",
        "call": call.id,
    }
    words = canonical.write({"value": each.value, "reason": each.why})
    await recorder.write_sealed(
        "label.released", fields, subject=call.subject, name="value", words=words
    )
