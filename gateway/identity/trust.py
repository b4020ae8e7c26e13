"""Trust: which other issuers the deployment believes, for what, as its file says.

People (`identity.users`), workloads (`identity.workloads`) and operators (`identity.operators`) are
vouched for by issuers that are named here and by nobody else. What an issuer signs for one of these
purposes must be worth nothing for another: no two of them share an issuer and an audience.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.errors import AddressRefused
from gateway.identity import names
from gateway.identity.errors import NameInvalid
from gateway.links.address import Destination
from gateway.operator.credentials import Role

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
OPERATORS = "operators"
"""How names of operators begin whose provider vouches for nobody else here."""

_RESERVED = frozenset({"agent", "operator", OPERATORS})
"""Names that would make a person read like something else: `agent:clerk`."""


def _issuer_name(text: str) -> str:
    if not _NAME.fullmatch(text) or text in _RESERVED:
        raise ValueError(f"{text!r} is no name for an issuer such as corp")
    return text


def _issuer_url(text: str) -> str:
    return _encrypted(text, "an issuer")


def _keys_url(text: str) -> str:
    return _encrypted(text, "an address of keys")


def _encrypted(text: str, what: str) -> str:
    try:
        destination = Destination.parse(text)
    except AddressRefused as error:
        raise ValueError(str(error)) from error
    if not destination.secure and not destination.is_here:
        raise ValueError(f"{what} is reached by https, or on this machine")
    if "?" in text:
        raise ValueError(f"{what} has no query")
    return text


def _agent(text: str) -> str:
    try:
        return names.agent(text)
    except NameInvalid as error:
        raise ValueError(str(error)) from error


IssuerName = Annotated[str, AfterValidator(_issuer_name)]
IssuerUrl = Annotated[str, AfterValidator(_issuer_url)]
KeysUrl = Annotated[str, AfterValidator(_keys_url)]
AgentName = Annotated[str, AfterValidator(_agent)]
Audience = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
Claim = Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
Subject = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Oidc(_Model):
    """An OpenID provider.

    issuer         its identifier, compared letter by letter
    audience       whom its tokens must be made for
    groups_claim   where it says in which groups a person is; None: it has no say in that
    jwks_url       where its keys are, when it keeps them away from its own address
    allow_private  whether its name may resolve to private addresses
    """

    issuer: IssuerUrl
    audience: Audience
    groups_claim: Claim | None = "groups"
    jwks_url: KeysUrl | None = None
    allow_private: bool = False


class UserIssuer(_Model):
    """Who vouches for people on whose behalf agents act."""

    oidc: Oidc


class WorkloadJwt(_Model):
    """An issuer of workload tokens: SPIFFE JWT-SVIDs, or service accounts of Kubernetes.

    issuer         as its tokens name it; nothing is fetched from there
    jwks_url       where its keys are; or
    jwks_file      the file that they are in
    subjects       subject of a token -> the agent that it is
    reusable       whether a token with an id (`jti`) is good until it ends, and not once; for
                   issuers that give a program one token for a while, as Kubernetes does
    allow_private  whether the address of its keys may be private
    """

    issuer: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
    jwks_url: KeysUrl | None = None
    jwks_file: Path | None = Field(default=None, strict=False)
    audience: Audience
    subjects: dict[Subject, AgentName] = Field(min_length=1)
    reusable: bool = False
    allow_private: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("expected either jwks_url or jwks_file")
        return self


class WorkloadIssuer(_Model):
    """Who vouches for programs that are agents."""

    jwt: WorkloadJwt

    def below(self, folder: Path) -> Self:
        """The same with the file of keys found from a folder."""
        if self.jwt.jwks_file is None:
            return self
        rooted = self.jwt.model_copy(update={"jwks_file": folder / self.jwt.jwks_file})
        return self.model_copy(update={"jwt": rooted})


class OperatorOidc(Oidc):
    """The provider at which operators log in; `audience` is our client id there.

    client_secret  reference to our secret there; None: we are a public client
    """

    client_secret: Annotated[str, Field(pattern=r"^(?:env|file|keyring):")] | None = None


class OperatorLogin(_Model):
    """Where operators log in, and which of their groups have which roles."""

    oidc: OperatorOidc
    roles: dict[Role, list[Claim]] = Field(min_length=1)


Users = dict[IssuerName, UserIssuer]
Workloads = dict[IssuerName, WorkloadIssuer]


def check_apart(
    users: Mapping[str, UserIssuer],
    workloads: Mapping[str, WorkloadIssuer],
    operators: OperatorLogin | None,
) -> None:
    """Raise ValueError when one token could be good for two purposes, or two issuers name groups.

    A policy names a group without saying whose it is.
    """
    if sum(each.oidc.groups_claim is not None for each in users.values()) > 1:
        raise ValueError(
            "two issuers of users state groups: set groups_claim: null for all but one"
        )
    counted = Counter(_purposes(users, workloads, operators))
    for (issuer, audience), times in counted.items():
        if times > 1:
            raise ValueError(
                f"{issuer} is trusted twice with the audience {audience!r}: a token for one"
                " purpose would be good for another"
            )


def _purposes(
    users: Mapping[str, UserIssuer],
    workloads: Mapping[str, WorkloadIssuer],
    operators: OperatorLogin | None,
) -> Iterator[tuple[str, str]]:
    for user in users.values():
        yield user.oidc.issuer, user.oidc.audience
    for workload in workloads.values():
        yield workload.jwt.issuer, workload.jwt.audience
    if operators is not None:
        yield operators.oidc.issuer, operators.oidc.audience
