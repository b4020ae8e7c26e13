from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.approval.quorum import answered, check_vote, groups_of, is_reached
from gateway.approval.request import Request, Verdict, Vote
from gateway.errors import ApprovalRefused
from policies.decision import Obligation
from tests.gateway.rooms import KEY, NOW_S

FINANCE = frozenset({"omar", "ines"})


def obligation(group: str = "finance", quorum: int = 1) -> Obligation:
    return Obligation("a", group, quorum, 60)


SIGNED = replace(obligation(), passkey=True)
REASONED = replace(obligation(), reason_required=True)
OWN = replace(obligation(), self_allowed=True)


def request(*obligations: Obligation, votes: tuple[Vote, ...] = ()) -> Request:
    return Request(
        id="r1",
        key=replace(KEY, user="ana", chain=("scout",)),
        snapshot="",
        labels=frozenset(),
        provenance=(),
        evidence=(),
        rules=(),
        obligations=obligations,
        digest="",
        index=0,
        leaf="",
        asked=NOW_S,
        expires=NOW_S + 60,
        votes=votes,
    )


def vote(name: str, verdict: Verdict = "approve", groups: tuple[str, ...] = ("finance",)) -> Vote:
    return Vote(name, verdict, groups, NOW_S)


def members(group: str) -> frozenset[str]:
    return FINANCE if group == "finance" else frozenset()


@pytest.mark.parametrize(
    ("asked", "given", "code"),
    [
        pytest.param(request(obligation()), vote("ana"), "approval.self", id="the-user"),
        pytest.param(
            request(obligation()), vote("ANA"), "approval.self", id="the-user-in-capitals"
        ),
        pytest.param(request(obligation()), vote("clerk"), "approval.self", id="the-agent"),
        pytest.param(request(obligation()), vote("scout"), "approval.self", id="an-earlier-agent"),
        pytest.param(
            request(obligation()), vote("omar", groups=()), "approval.group", id="a-stranger"
        ),
        pytest.param(
            request(obligation()),
            vote("omar", groups=("sales",)),
            "approval.group",
            id="other-group",
        ),
        pytest.param(request(), vote("omar"), "approval.group", id="nobody-is-asked"),
        pytest.param(
            request(obligation(), votes=(vote("omar"),)), vote("omar"), "approval.voted", id="again"
        ),
        pytest.param(
            request(obligation(), votes=(vote("omar"),)),
            vote("Omar"),
            "approval.voted",
            id="in-capitals",
        ),
        pytest.param(request(SIGNED), vote("omar"), "approval.passkey", id="no-passkey"),
        pytest.param(
            request(REASONED),
            vote("omar"),
            "approval.reason",
            id="no-reason",
        ),
        pytest.param(
            request(OWN, obligation("security")),
            vote("ana", groups=("finance", "security")),
            "approval.self",
            id="self-is-allowed-by-one-of-two",
        ),
        pytest.param(
            request(OWN),
            vote("clerk"),
            "approval.self",
            id="self-is-no-agent",
        ),
    ],
)
def test_an_answer_that_may_not_count_is_refused(asked: Request, given: Vote, code: str) -> None:
    with pytest.raises(ApprovalRefused) as caught:
        check_vote(asked, given, reason=" ")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(request(obligation()), vote("omar"), id="a-member"),
        pytest.param(request(OWN), vote("ana"), id="self-allowed"),
        pytest.param(request(SIGNED), vote("omar", "deny"), id="no-needs-no-passkey"),
    ],
)
def test_an_answer_that_counts_is_taken(asked: Request, given: Vote) -> None:
    check_vote(asked, given, reason="")


@pytest.mark.parametrize(
    ("name", "registered", "found"),
    [
        pytest.param("omar", (), ("finance",), id="listed-in-the-policy"),
        pytest.param("eve", ("finance",), (), id="registered-for-a-group-that-lists-its-members"),
        pytest.param("eve", ("security",), ("security",), id="registered-for-one-that-lists-none"),
        pytest.param("omar", ("security", "sales"), ("finance", "security"), id="both"),
        pytest.param("eve", ("sales",), (), id="a-group-that-is-not-asked"),
    ],
)
def test_the_list_in_the_policy_decides_who_is_in_a_group(
    name: str, registered: tuple[str, ...], found: tuple[str, ...]
) -> None:
    asked = request(obligation("security"), obligation("finance"))
    assert groups_of(name, registered, asked, members) == found


@pytest.mark.parametrize(
    ("obligations", "approvers", "reached"),
    [
        pytest.param((), ("omar",), False, id="nothing-is-demanded"),
        pytest.param((obligation(),), (), False, id="nobody-answered"),
        pytest.param((obligation(quorum=0),), (), False, id="a-quorum-of-nobody"),
        pytest.param((obligation(quorum=-1),), (), False, id="a-quorum-below-nobody"),
        pytest.param((obligation(quorum=2),), ("omar",), False, id="one-of-two"),
        pytest.param((obligation(quorum=2),), ("omar", "omar"), False, id="one-person-twice"),
        pytest.param((obligation(quorum=2),), ("omar", "OMAR"), False, id="one-person-in-capitals"),
        pytest.param((obligation(quorum=2),), ("omar", "ana"), False, id="the-user-is-no-second"),
        pytest.param((obligation(quorum=2),), ("omar", "clerk"), False, id="an-agent-is-no-second"),
        pytest.param(
            (obligation(), obligation("security")), ("omar",), False, id="one-of-the-groups"
        ),
        pytest.param((obligation(),), ("omar",), True, id="one-of-one"),
        pytest.param((obligation(quorum=2),), ("omar", "ines"), True, id="two-of-two"),
    ],
)
def test_a_quorum_is_distinct_people_who_did_not_ask(
    obligations: tuple[Obligation, ...], approvers: tuple[str, ...], reached: bool
) -> None:
    votes = tuple(vote(name) for name in approvers)
    assert is_reached(request(*obligations, votes=votes)) is reached


def test_one_no_is_enough() -> None:
    asked = request(obligation(quorum=2), votes=(vote("omar"),))
    assert answered(asked, vote("ines", "deny")).state == "denied"


VOTES = st.builds(
    vote,
    st.sampled_from(["omar", "ines", "Omar", "ana", "clerk", "scout", "eve"]),
    st.sampled_from(["approve", "deny"]),
    st.sampled_from([(), ("finance",), ("security",), ("finance", "security")]),
)
OBLIGATIONS = st.builds(obligation, st.sampled_from(["finance", "security"]), st.integers(-1, 3))


@given(st.lists(OBLIGATIONS, max_size=3), st.lists(VOTES, max_size=8))
def test_whatever_is_answered_nothing_is_approved_without_its_people(
    obligations: list[Obligation], votes: list[Vote]
) -> None:
    state = request(*obligations)
    for each in votes:
        state = answered(state, each)
    if state.state != "approved":
        return
    assert obligations
    assert not any(each.verdict == "deny" for each in state.votes)
    for demanded in obligations:
        people = {
            each.operator.lower() for each in state.votes if demanded.from_group in each.groups
        } - {"ana", "clerk", "scout"}
        assert len(people) >= max(1, demanded.quorum)


@given(st.lists(VOTES, max_size=8), VOTES)
def test_an_answer_after_the_end_changes_nothing(votes: list[Vote], late: Vote) -> None:
    state = request(obligation())
    for each in votes:
        state = answered(state, each)
    if state.state != "asked":
        assert answered(state, late) == state
