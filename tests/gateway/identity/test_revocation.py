from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.epoch import Epoch
from gateway.identity.revocation import GRACE_S, Kind, Revocations
from gateway.principal import Principal

NOW = 1_795_154_745
LIFE = 900

Change = Callable[[Revocations], None]

CHANGES = [
    pytest.param(lambda r: r.revoke_token("0193f0a2-token", until_s=NOW), id="token"),
    pytest.param(lambda r: r.end_session("0193f0a2-session", until_s=NOW), id="session"),
    pytest.param(lambda r: r.suspend("agent", "clerk"), id="agent"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_revocation_concerns_its_own_credentials_only(
    revocations: Revocations, clerk: Principal, change: Change
) -> None:
    change(revocations)
    assert revocations.revoked(clerk)
    other = replace(clerk, agent="scout", session="other-session", token_id="other-token")
    assert not revocations.revoked(other)


@pytest.mark.parametrize("change", CHANGES)
def test_every_revocation_raises_the_epoch(
    revocations: Revocations, epoch: Epoch, change: Change
) -> None:
    before = epoch.value
    change(revocations)
    assert epoch.value > before


def test_names_of_one_kind_are_not_those_of_another(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.revoke_token(clerk.session, until_s=NOW)
    revocations.end_session(clerk.token_id, until_s=NOW)
    revocations.suspend("agent", clerk.token_id)
    revocations.revoke_token(f"agent:{clerk.agent}", until_s=NOW)
    assert not revocations.revoked(clerk)


def test_a_resumption_raises_the_epoch_once(revocations: Revocations, epoch: Epoch) -> None:
    revocations.suspend("agent", "clerk")
    before = epoch.value
    revocations.resume("agent", "clerk")
    revocations.resume("agent", "clerk")
    assert epoch.value == before + 1
    assert not revocations.suspended("agent", "clerk")


def test_a_revocation_is_forgotten_only_when_the_credential_is_dead_anyway(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.revoke_token(clerk.token_id, until_s=NOW + LIFE)
    revocations.forget(NOW + LIFE + GRACE_S)
    assert revocations.revoked(clerk)
    revocations.forget(NOW + LIFE + GRACE_S + 1)
    assert not revocations.revoked(clerk)


def test_a_suspension_is_never_forgotten(revocations: Revocations, clerk: Principal) -> None:
    revocations.suspend("agent", "clerk")
    revocations.forget(2**52)
    assert revocations.revoked(clerk)


def test_an_earlier_end_does_not_shorten_a_revocation(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.end_session(clerk.session, until_s=NOW + LIFE)
    revocations.end_session(clerk.session, until_s=NOW)
    revocations.forget(NOW + GRACE_S + 1)
    assert revocations.revoked(clerk)


@pytest.mark.parametrize("change", CHANGES)
def test_a_stored_revocation_holds_after_a_restart(
    revocations: Revocations, clerk: Principal, change: Change
) -> None:
    change(revocations)
    after = Revocations(Epoch())
    for key in revocations.changed:
        row = revocations.stored(key)
        assert row is not None
        after.restore(key, row)
    assert after.revoked(clerk)


def test_what_was_forgotten_has_no_row_any_more(revocations: Revocations) -> None:
    revocations.revoke_token("gone", until_s=NOW)
    revocations.changed.clear()
    revocations.forget(NOW + GRACE_S + 1)
    assert [revocations.stored(key) for key in revocations.changed] == [None]


# -- suspensions ------------------------------------------------------------------------------


def ana(clerk: Principal) -> Principal:
    return replace(clerk, user="ana")


@pytest.mark.parametrize(
    ("kind", "name", "bar"),
    [
        ("agent", "clerk", "auth.revoked"),
        ("user", "ana", "auth.revoked"),
        ("server", "ledger", "server.suspended"),
        ("tool", "ledger.pay", "tool.suspended"),
    ],
)
def test_a_suspension_stands_against_a_call_until_it_is_taken_back(
    revocations: Revocations, clerk: Principal, kind: Kind, name: str, bar: str
) -> None:
    revocations.suspend(kind, name)
    assert revocations.against(ana(clerk), "ledger.pay") == bar
    assert revocations.all_suspended(kind) == (name,)
    revocations.resume(kind, name)
    assert revocations.against(ana(clerk), "ledger.pay") is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("agent", "cler"),
        ("agent", "ana"),
        ("user", "clerk"),
        ("user", "an"),
        ("server", "ledge"),
        ("server", "ledger.pay"),
        ("tool", "ledger"),
        ("tool", "pay"),
        ("tool", "ledger.pay2"),
    ],
)
def test_a_suspension_of_something_else_stands_against_nothing(
    revocations: Revocations, clerk: Principal, kind: Kind, name: str
) -> None:
    revocations.suspend(kind, name)
    assert revocations.against(ana(clerk), "ledger.pay") is None


def test_a_call_for_nobody_is_no_call_for_a_suspended_person(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("user", "None")
    assert not revocations.revoked(replace(clerk, user=None))


def test_a_stop_stands_against_everything_before_anything_else(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    revocations.stop()
    assert revocations.against(clerk, "ledger.pay") == "gateway.stopped"
    revocations.go()
    assert revocations.against(clerk, "ledger.pay") == "auth.revoked"


# -- what the fleet says ----------------------------------------------------------------------


def test_what_the_fleet_holds_withdrawn_counts_until_it_takes_it_back(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.heard("agent:clerk", stands=True)
    assert revocations.revoked(clerk)
    assert revocations.changed == set()  # it is not ours to keep
    revocations.heard("agent:clerk", stands=False)
    assert not revocations.revoked(clerk)


def test_the_fleet_says_nothing_against_what_it_has_not_been_told(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    revocations.heard("agent:clerk", stands=False)
    assert revocations.revoked(clerk)


def test_what_the_fleet_was_told_it_can_take_back(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    (untold,) = revocations.untold
    assert revocations.told(untold.key, untold.act)
    assert revocations.untold == ()
    assert revocations.revoked(clerk)
    revocations.heard("agent:clerk", stands=False)
    assert not revocations.revoked(clerk)


def test_what_was_withdrawn_anew_meanwhile_is_still_to_be_told(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    (before,) = revocations.untold
    revocations.resume("agent", "clerk")
    revocations.suspend("agent", "clerk")
    assert not revocations.told(before.key, before.act)
    revocations.heard("agent:clerk", stands=False)
    assert revocations.revoked(clerk)


def test_a_resumption_here_changes_nothing_while_the_fleet_holds_it(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    revocations.told("agent:clerk")
    revocations.heard("agent:clerk", stands=True)
    revocations.resume("agent", "clerk")
    assert revocations.revoked(clerk)
    assert revocations.untold == ()


def test_another_fleet_is_to_be_told_everything_and_has_said_nothing(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    revocations.told("agent:clerk")
    revocations.heard("agent:clerk", stands=False)
    revocations.heard("user:ana", stands=True)
    revocations.tell_anew()
    assert [each.key for each in revocations.untold] == ["agent:clerk"]
    assert revocations.revoked(clerk)
    assert not revocations.suspended("user", "ana")


def test_what_the_fleet_said_is_forgotten_when_it_is_dead_anyway(
    revocations: Revocations, clerk: Principal
) -> None:
    revocations.heard(f"token:{clerk.token_id}", stands=True, until_s=NOW)
    revocations.forget(NOW + GRACE_S + 1)
    assert not revocations.revoked(clerk)


def test_hearing_what_is_known_raises_no_epoch(revocations: Revocations, epoch: Epoch) -> None:
    revocations.suspend("agent", "clerk")
    before = epoch.value
    revocations.told("agent:clerk")
    revocations.heard("agent:clerk", stands=True)
    assert epoch.value == before


@pytest.mark.parametrize("told", [True, False])
def test_whether_the_fleet_knows_survives_a_restart(revocations: Revocations, told: bool) -> None:
    revocations.suspend("agent", "clerk")
    if told:
        revocations.told("agent:clerk")
    row = revocations.stored("agent:clerk")
    assert row is not None
    after = Revocations(Epoch())
    after.restore("agent:clerk", row)
    assert bool(after.untold) is not told
