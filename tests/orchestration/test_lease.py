"""Leases: however a run is divided, its parts never use more than the whole had."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lease import Lease
from orchestration.stop import Stopped

amounts = st.integers(0, 50)
leases = st.builds(Lease, amounts, amounts, amounts)


@pytest.mark.parametrize(
    ("lease", "tokens", "cost", "code"),
    [
        pytest.param(Lease(0, 9, 9), 0, 0, "run.calls", id="no-call"),
        pytest.param(Lease(1, 9, 9), 10, 0, "run.tokens", id="too-few-tokens"),
        pytest.param(Lease(1, 9, 9), 0, 10, "run.cost", id="too-dear"),
    ],
)
def test_what_is_not_there_is_not_taken(lease: Lease, tokens: int, cost: int, code: str) -> None:
    before = lease.to_json()
    with pytest.raises(Stopped) as stopped:
        lease.take(at="r/1", tokens=tokens, cost=cost)
    assert (stopped.value.code, stopped.value.at) == (code, "r/1")
    assert lease.to_json() == before


@given(lease=leases, parts=st.integers(1, 8), keep=st.integers(0, 8))
def test_shares_come_to_no_more_than_the_whole(lease: Lease, parts: int, keep: int) -> None:
    before = lease.to_json()
    kept = min(keep, lease.calls)
    shares = lease.split(parts, keep=keep)
    assert lease.calls >= kept
    for share in shares:
        lease.give_back(share)
    assert lease.to_json() == before


def spend(lease: Lease, data: st.DataObject, depth: int, used: dict[str, int]) -> None:
    """Use a lease in some way, parts of it in parts of the tree."""
    for _ in range(data.draw(st.integers(0, 3))):
        tokens, cost = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20))
        with suppress(Stopped):
            lease.take(at="r", tokens=tokens, cost=cost)
            left = data.draw(st.integers(0, tokens))
            lease.settle(tokens=left, cost=0)
            used["calls"] += 1
            used["tokens"] += tokens - left
            used["cost"] += cost
    if depth:
        shares = lease.split(data.draw(st.integers(1, 4)))
        for share in shares:
            spend(share, data, depth - 1, used)
            lease.give_back(share)


@given(lease=leases, data=st.data())
def test_a_tree_uses_what_it_had_at_most(lease: Lease, data: st.DataObject) -> None:
    had, used = lease.to_json(), {"calls": 0, "tokens": 0, "cost": 0}
    spend(lease, data, 3, used)
    assert {name: used[name] + left for name, left in lease.to_json().items()} == had  # type: ignore[operator]  # numbers
    assert min(lease.calls, lease.tokens, lease.cost) >= 0
