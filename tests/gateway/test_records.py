from dataclasses import replace

import pytest

from audit.entry import MAX_ENTRY_BYTES, Record, encode
from gateway.principal import actor
from gateway.records import outcome_entry
from gateway.session.charge import Charge
from tests.gateway.rooms import KEY, NOW_S, ONE_PERSON, Call, House

CHARGE = Charge("limit", "pays", "agent:clerk", 1, 60_000_000, NOW_S * 1_000_000)


def test_a_decision_tells_who_what_and_by_which_rules() -> None:
    key = replace(KEY, user="ana", chain=("scout", "chief"))
    body = Call("c1", key, effect="ask", obligations=(ONE_PERSON,)).decision("r1")
    assert body["actor"] == {"agent": "clerk", "chain": ["scout", "chief"], "sub": "ana"}
    assert body["tool"] == {"name": "ledger.pay", "pin": KEY.pin}
    assert body["session"] == "s1"
    assert body["approval"] == "r1"
    decided = body["decision"]
    assert isinstance(decided, dict)
    assert decided["effect"] == "ask"
    assert decided["rules"] == ["pay-large"]
    assert decided["obligations"] == [
        {
            "approval": "one-person",
            "from": "approvers",
            "quorum": 1,
            "expires": 1800,
            "requester_excluded": True,
            "passkey": False,
            "reason": False,
            "self": False,
            "escalate": None,
            "break_glass": None,
        }
    ]


@pytest.mark.parametrize(
    ("charges", "written"), [((), None), ((CHARGE,), [CHARGE.to_json()])], ids=["none", "one"]
)
def test_a_decision_carries_what_it_charges(charges: tuple[Charge, ...], written: object) -> None:
    decided = Call("c1", KEY, charges=charges).decision()["decision"]
    assert isinstance(decided, dict)
    assert decided.get("charges") == written


def test_a_decision_holds_no_argument() -> None:
    call = Call("c1", KEY, words=b'{"to":"planted"}')
    assert "planted" not in str(call.decision())
    assert "args" not in call.decision()


def test_a_decision_under_many_limits_fits_into_an_entry() -> None:
    long = replace(CHARGE, name="n" * 64, key=f"user:{'u' * 255}")
    body = Call("01a1f78f-96a8-7c3b-a255-b12417849359", KEY, charges=(long,) * 16).decision()
    raw = encode(Record("i", "decision", body), ts=NOW_S * 1_000_000, boot="0" * 16, seq=0)
    assert len(raw) < MAX_ENTRY_BYTES


async def test_an_outcome_points_to_the_entry_that_authorised_it(house: House) -> None:
    receipt = await house.decide(Call(house.recorder.new_id(), KEY))
    body = outcome_entry(
        "c1", receipt, tool="ledger.pay", session="s1", status="done", us=5, code=None
    )
    assert body["decision"] == {"index": receipt.index, "leaf": receipt.leaf.hex()}
    assert (body["call"], body["status"], body["labels"]) == ("c1", "done", [])


def test_the_actor_of_a_call_without_a_person_says_so() -> None:
    assert actor(Call("c1", KEY).principal) == {"agent": "clerk", "chain": [], "sub": None}
