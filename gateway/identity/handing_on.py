"""Handing on by consent: how a person lets one agent hand the work it does for them to another.

Only where the policy leaves that to them (an edge with `consent: required`), and for the tools that
it names as it stands: another list of tools is another question.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from audit.canonical import Json
from gateway.errors import ConnectRefused
from gateway.identity.consents import Consent, Consents, give
from gateway.identity.delegation import to_hand_on
from gateway.links.tickets import Tickets
from policies.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class HandOn:
    """What somebody came to be asked, before it is known who they are."""

    origin: str
    to: str


@dataclass(frozen=True, slots=True)
class HandingOnSources:
    """What this is done with.

    policy  the snapshot in force
    record  writes an entry
    """

    consents: Consents
    policy: Callable[[], Snapshot]
    record: Callable[[str, Mapping[str, Json]], Awaitable[object]]
    now_s: Callable[[], int]
    new_id: Callable[[], str]
    random: Callable[[int], bytes]


class HandingOn:
    """The steps."""

    def __init__(self, sources: HandingOnSources) -> None:
        self._sources = sources
        self._asked: Tickets[Consent] = Tickets(sources.random, sources.now_s)

    def check(self, wanted: HandOn) -> None:
        """Raise ConnectRefused when there is nothing of that kind to agree to."""
        if (wanted.origin, wanted.to) not in self._sources.policy().delegation.by_consent:
            raise ConnectRefused("no policy asks anybody about that")

    def question(self, wanted: HandOn, user: str, browser: str | None) -> tuple[Consent, str]:
        """What somebody who logged in is asked, and the secret of the form that answers.

        Raises ConnectRefused.
        """
        self.check(wanted)
        if browser is None:
            raise ConnectRefused("this was begun in another browser")
        consent = to_hand_on(user, wanted.origin, wanted.to, self._sources.policy())
        return consent, self._asked.issue(consent, browser)

    def refused(self, ticket: str, browser: str | None) -> None:
        """Somebody said no. Raises ConnectRefused."""
        self._asked.take(ticket, browser)

    async def agreed(self, ticket: str, browser: str | None, *, source: str) -> None:
        """Somebody said yes; it is in effect. Raises ConnectRefused or AuditUnavailable."""
        consent = self._asked.take(ticket, browser)
        await give(consent, self._sources, source=source)
