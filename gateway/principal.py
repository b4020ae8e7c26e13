"""Principals: who has been authenticated, and on whose behalf it acts."""

from dataclasses import dataclass

from audit.canonical import Json


@dataclass(frozen=True, slots=True)
class Principal:
    """An agent that proved who it is, with the rights its credential carries.

    A value of this type exists only where a credential was verified.
    """

    agent: str  # who acts now
    user: str | None  # on whose behalf; None: the agent acts for itself
    user_groups: frozenset[str]
    chain: tuple[str, ...]  # the agents it acts for, newest first, without itself
    session: str
    scopes: tuple[str, ...]  # tool patterns, see `gateway.identity.scopes`
    hops: int  # how many more agents this credential may reach
    token_id: str
    issued: int  # seconds since 1970
    expires: int  # seconds since 1970
    bound_to: str | None = None  # thumbprint of the key whose possession the caller has proven
    root: str = ""  # session in which all this began; its own when nothing was handed on

    def __post_init__(self) -> None:
        if not self.root:
            object.__setattr__(self, "root", self.session)


def actor(principal: Principal) -> dict[str, Json]:
    """The member `actor` of an entry: who acts, through whom and for whom."""
    return {"agent": principal.agent, "chain": list(principal.chain), "sub": principal.user}
