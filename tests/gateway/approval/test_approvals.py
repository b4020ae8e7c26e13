import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audit import canonical
from audit.errors import AuditUnavailable
from gateway.approval.approvals import KEEP_S
from gateway.approval.request import Request, digest
from gateway.errors import ApprovalRefused
from gateway.operator.credentials import Operator
from gateway.store.row import from_row, to_row
from tests.gateway.rooms import (
    ASKED,
    KEY,
    NOW_S,
    ONE_PERSON,
    OTHER_KEYS,
    TWO_PEOPLE,
    Call,
    Disk,
    House,
    facts,
)

ELSEWHERE = replace(KEY, session="s2")


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def fragile(tmp_path: Path, disk: Disk) -> Iterator[House]:
    house = House.open(tmp_path / "fragile", files=disk)
    yield house
    disk.fails = False
    house.close()


def call(house: House) -> Call:
    return Call(house.recorder.new_id(), KEY, effect="ask", obligations=(ONE_PERSON,))


# -- one approval, one use ------------------------------------------------------------------


async def test_an_approved_request_is_claimed_once(house: House) -> None:
    request = await house.answer(await house.ask(), "omar")
    assert house.approvals.claim(request, "c1")
    assert not house.approvals.claim(request, "c2")
    assert not house.approvals.claim(request, "c1")


async def test_of_many_calls_at_once_one_has_the_approval(house: House) -> None:
    request = await house.answer(await house.ask(), "omar")

    async def attempt(n: int) -> bool:
        await asyncio.sleep(0)
        return house.approvals.claim(request, f"c{n}")

    assert sum(await asyncio.gather(*(attempt(n) for n in range(100)))) == 1


async def test_a_used_approval_is_found_no_more_and_asked_anew(house: House) -> None:
    request = await house.answer(await house.ask(), "omar")
    used = call(house)
    assert house.approvals.claim(request, used.id)
    assert house.approvals.find(KEY, NOW_S) is None  # at once, before anything is written
    receipt = await house.decide(used, approval=request.id)
    await house.end(used, receipt)
    after = house.approvals.get(request.id)
    assert after is not None
    assert (after.state, after.call) == ("executed", used.id)
    assert house.approvals.find(KEY, NOW_S) is None
    assert (await house.ask()).id != request.id


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("done", "executed"),
        ("error", "failed"),
        ("refused", "failed"),
        ("unknown", "unknown"),
        ("never heard of", "failed"),
    ],
)
async def test_what_came_of_the_call_is_the_end_of_its_request(
    house: House, status: str, state: str
) -> None:
    request = await house.answer(await house.ask(), "omar")
    used = call(house)
    house.approvals.claim(request, used.id)
    await house.end(used, await house.decide(used, approval=request.id), status)
    ended = house.approvals.get(request.id)
    assert ended is not None
    assert ended.state == state
    assert not house.approvals.claim(ended, "c2")


async def test_a_claim_whose_decision_cannot_be_written_is_not_given_back(
    fragile: House, disk: Disk
) -> None:
    request = await fragile.answer(await fragile.ask(), "omar")
    lost = call(fragile)
    assert fragile.approvals.claim(request, lost.id)
    disk.fails = True
    with pytest.raises(AuditUnavailable):
        await fragile.decide(lost, approval=request.id)
    assert not fragile.approvals.claim(request, "c2")
    assert fragile.approvals.find(KEY, NOW_S) is None
    seen = fragile.approvals.get(request.id)
    assert seen is not None
    assert (seen.state, seen.call) == ("claimed", lost.id)


async def test_only_an_approved_request_is_claimed(house: House) -> None:
    request = await house.ask()
    assert not house.approvals.claim(request, "c1")
    # A value that says so is no approval: the room looks at what it knows itself.
    assert not house.approvals.claim(replace(request, state="approved"), "c1")
    assert not house.approvals.claim(replace(request, id="other", state="approved"), "c1")


# -- what governs a call --------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [pytest.param(other, id=name) for name, other in OTHER_KEYS.items()],
)
async def test_an_approval_is_for_nothing_else(house: House, other: object) -> None:
    await house.answer(await house.ask(), "omar")
    assert house.approvals.find(KEY, NOW_S) is not None
    assert house.approvals.find(other, NOW_S) is None  # type: ignore[arg-type]  # all are keys


async def test_the_newest_of_two_questions_governs_whichever_is_answered(house: House) -> None:
    older = await house.ask()
    newer = await house.ask()  # as when a label has come on since
    await house.answer(older, "omar")
    assert house.approvals.find(KEY, NOW_S) == newer


async def test_identical_calls_at_once_ask_once(house: House) -> None:
    asked = await asyncio.gather(*(house.ask() for _ in range(50)))
    assert len({request.id for request in asked}) == 1
    assert len(house.bodies("approval.asked")) == 1


async def test_who_asked_first_may_go_away(house: House) -> None:
    first = asyncio.create_task(house.ask())
    second = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).state == "asked"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_question_that_cannot_be_written_is_not_asked(fragile: House, disk: Disk) -> None:
    disk.fails = True
    with pytest.raises(AuditUnavailable):
        await fragile.ask()
    assert fragile.approvals.all() == ()


async def test_a_question_to_nobody_is_over_at_once(house: House) -> None:
    asked = replace(ASKED, obligations=())
    request = await house.approvals.ask(KEY, facts(KEY), asked, words=b"{}", changed=())
    assert house.approvals.find(KEY, house.now_s) is None
    with pytest.raises(ApprovalRefused, match="expired"):
        await house.answer(request, "omar")


async def test_silence_is_no(house: House) -> None:
    request = await house.ask()
    assert house.approvals.find(KEY, request.expires - 1) == request
    assert house.approvals.find(KEY, request.expires) is None
    await house.approvals.pass_time(request.expires)
    ended = house.approvals.get(request.id)
    assert ended is not None
    assert ended.state == "expired"


async def test_an_approval_that_waited_too_long_is_worth_nothing(house: House) -> None:
    request = await house.answer(await house.ask(), "omar")
    await house.approvals.pass_time(request.expires)
    assert not house.approvals.claim(request, "c1")


async def test_a_request_ends_with_the_shortest_of_its_terms(house: House) -> None:
    request = await house.ask(KEY, replace(ONE_PERSON, expires_s=60), TWO_PEOPLE)
    assert request.expires - request.asked == 60


# -- a no -----------------------------------------------------------------------------------


async def test_a_no_holds_until_the_end_of_the_request(house: House) -> None:
    request = await house.answer(await house.ask(), "omar", "deny")
    found = house.approvals.find(KEY, request.expires - 1)
    assert found is not None
    assert found.state == "denied"
    assert house.approvals.find(KEY, request.expires) is None


async def test_a_new_session_is_no_way_around_a_no(house: House) -> None:
    request = await house.answer(await house.ask(), "omar", "deny")
    assert house.approvals.find(ELSEWHERE, NOW_S) == request
    assert house.approvals.find(replace(ELSEWHERE, user="ana"), NOW_S) is None


async def test_a_no_beats_what_was_approved_in_another_session(house: House) -> None:
    approved = await house.ask()
    refused = await house.ask(ELSEWHERE)
    await house.answer(approved, "omar")
    await house.answer(refused, "omar", "deny")
    found = house.approvals.find(KEY, NOW_S)
    assert found is not None
    assert found.state == "denied"


async def test_the_no_that_lasts_longer_holds(house: House) -> None:
    long = await house.ask(KEY, replace(ONE_PERSON, expires_s=9000))
    short = await house.ask(ELSEWHERE)
    await house.answer(long, "omar", "deny")
    await house.answer(short, "omar", "deny")
    assert house.approvals.find(KEY, short.expires) is not None
    assert house.approvals.find(ELSEWHERE, short.expires) is not None


# -- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["denied", "withdrawn", "expired", "executed", "approved"])
async def test_what_is_over_is_not_answered(house: House, state: str) -> None:
    request = await house.ask()
    if state == "denied":
        await house.answer(request, "omar", "deny")
    elif state == "withdrawn":
        await house.approvals.withdraw(request.id, by="agent:clerk")
    elif state == "expired":
        await house.approvals.pass_time(request.expires)
    else:
        await house.answer(request, "omar")
    before = len(house.bodies("approval.decided"))
    with pytest.raises(ApprovalRefused) as caught:
        await house.answer(request, "ines", "deny")
    assert caught.value.code == "approval.ended"
    assert len(house.bodies("approval.decided")) == before


async def test_nobody_answers_what_was_never_asked(house: House) -> None:
    request = await house.ask()
    with pytest.raises(ApprovalRefused) as caught:
        await house.answer(replace(request, id="other"), "omar")
    assert caught.value.code == "approval.unknown"


async def test_nobody_answers_after_the_time(house: House) -> None:
    request = await house.ask()
    house.clock.pass_s(1800)
    with pytest.raises(ApprovalRefused) as caught:
        await house.answer(request, "omar")
    assert caught.value.code == "approval.expired"


async def test_two_answers_at_once_are_a_quorum_of_two(house: House) -> None:
    request = await house.ask(KEY, TWO_PEOPLE)
    answers = await asyncio.gather(house.answer(request, "omar"), house.answer(request, "ines"))
    assert [answer.state for answer in answers] == ["asked", "approved"]
    assert [body["state"] for body in house.bodies("approval.decided")] == ["asked", "approved"]


async def test_one_person_answering_twice_at_once_counts_once(house: House) -> None:
    request = await house.ask(KEY, TWO_PEOPLE)
    answers = await asyncio.gather(
        *(house.answer(request, "omar") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, ApprovalRefused) for answer in answers) == 4
    assert house.approvals.get(request.id) == answers[0]


async def test_a_yes_and_a_no_at_once_have_an_order(house: House) -> None:
    request = await house.ask()
    yes, no = await asyncio.gather(
        house.answer(request, "omar"), house.answer(request, "ines", "deny"), return_exceptions=True
    )
    assert isinstance(no, ApprovalRefused)
    assert not isinstance(yes, BaseException)
    assert yes.state == "approved"


async def test_an_answer_that_cannot_be_written_is_not_given(fragile: House, disk: Disk) -> None:
    request = await fragile.ask()
    disk.fails = True
    with pytest.raises(AuditUnavailable):
        await fragile.answer(request, "omar")
    assert fragile.approvals.get(request.id) == request


async def test_who_is_in_no_group_leaves_no_trace(house: House) -> None:
    request = await house.ask()
    with pytest.raises(ApprovalRefused, match="none of the groups"):
        await house.answer(request, "eve")
    assert house.bodies("approval.decided") == []


async def test_the_groups_of_an_operator_count_where_the_policy_lists_nobody(house: House) -> None:
    request = await house.ask()
    decided = await house.approvals.decide(
        request.id,
        Operator("eve", frozenset({"approver"}), frozenset({"approvers", "sales"})),
        "approve",
        reason="",
        members=lambda _: frozenset(),
    )
    assert decided.state == "approved"
    assert house.bodies("approval.decided")[0]["groups"] == ["approvers"]


# -- ends on their way into the log ---------------------------------------------------------


async def test_a_call_does_not_overtake_a_withdrawal(house: House) -> None:
    request = await house.answer(await house.ask(), "omar")
    withdrawing = asyncio.create_task(house.approvals.withdraw(request.id, by="agent:clerk"))
    await asyncio.sleep(0)
    assert not house.approvals.claim(request, "c1")
    assert house.approvals.find(KEY, NOW_S) is None
    assert (await withdrawing).state == "withdrawn"
    assert house.approvals._ending == set()


async def test_an_answer_does_not_overtake_a_withdrawal(house: House) -> None:
    request = await house.ask()
    withdrawing = asyncio.create_task(house.approvals.withdraw(request.id, by="agent:clerk"))
    await asyncio.sleep(0)
    with pytest.raises(ApprovalRefused):
        await house.answer(request, "omar")
    await withdrawing


async def test_a_withdrawal_does_not_overtake_a_call(house: House) -> None:
    request = await house.answer(await house.ask(), "omar")
    used = call(house)
    assert house.approvals.claim(request, used.id)
    with pytest.raises(ApprovalRefused):
        await house.approvals.withdraw(request.id, by="agent:clerk")
    await house.approvals.pass_time(request.expires)
    assert house.bodies("approval.ended") == []
    await house.end(used, await house.decide(used, approval=request.id))
    assert house.approvals.get(request.id).state == "executed"  # type: ignore[union-attr]


async def test_a_withdrawal_that_cannot_be_written_still_stops_calls(
    fragile: House, disk: Disk
) -> None:
    request = await fragile.answer(await fragile.ask(), "omar")
    disk.fails = True
    with pytest.raises(AuditUnavailable):
        await fragile.approvals.withdraw(request.id, by="agent:clerk")
    assert not fragile.approvals.claim(request, "c1")
    assert fragile.approvals.find(KEY, NOW_S) is None


async def test_what_is_over_cannot_be_withdrawn(house: House) -> None:
    request = await house.answer(await house.ask(), "omar", "deny")
    with pytest.raises(ApprovalRefused):
        await house.approvals.withdraw(request.id, by="agent:clerk")
    with pytest.raises(ApprovalRefused):
        await house.approvals.withdraw("other", by="agent:clerk")


# -- what is kept, and what of it is to be seen ---------------------------------------------


async def test_the_digest_is_of_what_the_entry_shows(house: House) -> None:
    request = await house.ask()
    (body,) = house.bodies("approval.asked")
    names = [*("actor", "session", "tool", "match", "snapshot", "labels", "obligations")]
    names += ["provenance", "evidence", "behind"]
    shown = {name: body[name] for name in names}
    assert digest(shown, body["nonce"]) == body["digest"] == request.digest
    text = canonical.write({**shown, "nonce": body["nonce"]})
    assert hashlib.sha256(b"passavant-approval-v1\n" + text).hexdigest() == request.digest


async def test_no_two_requests_have_one_digest(house: House) -> None:
    first = await house.ask()
    await house.approvals.withdraw(first.id, by="agent:clerk")
    assert (await house.ask()).digest != first.digest


async def test_arguments_and_reasons_stand_nowhere_in_clear(house: House) -> None:
    request = await house.ask(words=b'{"to":"planted-account"}')
    await house.answer(request, "omar")
    await house.keeper.save()
    for file in house.folder.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert b"planted-account" not in content
        assert b"because" not in content
    assert house.recorder.words(request.index, "args") == b'{"to":"planted-account"}'


async def test_an_ended_request_is_forgotten_after_a_day(house: House) -> None:
    request = await house.answer(await house.ask(), "omar", "deny")
    await house.approvals.pass_time(request.expires + KEEP_S)
    assert house.approvals.get(request.id) is not None
    await house.approvals.pass_time(request.expires + KEEP_S + 1)
    assert house.approvals.get(request.id) is None
    assert house.approvals.stored(request.id) is None
    assert house.approvals.find(KEY, NOW_S) is None


# -- escalation, and a yes that is taken back ---------------------------------------------------

ESCALATING = replace(ONE_PERSON, escalate_to="board", escalate_s=60)


async def test_after_its_time_a_further_group_is_asked_once_and_recorded(house: House) -> None:
    request = await house.ask(KEY, ESCALATING)
    await house.approvals.pass_time(request.asked + 59)
    assert house.bodies("approval.escalated") == []
    for _ in range(3):
        await house.approvals.pass_time(request.asked + 60)
    (entry,) = house.bodies("approval.escalated")
    assert (entry["terms"], entry["to"], entry["by"]) == (["one-person"], ["board"], "clock")
    found = house.approvals.get(request.id)
    assert found is not None
    assert found.asks(ESCALATING) == {"approvers", "board"}
    assert from_row(Request, to_row(found)) == found


async def test_what_was_decided_is_not_escalated(house: House) -> None:
    request = await house.answer(await house.ask(KEY, ESCALATING), "omar")
    await house.approvals.pass_time(request.asked + 600)
    assert house.bodies("approval.escalated") == []


async def test_a_yes_is_taken_back_before_the_last(house: House) -> None:
    request = await house.answer(await house.ask(KEY, TWO_PEOPLE), "omar")
    omar = Operator("omar", frozenset({"approver"}))
    assert (await house.approvals.retract(request.id, omar)).votes == ()
    assert (await house.answer(request, "ines")).state == "asked"
    assert (await house.answer(request, "omar")).state == "approved"
    with pytest.raises(ApprovalRefused) as caught:
        await house.approvals.retract(request.id, omar)
    assert caught.value.code == "approval.ended"


@pytest.mark.parametrize("name", ["ines", "clerk", "nobody"])
async def test_nobody_takes_back_what_others_said(house: House, name: str) -> None:
    request = await house.answer(await house.ask(KEY, TWO_PEOPLE), "omar")
    with pytest.raises(ApprovalRefused) as caught:
        await house.approvals.retract(request.id, Operator(name, frozenset({"approver"})))
    assert caught.value.code == "approval.unanswered"
    assert house.bodies("approval.retracted") == []
