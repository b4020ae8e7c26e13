"""Rotation of signing keys: nobody is refused on the way, and it is recorded before it is so."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditUnavailable
from gateway.identity.errors import TooManyKeys
from gateway.identity.keys import KeySet
from gateway.identity.rotation import MAX_KEYS, Rotation
from tests.harness.agent import Agent
from tests.harness.gateway import Clock, Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import desk

NOW = 1_795_154_745
KEPT_S = 7210
TOKENS = {"use": "tokens"}


class Log:
    """Notes what is written, and which keys there were by then."""

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys
        self.entries: list[tuple[str, str, int]] = []
        self.is_full = False

    async def __call__(self, kind: str, fields: Mapping[str, Json]) -> Receipt:
        if self.is_full:
            raise AuditUnavailable("full")
        self.entries.append((kind, str(fields["key"]), len(self.keys.all())))
        return Receipt("gw.example/log", len(self.entries), bytes(32))


@pytest.fixture
def keys(tmp_path: Path) -> KeySet:
    return KeySet.open(tmp_path / "keys", NOW)


@pytest.fixture
def log(keys: KeySet) -> Log:
    return Log(keys)


@pytest.fixture
def rotation(keys: KeySet, log: Log) -> Rotation:
    return Rotation(keys, log, kept_s=KEPT_S)


async def rotate(rotation: Rotation, now_s: int = NOW) -> str:
    return (await rotation.rotate(now_s, by="operator:adam", source="127.0.0.1:1")).id


async def test_a_key_is_recorded_before_it_signs(
    rotation: Rotation, keys: KeySet, log: Log
) -> None:
    made = await rotate(rotation)
    assert keys.active.id == made
    assert log.entries == [("key.rotated", made, 1)]


async def test_without_a_record_nothing_changes(rotation: Rotation, keys: KeySet, log: Log) -> None:
    before = keys.active
    log.is_full = True
    with pytest.raises(AuditUnavailable):
        await rotate(rotation)
    assert keys.active is before
    assert len(keys.all()) == 1


async def test_many_at_once_are_as_many_keys_in_one_order(
    rotation: Rotation, keys: KeySet, tmp_path: Path
) -> None:
    made = await asyncio.gather(*(rotate(rotation) for _ in range(4)))
    assert len({*made}) == 4
    assert len({key.made for key in keys.all()}) == 5
    assert KeySet.open(tmp_path / "keys", NOW).active.id == keys.active.id


async def test_there_are_so_many_keys_at_a_time(rotation: Rotation, keys: KeySet) -> None:
    for _ in range(MAX_KEYS - 1):
        await rotate(rotation)
    with pytest.raises(TooManyKeys):
        await rotate(rotation)
    await rotation.retire(NOW + KEPT_S + MAX_KEYS + 1)
    await rotate(rotation, NOW + KEPT_S + MAX_KEYS + 1)


async def test_an_old_key_stays_until_its_last_token_is_over(
    rotation: Rotation, keys: KeySet, log: Log
) -> None:
    old = keys.active.id
    await rotate(rotation, NOW + 100)
    await rotation.retire(NOW + 100 + KEPT_S)
    assert keys.public(old) is not None
    await rotation.retire(NOW + 101 + KEPT_S)
    assert keys.public(old) is None
    assert log.entries[-1] == ("key.retired", old, 2)
    await rotation.retire(NOW + 10**6)
    assert len(keys.all()) == 1, "the one that signs stays, however old it is"


async def test_a_key_whose_end_cannot_be_recorded_stays(
    rotation: Rotation, keys: KeySet, log: Log
) -> None:
    await rotate(rotation)
    log.is_full = True
    with pytest.raises(AuditUnavailable):
        await rotation.retire(NOW + 10**6)
    assert len(keys.all()) == 2


async def test_what_another_gateway_made_of_the_keys_is_followed_and_recorded(
    tmp_path: Path,
) -> None:
    both = [KeySet.open(tmp_path / "keys", NOW, shared=True) for _ in range(2)]
    logs = [Log(keys) for keys in both]
    one, other = (Rotation(keys, log, kept_s=KEPT_S) for keys, log in zip(both, logs, strict=True))
    old, made = both[0].active.id, await rotate(one)
    await other.follow()
    await other.follow()
    assert both[1].active.id == made
    assert logs[1].entries == [("key.heard", made, 2)]
    await one.retire(NOW + 10**6)
    await other.retire(NOW + 10**6)
    assert logs[1].entries[1:] == [("key.heard", old, 1)]
    assert logs[0].entries == [("key.rotated", made, 1), ("key.retired", old, 2)]


async def test_what_could_not_be_recorded_counts_and_is_recorded_later(tmp_path: Path) -> None:
    both = [KeySet.open(tmp_path / "keys", NOW, shared=True) for _ in range(2)]
    log = Log(both[1])
    other = Rotation(both[1], log, kept_s=KEPT_S)
    made = both[0].rotate(NOW).id
    log.is_full = True
    with pytest.raises(AuditUnavailable):
        await other.follow()
    assert both[1].active.id == made
    log.is_full = False
    await other.follow()
    assert log.entries == [("key.heard", made, 2)]


async def test_what_one_changes_while_others_follow_is_recorded_as_its_own(
    tmp_path: Path,
) -> None:
    both = [KeySet.open(tmp_path / "keys", NOW, shared=True) for _ in range(2)]
    log = Log(both[0])
    one = Rotation(both[0], log, kept_s=KEPT_S)
    made = await asyncio.gather(*(rotate(one) for _ in range(3)), *(one.follow() for _ in range(5)))
    await asyncio.gather(one.retire(NOW + 10**6), *(one.follow() for _ in range(5)))
    assert {kind for kind, _, _ in log.entries} == {"key.rotated", "key.retired"}
    assert len([each for each in made if each is not None]) == 3


# -- in a gateway that serves ------------------------------------------------------------------


def key_of(token: str | None) -> str:
    assert token is not None
    found: str = jwt.get_unverified_header(token)["kid"]
    return found


async def busy(gateway: Running, done: asyncio.Event) -> list[int]:
    """Statuses of calls without a pause, with tokens that are taken anew now and then."""
    seen: list[int] = []
    clerk: Agent | None = None
    while not done.is_set():
        if clerk is None or len(seen) % 10 == 0:
            clerk = await gateway.agent()
        seen.append((await clerk.call("desk.look")).http)
    return seen


async def test_no_call_is_refused_while_keys_change(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, DESK, {"desk": upstream}) as gateway:
        early, done = await gateway.agent(), asyncio.Event()
        working = [asyncio.create_task(busy(gateway, done)) for _ in range(4)]
        for _ in range(5):
            rotated = await gateway.operate("POST", "/api/keys/rotate", TOKENS)
            fresh = await gateway.agent()
            assert key_of(fresh.token) == rotated.json()["id"]
            assert (await early.call("desk.look")).done
        done.set()
        seen = [status for statuses in await asyncio.gather(*working) for status in statuses]
        assert len(seen) > 10
        assert set(seen) == {200}
        assert len(gateway.entries("key.rotated")) == 5
        assert gateway.entries("refusal") == []


async def test_a_token_outlives_a_rotation_and_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    async with desk() as upstream:
        async with running(tmp_path, DESK, {"desk": upstream}, clock=clock) as gateway:
            clerk = await gateway.agent()
            await gateway.operate("POST", "/api/keys/rotate", TOKENS)
        # Its address is another one then, and with it the audience of tokens: keep the first.
        settings = {"public_url": gateway.url}
        async with running(
            tmp_path, DESK, {"desk": upstream}, clock=clock, settings=settings
        ) as again:
            headers = {
                "authorization": f"Bearer {clerk.token}",
                "host": gateway.url.removeprefix("http://"),
            }
            url = f"{again.url}/v1/tools/desk/look"
            answered = await again.http.post(url, json={}, headers=headers)
            assert answered.status_code == 200, answered.text


async def test_an_old_key_goes_by_itself_and_its_tokens_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        old = key_of((await gateway.agent()).token)
        await gateway.operate("POST", "/api/keys/rotate", TOKENS)
        shown = (await gateway.http.get(f"{gateway.url}/.well-known/jwks.json")).json()
        assert [key["kid"] for key in shown["keys"]][-1] == old
        gateway.clock.pass_s(2 * 3600 + 60)
        await gateway.until(lambda: bool(gateway.entries("key.retired")))
        (entry,) = gateway.entries("key.retired")
        assert entry["key"] == old
        listed = (await gateway.operate("GET", "/api/keys")).json()
        assert old not in [key["id"] for key in listed]


async def test_others_may_keep_our_public_keys_for_a_while(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        answered = await gateway.http.get(f"{gateway.url}/.well-known/jwks.json")
        assert answered.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("name", ["omar", "vera", "arno"])
async def test_only_an_administrator_changes_keys(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as gateway:
        refused = await gateway.operate("POST", "/api/keys/rotate", TOKENS, by=name, check=False)
        assert refused.status_code == 403
        assert gateway.entries("key.rotated") == []
