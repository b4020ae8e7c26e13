import asyncio
import threading
from typing import cast

import pytest

from gateway.identity.assertions import Assertions
from gateway.identity.client_authentication import (
    MAX_AT_ONCE,
    MAX_WAITING,
    ClientAuthentication,
)
from gateway.identity.clients import Client, Clients
from gateway.identity.errors import OAuthError
from gateway.identity.oauth_request import Credentials, OAuthRequest
from gateway.identity.secret_hash import SecretHash
from gateway.identity.single_use import SingleUse

NOW = 1_795_154_745


class Slow(Clients):
    """Compares only once it is told to, and notes how many comparisons run at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.running = 0
        self.most = 0

    def verify(self, name: str, secret: str) -> Client | None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.go.wait(timeout=30)
        with self.lock:
            self.running -= 1
        return Client(name, SecretHash(14, 1, bytes(16), bytes(32)))


def asked(number: int) -> OAuthRequest:
    credentials = Credentials(f"agent-{number}", "x" * 32)
    return OAuthRequest({}, credentials, f"10.0.{number}.7:41022")


async def test_a_flood_is_turned_away_and_never_computed_all_at_once() -> None:
    slow = Slow()
    authentication = ClientAuthentication(slow, cast("Assertions", None), cast("SingleUse", None))
    waiting = [
        asyncio.create_task(authentication.authenticate(asked(number), NOW))
        for number in range(MAX_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(OAuthError) as refused:
        await authentication.authenticate(asked(MAX_WAITING), NOW)
    assert (refused.value.reason, refused.value.retry_after) == ("temporarily_unavailable", 5)
    slow.go.set()
    assert len(await asyncio.gather(*waiting)) == MAX_WAITING
    assert slow.most <= MAX_AT_ONCE


async def test_the_event_loop_runs_on_while_a_secret_is_compared() -> None:
    slow = Slow()
    authentication = ClientAuthentication(slow, cast("Assertions", None), cast("SingleUse", None))
    task = asyncio.create_task(authentication.authenticate(asked(1), NOW))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    slow.go.set()
    assert (await task).agent == "agent-1"
