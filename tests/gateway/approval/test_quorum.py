from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.approval.quorum import (
    answered,
    check_vote,
    due,
    groups_of,
    is_reached,
    retracted,
)
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


ESCALATING = replace(obligation(quorum=2), escalate_to="board", escalate_s=30)
BEHIND = replace(request(obligation()), behind=("ada", "bea"))


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
        pytest.param(BEHIND, vote("ada"), "approval.self", id="whose-agent-it-is"),
        pytest.param(BEHIND, vote("Bea"), "approval.self", id="who-opened-its-session"),
        pytest.param(
            request(ESCALATING),
            vote("zoe", groups=("board",)),
            "approval.group",
            id="who-is-asked-only-later",
        ),
        pytest.param(
            replace(request(replace(ESCALATING, passkey=True)), escalated=frozenset({"a"})),
            vote("zoe", groups=("board",)),
            "approval.passkey",
            id="no-passkey-of-who-is-asked-later",
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
        pytest.param(replace(request(OWN), behind=("ana",)), vote("ana"), id="whose-own-agent"),
        pytest.param(
            request(SIGNED), replace(vote("omar"), passkey="p"), id="signed-with-a-passkey"
        ),
        pytest.param(
            replace(request(ESCALATING), escalated=frozenset({"a"})),
            vote("zoe", groups=("board",)),
            id="who-is-asked-by-now",
        ),
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


# -- those who are asked later, and a yes that is taken back ------------------------------------


def test_a_further_group_counts_from_when_it_is_asked() -> None:
    two = (vote("omar"), vote("zoe", groups=("board",)))
    assert not is_reached(request(ESCALATING, votes=two))
    assert is_reached(replace(request(ESCALATING, votes=two), escalated=frozenset({"a"})))


def test_a_further_group_of_one_term_is_none_of_another() -> None:
    other = replace(obligation("legal"), approval="b", escalate_to="board", escalate_s=30)
    votes = (vote("omar"), vote("zoe", groups=("board",)))
    asked = request(obligation(), other, votes=votes)
    assert not is_reached(replace(asked, escalated=frozenset({"a"})))
    assert is_reached(replace(asked, escalated=frozenset({"b"})))


def test_whoever_is_asked_is_shown_the_groups_of_now() -> None:
    asked = request(ESCALATING)
    later = replace(asked, escalated=frozenset({"a"}))
    assert groups_of("zoe", ("board",), asked, members) == ()
    assert groups_of("zoe", ("board",), later, members) == ("board",)


@pytest.mark.parametrize(
    ("asked", "after_s", "is_due"),
    [
        pytest.param(request(ESCALATING), 29, False, id="too-early"),
        pytest.param(request(ESCALATING), 30, True, id="its-time"),
        pytest.param(request(obligation()), 59, False, id="no-further-group"),
        pytest.param(
            replace(request(ESCALATING), escalated=frozenset({"a"})), 59, False, id="already"
        ),
        pytest.param(replace(request(ESCALATING), state="approved"), 59, False, id="decided"),
    ],
)
def test_it_is_escalated_once_and_only_while_it_is_open(
    asked: Request, after_s: int, is_due: bool
) -> None:
    assert bool(due(asked, NOW_S + after_s)) == is_due


def test_a_yes_that_was_taken_back_counts_no_more_and_can_be_given_anew() -> None:
    asked = answered(request(obligation(quorum=2)), vote("omar"))
    back = retracted(asked, "OMAR")
    assert back.votes == ()
    assert not is_reached(answered(back, vote("ines")))
    assert is_reached(answered(answered(back, vote("ines")), vote("omar")))


def test_what_has_decided_is_not_taken_back() -> None:
    for last in (vote("omar"), vote("omar", "deny")):
        over = answered(request(obligation()), last)
        assert retracted(over, "omar") == over


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["omar", "ines", "lena"])), max_size=12))
def test_however_often_somebody_changes_their_mind_two_are_needed(
    acts: list[tuple[bool, str]],
) -> None:
    asked, standing = request(obligation(quorum=2)), set[str]()
    for gives, name in acts:
        if asked.state != "asked":
            break
        asked = answered(asked, vote(name)) if gives else retracted(asked, name)
        standing = standing | {name} if gives else standing - {name}
    assert (asked.state == "approved") == (len(standing) >= 2)
