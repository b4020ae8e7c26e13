"""Tokens: what the gateway signs comes back as it was; everything else is refused, and why."""

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.epoch import Epoch
from gateway.identity import scopes
from gateway.identity.errors import AuthError
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.principal import Principal
from tests.gateway.identity.forging import FORGED, LIFE, NOW, SKEW, URL, Forge, Make


@pytest.fixture
def forge(keys: KeySet, issuer: Issuer, clerk: Principal) -> Forge:
    return Forge(keys, issuer.issue(clerk))


@pytest.mark.parametrize(("reason", "make"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(
    tokens: TokenCheck, forge: Forge, reason: str, make: Make
) -> None:
    forged = make(forge).encode()
    for _ in range(2):  # a refusal is not remembered as anything else
        with pytest.raises(AuthError) as refused:
            tokens.check(forged, NOW)
        assert (refused.value.reason, refused.value.code) == (reason, f"auth.{reason}")


NEVER_GOOD = {name: case for name, case in FORGED.items() if case[0] != "expired"}


@pytest.mark.parametrize(("reason", "make"), NEVER_GOOD.values(), ids=NEVER_GOOD.keys())
def test_a_forged_token_is_refused_for_renewal_too(
    tokens: TokenCheck, forge: Forge, reason: str, make: Make
) -> None:
    with pytest.raises(AuthError) as refused:
        tokens.check_renewable(make(forge).encode(), NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize("make", [make for _, make in FORGED.values()], ids=FORGED.keys())
def test_a_refusal_does_not_repeat_the_token(tokens: TokenCheck, forge: Forge, make: Make) -> None:
    forged = make(forge)
    with pytest.raises(AuthError) as refused:
        tokens.check(forged.encode(), NOW)
    words = str(refused.value)
    assert not any(part in words for part in forged.split(".") if len(part) > 8)
    assert "eve" not in words
    assert "evil" not in words


def test_what_the_forger_builds_on_is_good(tokens: TokenCheck, forge: Forge) -> None:
    assert forge.signed() == forge.good
    tokens.check(forge.good.encode(), NOW)


def test_no_socket_is_opened_for_a_key_named_in_a_token(
    tokens: TokenCheck, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("reached out"))
    for make in (FORGED[name][1] for name in ("jku", "x5u", "kid-url")):
        with pytest.raises(AuthError):
            tokens.check(make(forge).encode(), NOW)


def test_a_token_comes_back_as_the_principal_it_was_issued_for(
    tokens: TokenCheck, issuer: Issuer, clerk: Principal
) -> None:
    assert tokens.check(issuer.issue(clerk).encode(), NOW) == clerk


def test_the_claims_are_the_documented_ones(forge: Forge) -> None:
    assert forge.claims == {
        "iss": URL,
        "aud": URL,
        "sub": "ana",
        "client_id": "clerk",
        "act": {"sub": "agent:clerk"},
        "sid": "0193f0a2-session",
        "scope": "git.* ledger.pay",
        "hops": 1,
        "jti": "0193f0a2-token",
        "iat": NOW,
        "exp": NOW + LIFE,
        "groups": ["finance"],
    }


def test_an_audience_in_a_list_by_itself_is_that_audience(
    tokens: TokenCheck, forge: Forge, clerk: Principal
) -> None:
    assert tokens.check(forge.with_claims(aud=[URL]).encode(), NOW) == clerk


agents = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
principals = st.builds(
    Principal,
    agent=agents,
    user=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+|-]{0,40}", fullmatch=True),
    user_groups=st.frozensets(agents, max_size=4),
    chain=st.lists(agents, max_size=8).map(tuple),
    session=ids,
    scopes=st.lists(st.sampled_from(("*", "git.*", "git.log", "crm.x")), min_size=1).map(
        lambda patterns: scopes.parse(" ".join(patterns))
    ),
    hops=st.integers(0, 8),
    token_id=ids,
    issued=st.integers(NOW - LIFE, NOW + SKEW),
    expires=st.integers(NOW + SKEW + 1, NOW + 86_400),
    bound_to=st.none() | st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True),
    root=st.just("") | ids,
)


@given(principals)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_every_principal_survives_its_token(
    tokens: TokenCheck, issuer: Issuer, some: Principal
) -> None:
    assert tokens.check(issuer.issue(some).encode(), NOW) == some


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_other_byte_anywhere_makes_another_good_token(
    tokens: TokenCheck, issuer: Issuer, clerk: Principal, place: int, byte: int
) -> None:
    good = issuer.issue(clerk).encode()
    changed = bytearray(good)
    changed[place % len(good)] = byte
    if bytes(changed) == good:
        return
    with pytest.raises(AuthError):
        tokens.check(bytes(changed), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"user": "agent:root"}, id="user-named-like-an-agent"),
        pytest.param({"user": "ana maria"}, id="space-in-user"),
        pytest.param({"agent": "Clerk"}, id="upper-case-agent"),
        pytest.param({"chain": tuple("abcdefghi")}, id="chain-too-long"),
        pytest.param({"expires": NOW}, id="no-life"),
        pytest.param({"scopes": ()}, id="no-scope"),
        pytest.param({"scopes": ("git.log", "git.*")}, id="scopes-not-shortest"),
        pytest.param({"hops": -1}, id="negative-hops"),
        pytest.param(
            {"user_groups": frozenset(f"{'g' * 120}{n}" for n in range(64))}, id="too-large"
        ),
    ],
)
def test_what_could_not_be_read_back_is_not_signed(
    issuer: Issuer, clerk: Principal, changes: dict[str, Any]
) -> None:
    with pytest.raises(AuthError):
        issuer.issue(replace(clerk, **changes))


# -- time


@pytest.mark.parametrize("late", [0, LIFE - 1, LIFE, LIFE + SKEW - 1])
def test_a_token_is_good_until_its_end_and_the_skew(
    tokens: TokenCheck, forge: Forge, clerk: Principal, late: int
) -> None:
    assert tokens.check(forge.good.encode(), NOW + late) == clerk


def test_a_remembered_token_expires_like_any_other(tokens: TokenCheck, forge: Forge) -> None:
    tokens.check(forge.good.encode(), NOW)
    with pytest.raises(AuthError) as refused:
        tokens.check(forge.good.encode(), NOW + LIFE + SKEW)
    assert refused.value.code == "auth.expired"


@pytest.mark.parametrize("early", [1, SKEW])
def test_a_token_may_begin_within_the_skew(
    tokens: TokenCheck, forge: Forge, clerk: Principal, early: int
) -> None:
    assert tokens.check(forge.good.encode(), NOW - early) == clerk


def test_a_token_from_the_future_is_refused(tokens: TokenCheck, forge: Forge) -> None:
    with pytest.raises(AuthError, match="not yet good"):
        tokens.check(forge.good.encode(), NOW - SKEW - 1)


@pytest.mark.parametrize("late", [0, LIFE, 2 * LIFE - 1])
def test_a_token_can_be_renewed_until_it_was_over_for_its_own_life(
    tokens: TokenCheck, forge: Forge, clerk: Principal, late: int
) -> None:
    assert tokens.check_renewable(forge.good.encode(), NOW + late) == clerk


def test_a_token_that_is_over_for_longer_than_its_life_is_not_renewed(
    tokens: TokenCheck, forge: Forge
) -> None:
    with pytest.raises(AuthError) as refused:
        tokens.check_renewable(forge.good.encode(), NOW + 2 * LIFE)
    assert refused.value.code == "auth.expired"


# -- revocation and the epoch


@pytest.mark.parametrize(
    "revoke",
    [
        pytest.param(lambda r: r.revoke_token("0193f0a2-token", until_s=NOW), id="token"),
        pytest.param(lambda r: r.end_session("0193f0a2-session", until_s=NOW), id="session"),
        pytest.param(lambda r: r.suspend("agent", "clerk"), id="agent"),
        pytest.param(lambda r: r.suspend("agent", "front"), id="agent-in-the-chain"),
    ],
)
def test_a_revoked_token_is_refused_at_the_next_call(
    tokens: TokenCheck,
    issuer: Issuer,
    revocations: Revocations,
    clerk: Principal,
    revoke: Callable[[Revocations], None],
) -> None:
    token = issuer.issue(replace(clerk, chain=("front",))).encode()
    tokens.check(token, NOW)
    revoke(revocations)
    for check in (tokens.check, tokens.check_renewable):
        with pytest.raises(AuthError) as refused:
            check(token, NOW)
        assert refused.value.code == "auth.revoked"


def test_a_resumed_agent_is_heard_again(
    tokens: TokenCheck, forge: Forge, revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    revocations.resume("agent", "clerk")
    assert tokens.check(forge.good.encode(), NOW) == clerk


def test_a_retired_key_ends_its_tokens_with_the_epoch(
    key_folder: Path, revocations: Revocations, epoch: Epoch, clerk: Principal
) -> None:
    keys = KeySet.open(key_folder, NOW)
    tokens = TokenCheck(keys, revocations, epoch, public_url=URL, skew_s=SKEW)
    token = Issuer(keys, public_url=URL).issue(clerk).encode()
    keys.rotate(NOW + 1)
    assert tokens.check(token, NOW) == clerk
    keys.retire(NOW + 2)
    epoch.advance()
    with pytest.raises(AuthError):
        tokens.check(token, NOW)


def test_only_so_many_tokens_are_remembered(
    keys: KeySet, issuer: Issuer, revocations: Revocations, epoch: Epoch, clerk: Principal
) -> None:
    tokens = TokenCheck(keys, revocations, epoch, public_url=URL, skew_s=SKEW, max_cached=3)
    for number in range(10):
        some = replace(clerk, token_id=f"token-{number}")
        assert tokens.check(issuer.issue(some).encode(), NOW) == some
        assert len(tokens._verified) <= 3


def test_tokens_that_share_their_claims_are_remembered_apart(
    tokens: TokenCheck, forge: Forge
) -> None:
    tokens.check(forge.good.encode(), NOW)
    other = b"AA" if not forge.good.endswith("AA") else b"AQ"  # one signature in 16 ends so
    with pytest.raises(AuthError):
        tokens.check(forge.good[:-2].encode() + other, NOW)
    assert list(tokens._verified) == [sha256(forge.good.encode()).digest()]


@pytest.mark.long
def test_a_remembered_token_costs_two_microseconds(tokens: TokenCheck, forge: Forge) -> None:
    token = forge.good.encode()
    rounds = []
    for _ in range(20):
        begin = time.perf_counter_ns()
        for _ in range(2000):
            tokens.check(token, NOW)
        rounds.append((time.perf_counter_ns() - begin) / 2000)
    assert min(rounds) <= 2000
