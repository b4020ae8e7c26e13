"""Who stands behind a call, beside the agents and the user whom it names.

An agent that acts for nobody acts for somebody all the same: whoever it is registered for, and the
operator who opened its session with a key of their own. They would answer their own question.
"""

from collections.abc import Iterable, Iterator

from gateway.session.session import Session
from policies.snapshot import Snapshot

_OPERATOR = "operator:"


def people_behind(
    links: Iterable[str], session: Session | None, snapshot: Snapshot
) -> tuple[str, ...]:
    """Names of the people, sorted; owners that are groups or teams are no names of people.

    links    the acting agent, and those that it acts for
    session  the one with which the tree of sessions began
    """
    return tuple(sorted({*_owners(links, snapshot), *_openers(session)}))


def _owners(links: Iterable[str], snapshot: Snapshot) -> Iterator[str]:
    for link in links:
        agent = snapshot.agents.get(link)
        if agent is not None and agent.owner is not None and agent.owner not in snapshot.groups:
            yield agent.owner


def _openers(session: Session | None) -> Iterator[str]:
    if session is not None and session.by.startswith(_OPERATOR):
        yield session.by.removeprefix(_OPERATOR)
