from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.epoch import Epoch
from gateway.identity.revocation import GRACE_S, Revocations
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
