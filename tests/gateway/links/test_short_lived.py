import pytest

from gateway.errors import TokenRefused
from gateway.known_secrets import KnownSecrets
from gateway.links.short_lived import GRACE_S, LONGEST_S, ShortLived
from tests.gateway.links.conftest import Clock


@pytest.fixture
def known() -> KnownSecrets:
    return KnownSecrets()


def test_a_secret_is_known_until_some_time_after_its_end(clock: Clock, known: KnownSecrets) -> None:
    kept = ShortLived(known, clock)
    kept.keep("first-token", clock.now + 60)
    clock.now += 60 + GRACE_S - 1
    kept.keep("second-token", clock.now + 60)
    assert {"first-token", "second-token"} <= set(known.spellings)
    clock.now += 1
    kept.keep("third-token", clock.now + 60)
    assert "first-token" not in known.spellings


def test_a_secret_that_comes_again_is_known_until_its_last_end(
    clock: Clock, known: KnownSecrets
) -> None:
    kept = ShortLived(known, clock)
    kept.keep("one-token", clock.now + 1000)
    kept.keep("one-token", clock.now + 10)
    clock.now += 1000 + GRACE_S - 1
    kept.keep("other-token", clock.now)
    assert "one-token" in known.spellings


def test_no_end_is_further_than_a_day(clock: Clock, known: KnownSecrets) -> None:
    kept = ShortLived(known, clock)
    kept.keep("long-token", clock.now + 10 * LONGEST_S)
    clock.now += LONGEST_S + GRACE_S
    kept.keep("other-token", clock.now)
    assert "long-token" not in known.spellings


def test_one_too_many_is_refused_since_it_could_not_be_masked(
    clock: Clock, known: KnownSecrets
) -> None:
    kept = ShortLived(known, clock, most=2)
    kept.keep("token-one", clock.now + 60)
    kept.keep("token-two", clock.now + 60)
    kept.keep("token-two", clock.now + 60)
    with pytest.raises(TokenRefused):
        kept.keep("token-three", clock.now + 60)
    clock.now += 60 + GRACE_S
    kept.keep("token-three", clock.now + 60)
