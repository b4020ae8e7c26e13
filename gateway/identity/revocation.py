"""Revocations: which credentials are worth nothing although they verify.

A fold of the log: whoever applies a revoking entry calls one of these methods and then advances
the epoch, which ends everything that was verified before.
"""

from gateway.principal import Principal


class Revocations:
    """Withdrawn tokens, ended sessions and suspended agents, in memory."""

    def __init__(self) -> None:
        self._tokens: dict[str, int] = {}  # id -> the second from which it is dead anyway
        self._sessions: dict[str, int] = {}
        self._agents: set[str] = set()

    def revoke_token(self, token_id: str, *, until_s: int) -> None:
        """Withdraw one token.

        until_s  when it can be neither used nor renewed any more, so that it may be forgotten
        """
        self._tokens[token_id] = max(until_s, self._tokens.get(token_id, 0))

    def end_session(self, session: str, *, until_s: int) -> None:
        """Withdraw every token of a session.

        until_s  the end that the session had, which no token of it outlives
        """
        self._sessions[session] = max(until_s, self._sessions.get(session, 0))

    def suspend_agent(self, agent: str) -> None:
        """Withdraw every token in which this agent acts, or for which it acted, until resumed."""
        self._agents.add(agent)

    def resume_agent(self, agent: str) -> None:
        """Take a suspension back."""
        self._agents.discard(agent)

    def suspended(self, agent: str) -> bool:
        """Tell whether this agent is suspended."""
        return agent in self._agents

    def revoked(self, principal: Principal) -> bool:
        """Tell whether the credential that `principal` was read from is withdrawn."""
        return (
            principal.token_id in self._tokens
            or principal.session in self._sessions
            or not self._agents.isdisjoint((principal.agent, *principal.chain))
        )

    def forget(self, before_s: int) -> None:
        """Drop what is dead by its own end since before `before_s`."""
        for known in (self._tokens, self._sessions):
            for key in [key for key, until_s in known.items() if until_s < before_s]:
                del known[key]
