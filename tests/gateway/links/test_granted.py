import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from gateway.errors import FetchFailed, GatewayError, TokenRefused
from gateway.links import granted as module
from gateway.links.granted import PAUSE_S, REPLACED_EVERY_S, GrantedAuthorization, GrantedTokens
from gateway.links.link import Caller
from gateway.links.oauth_client import Granted

ANA = Caller("clerk", "ana")
OTHERS = [
    pytest.param(replace(ANA, user="bob"), id="user"),
    pytest.param(replace(ANA, user=None), id="no-user"),
    pytest.param(replace(ANA, agent="other"), id="agent"),
    pytest.param(replace(ANA, chain=("front",)), id="chain"),
]


class Issuer:
    """Gives tokens that say whose they are."""

    def __init__(self) -> None:
        self.now = 1000
        self.asked: Counter[Caller | None] = Counter()
        self.lifetime_s = 300
        self.fails: GatewayError | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, caller: Caller | None) -> Granted:
        self.asked[caller] += 1
        number = self.asked[caller]
        await self.free.wait()
        if self.fails is not None:
            raise self.fails
        return Granted(f"{caller}-{number}", self.lifetime_s)

    def tokens(self, *, most: int = 100) -> GrantedTokens[Caller | None]:
        return GrantedTokens(self, lambda: self.now, most=most)


@pytest.fixture
async def issuer() -> Issuer:
    return Issuer()


async def test_a_token_is_kept_until_shortly_before_its_end(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    first = await tokens.get(ANA)
    issuer.now += 239
    assert await tokens.get(ANA) == first
    issuer.now += 1
    assert await tokens.get(ANA) != first
    assert issuer.asked[ANA] == 2


async def test_a_token_that_lives_long_is_replaced_after_an_hour(issuer: Issuer) -> None:
    issuer.lifetime_s = 10**9
    tokens = issuer.tokens()
    first = await tokens.get(ANA)
    issuer.now += 3600
    assert await tokens.get(ANA) != first


@pytest.mark.parametrize("other", OTHERS)
async def test_no_two_callers_share_a_token(other: Caller, issuer: Issuer) -> None:
    tokens = issuer.tokens()
    assert await tokens.get(ANA) != await tokens.get(other)
    assert await tokens.get(ANA) != await tokens.get(None)
    assert issuer.asked == {ANA: 1, other: 1, None: 1}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("per_caller", [True, False])
async def test_callers_have_headers_of_their_own_or_go_by_the_gateways(
    per_caller: bool, other: Caller, issuer: Issuer
) -> None:
    sent = GrantedAuthorization(issuer, lambda: issuer.now, per_caller=per_caller)
    values = {await sent.value(caller) for caller in (ANA, other, None)}
    assert len(values) == (3 if per_caller else 1)
    assert f"Bearer {None}-1" in values
    sent.refused(f"Bearer {None}-1")
    assert await sent.value(None) == f"Bearer {None}-2"


async def test_at_most_one_request_is_under_way(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    issuer.free.clear()
    waiting = [asyncio.create_task(tokens.get(ANA)) for _ in range(20)]
    await asyncio.sleep(0)
    issuer.free.set()
    assert len(set(await asyncio.gather(*waiting))) == 1
    assert issuer.asked == {ANA: 1}


async def test_whoever_gives_up_does_not_take_the_token_from_others(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    issuer.free.clear()
    first, second = (asyncio.create_task(tokens.get(ANA)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    issuer.free.set()
    assert await second == f"{ANA}-2"


async def test_after_a_refusal_nobody_asks_for_a_while(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    issuer.fails = FetchFailed("no")
    for _ in range(5):
        with pytest.raises(GatewayError, match="no"):
            await tokens.get(ANA)
    assert issuer.asked[ANA] == 1
    issuer.now += PAUSE_S
    issuer.fails = None
    await tokens.get(ANA)


async def test_a_failure_for_one_caller_is_none_for_another(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    issuer.fails = TokenRefused("no")
    with pytest.raises(TokenRefused):
        await tokens.get(ANA)
    issuer.fails = None
    await tokens.get(replace(ANA, user="bob"))


async def test_no_old_token_is_used_where_no_new_one_is_to_be_had(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    await tokens.get(ANA)
    issuer.now += 300
    issuer.fails = FetchFailed("no")
    with pytest.raises(FetchFailed):
        await tokens.get(ANA)
    with pytest.raises(TokenRefused):
        await tokens.get(ANA)


async def test_a_token_that_the_server_refused_is_replaced_once(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    first = await tokens.get(ANA)
    tokens.refused(first)
    second = await tokens.get(ANA)
    assert second != first
    tokens.refused(second)
    assert await tokens.get(ANA) == second, "a server that takes none makes nobody ask for ever"
    issuer.now += REPLACED_EVERY_S
    assert await tokens.get(ANA) != second


async def test_a_refusal_of_an_earlier_token_says_nothing_of_this_one(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    first = await tokens.get(ANA)
    tokens.refused(first)
    second = await tokens.get(ANA)
    tokens.refused(first)
    issuer.now += 1
    assert await tokens.get(ANA) == second


async def test_the_number_of_callers_is_bounded(issuer: Issuer) -> None:
    tokens = issuer.tokens(most=3)
    for number in range(5):
        await tokens.get(Caller(f"agent-{number}", None))
    assert len(tokens._kept) == 3
    await tokens.get(Caller("agent-4", None))
    await tokens.get(Caller("agent-0", None))
    assert issuer.asked[Caller("agent-4", None)] == 1
    assert issuer.asked[Caller("agent-0", None)] == 2


async def test_a_request_that_takes_too_long_is_given_up(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_S", 0.02)
    issuer.free.clear()
    with pytest.raises(TokenRefused, match="no token within"):
        await issuer.tokens().get(ANA)
