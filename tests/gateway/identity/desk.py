"""An authorization server over real rooms: agents that authenticate, and hand work on."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from gateway.identity.assertions import Assertions
from gateway.identity.authorization_server import (
    CLIENT_CREDENTIALS,
    TOKEN_EXCHANGE,
    AuthorizationServer,
)
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Client, Clients
from gateway.identity.code_grant import Held
from gateway.identity.codes import Codes
from gateway.identity.consents import Consents
from gateway.identity.dpop import Proofs
from gateway.identity.grants import Means
from gateway.identity.issuers import UserIssuers
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.oauth_request import Assertion, OAuthRequest
from gateway.identity.refresh_tokens import RefreshTokens
from gateway.identity.renewals import Renewals
from gateway.identity.revocation import Revocations
from gateway.identity.token_exchange import ACCESS_TOKEN
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.identity.user_proof import UserProofs
from gateway.principal import Principal
from policies.compile import compile_snapshot
from policies.loader import read_policies
from tests.gateway.identity.signing import Key
from tests.gateway.rooms import House

URL = "https://agents.acme.example"
SOURCE = "10.0.0.7:41022"
TTL, MAX_TTL, SKEW = 900, 3600, 10

KEYS: Mapping[str, Key] = {name: Key.ed25519() for name in ("ada", "bo", "cy", "di", "portal")}


def no_application(revocations: Revocations) -> Held:
    """What sessions of applications rest on where there is none."""

    async def end(session: str, by: str) -> None:
        raise AssertionError(f"nobody holds {session}, and yet {by} ended it")

    codes = Codes(secrets.token_bytes, lambda: 0)
    return Held(codes, Consents(), Renewals(), RefreshTokens(bytes(32)), revocations, end)


@dataclass
class Desk:
    """One gateway's authorization server, whose policy a test may change."""

    house: House
    keys: KeySet
    policy_text: str
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        house = self.house
        self.put_into_force(self.policy_text)
        self.tokens = TokenCheck(
            self.keys, house.revocations, house.epoch, public_url=URL, skew_s=SKEW
        )
        self.proofs = Proofs(bytes(32), skew_s=SKEW)
        clients = Clients(*(Client(name, keys=(key.public,)) for name, key in KEYS.items()))
        assertions = Assertions(clients.keys, house.single_use, public_url=URL, skew_s=SKEW)
        means = Means(
            mint=Mint(
                Issuer(self.keys, public_url=URL),
                house.recorder.write,
                lambda: secrets.token_urlsafe(18),
                max_ttl_s=MAX_TTL,
            ),
            tokens=self.tokens,
            sessions=house.sessions,
            openings=house.openings,
            single_use=house.single_use,
            policy=lambda: self.policy,
            ttl_s=TTL,
            consents=house.state.consents,
            users=UserProofs(UserIssuers(), house.single_use),
        )
        self.server = AuthorizationServer(
            URL,
            ClientAuthentication(clients, assertions, house.single_use),
            self.proofs,
            means,
            no_application(house.revocations),
            house.recorder.write,
        )

    def put_into_force(self, policy: str) -> None:
        self.policy = compile_snapshot(read_policies([("policy.yaml", policy.encode())]), None)

    def assertion(self, name: str, key: Key | None = None) -> str:
        key = key or KEYS[name]
        now, number = self.house.now_s, next(self.numbers)
        return key.jwt(
            {"alg": key.algorithm},
            {"iss": name, "sub": name, "aud": URL, "exp": now + 60, "jti": f"assertion-{number}"},
        )

    async def ask(self, name: str, **form: str) -> dict[str, Any]:
        """A request to the token endpoint, authenticated as that client."""
        parameters = {key: (value,) for key, value in form.items()}
        request = OAuthRequest(parameters, Assertion(self.assertion(name), None), SOURCE)
        members: dict[str, Any] = await self.server.token(request, self.house.now_s)
        return members

    async def begin(self, name: str = "ada", **form: str) -> str:
        """A token of a new session."""
        members = await self.ask(name, grant_type=CLIENT_CREDENTIALS, **form)
        return str(members["access_token"])

    async def hand(self, token: str, to: str, **form: str) -> str:
        """The token with which `to` acts for whom the token is."""
        members = await self.ask(
            to,
            grant_type=TOKEN_EXCHANGE,
            subject_token=token,
            subject_token_type=ACCESS_TOKEN,
            **form,
        )
        assert members["issued_token_type"] == ACCESS_TOKEN
        return str(members["access_token"])

    def principal(self, token: str) -> Principal:
        """Who a token says acts, now."""
        return self.tokens.check(token.encode(), self.house.now_s)

    def session(self, token: str) -> Any:  # noqa: ANN401 - the session, whatever is asked of it
        """The session that a token is of."""
        return self.house.sessions.live(self.principal(token), self.house.now_s)


@contextmanager
def desk_at(folder: Path, policy: str) -> Iterator[Desk]:
    """A desk of its own."""
    house = House.open(folder)
    try:
        yield Desk(house, KeySet.open(folder / "tokens", house.now_s), policy)
    finally:
        house.close()
