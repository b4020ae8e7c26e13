"""Consents: what people agreed to when an application asked to act for them, or one agent to hand
their work to another.

An entry each, and this room folded from them. A consent is about one person, who asked, the address
that answers go to, one agent, and what it may use: it says nothing for any other. It spares nobody
the question of an application, which proves nothing about itself; it is what tokens rest on, and
they end with it.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol, cast

from audit.canonical import Json

GIVEN, WITHDRAWN = "consent.given", "consent.withdrawn"


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody agreed to.

    client    the application's id; or `agent:NAME`, which would hand on their work
    redirect  the registered address that its answers go to; "" where there are none
    scope     patterns of tools, as a scope text
    """

    user: str
    client: str
    agent: str
    redirect: str
    scope: str


class Giving(Protocol):
    """What giving one takes."""

    @property
    def consents(self) -> "Consents":
        """Those that stand."""

    @property
    def record(self) -> Callable[[str, Mapping[str, Json]], Awaitable[object]]:
        """Writes an entry."""

    @property
    def new_id(self) -> Callable[[], str]:
        """Fresh ids."""


class Consents:
    """The consents that stand, with their ids; a room of the state.

    changed  keys whose row is no longer as last stored
    """

    def __init__(self) -> None:
        self._ids: dict[Consent, str] = {}
        self.changed: set[str] = set()

    def find(self, consent: Consent) -> str | None:
        """Its id; None when it was not given, or withdrawn."""
        return self._ids.get(consent)

    def get(self, consent_id: str) -> Consent | None:
        """The consent of that id."""
        return next((each for each, found in self._ids.items() if found == consent_id), None)

    def all(self) -> Iterator[tuple[Consent, str]]:
        """Every consent that stands, with its id."""
        return iter(tuple(self._ids.items()))

    def given(self, body: Mapping[str, Json]) -> None:
        """Entry `consent.given`."""
        consent = _consent(body)
        self._ids[consent] = str(body["consent"])
        self.changed.add(_key(consent))

    def withdrawn(self, body: Mapping[str, Json]) -> Consent:
        """Entry `consent.withdrawn`: which it is."""
        consent = _consent(body)
        self._ids.pop(consent, None)
        self.changed.add(_key(consent))
        return consent

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one consent; None when it is over."""
        found = self._ids.get(Consent(**json.loads(key)))
        return None if found is None else {"consent": found}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._ids[Consent(**json.loads(key))] = cast("str", row["consent"])


async def give(consent: Consent, to: Giving, *, source: str) -> str:
    """Record that somebody agreed; the id, which is the same for as long as it stands.

    Raises AuditUnavailable.
    """
    consent_id = to.consents.find(consent) or to.new_id()
    await to.record(GIVEN, entry(consent, consent_id, source=source))
    return consent_id


def entry(consent: Consent, consent_id: str, **more: Json) -> dict[str, Json]:
    """The members of an entry of either kind."""
    return {
        "actor": {"agent": consent.agent, "sub": consent.user, "chain": []},
        "client": consent.client,
        "redirect": consent.redirect,
        "scope": consent.scope,
        "consent": consent_id,
        **more,
    }


def _consent(body: Mapping[str, Json]) -> Consent:
    actor = cast("Mapping[str, str]", body["actor"])
    return Consent(
        user=actor["sub"],
        client=str(body["client"]),
        agent=actor["agent"],
        redirect=str(body["redirect"]),
        scope=str(body["scope"]),
    )


def _key(consent: Consent) -> str:
    return json.dumps(asdict(consent))
