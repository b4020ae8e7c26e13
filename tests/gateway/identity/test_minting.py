from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditUnavailable
from gateway.errors import SessionEnded
from gateway.identity.errors import AuthError
from gateway.identity.minting import Mint, Order
from gateway.identity.tokens import Issuer, TokenCheck

NOW = 1_795_154_745
MAX_TTL = 3600


@dataclass(frozen=True)
class Session:
    id: str = "session-1"
    ends: int = NOW + 8 * 3600


@dataclass
class Journal:
    entries: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)
    full_disk: bool = False

    async def record(self, kind: str, fields: Mapping[str, Json]) -> Receipt:
        if self.full_disk:
            raise AuditUnavailable("no space")
        self.entries.append((kind, fields))
        return Receipt("node-1", len(self.entries) - 1, bytes(32))


ORDER = Order(
    agent="clerk",
    user="ana",
    session=Session(),
    scopes=("git.*",),
    lifetime_s=900,
    by="operator:eva",
    source="127.0.0.1:41022",
)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def mint(issuer: Issuer, journal: Journal) -> Mint:
    numbers = count()
    return Mint(issuer, journal.record, lambda: f"id-{next(numbers)}", max_ttl_s=MAX_TTL)


async def test_what_is_minted_is_what_was_ordered_and_recorded(
    mint: Mint, journal: Journal, tokens: TokenCheck
) -> None:
    minted = await mint.mint(ORDER, NOW)
    assert tokens.check(minted.token.encode(), NOW) == minted.principal
    ((kind, entry),) = journal.entries
    assert (kind, entry["jti"], entry["by"]) == ("token.issue", "id-0", "operator:eva")
    assert entry["actor"] == {"agent": "clerk", "sub": "ana", "chain": []}
    assert minted.receipt.index == 0


async def test_every_token_has_an_id_of_its_own(mint: Mint) -> None:
    first, second = await mint.mint(ORDER, NOW), await mint.mint(ORDER, NOW)
    assert first.principal.token_id != second.principal.token_id


@pytest.mark.parametrize(
    ("lifetime_s", "session_s", "life"),
    [
        pytest.param(900, 8 * 3600, 900, id="as-asked"),
        pytest.param(10**9, 8 * 3600, MAX_TTL, id="longest-token"),
        pytest.param(900, 60, 60, id="end-of-session"),
        pytest.param(10**9, 1, 1, id="last-second"),
    ],
)
async def test_a_token_ends_at_the_earliest_of_three_ends(
    mint: Mint, lifetime_s: int, session_s: int, life: int
) -> None:
    session = Session(ends=NOW + session_s)
    minted = await mint.mint(replace(ORDER, lifetime_s=lifetime_s, session=session), NOW)
    assert minted.principal.expires == NOW + life


@pytest.mark.parametrize("late", [0, 1, 10**6])
async def test_a_session_that_is_over_has_no_new_token(
    mint: Mint, journal: Journal, late: int
) -> None:
    with pytest.raises(SessionEnded):
        await mint.mint(replace(ORDER, session=Session(ends=NOW - late)), NOW)
    assert journal.entries == []


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "Clerk"},
        {"user": "agent:root"},
        {"scopes": ()},
        {"hops": -1},
        {"chain": tuple("abcdefghi")},
        {"session": Session(id="../other")},
    ],
    ids=str,
)
async def test_what_no_token_can_say_is_neither_recorded_nor_minted(
    mint: Mint, journal: Journal, change: dict[str, Any]
) -> None:
    with pytest.raises(AuthError):
        await mint.mint(replace(ORDER, **change), NOW)
    assert journal.entries == []


async def test_without_an_entry_there_is_no_token(mint: Mint, journal: Journal) -> None:
    journal.full_disk = True
    with pytest.raises(AuditUnavailable):
        await mint.mint(ORDER, NOW)


async def test_a_minted_token_is_in_no_text_about_it(mint: Mint, journal: Journal) -> None:
    minted = await mint.mint(ORDER, NOW)
    assert minted.token not in f"{minted!r} {journal.entries!r}"
