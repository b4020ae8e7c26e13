"""Issuers: what others sign about people and programs, and who that is here.

A token is believed when an issuer that the deployment names signed it, for exactly the audience
that is configured, and its time is right. It never is a credential of ours: it is exchanged for one
(users), or proves once more which agent a client is (workloads).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from audit.canonical import Json
from gateway.errors import FetchFailed
from gateway.identity import names
from gateway.identity.claims import MAX_GROUPS
from gateway.identity.errors import AuthError, NameInvalid
from gateway.identity.issuer_keys import MAX_SET, IssuerKeys
from gateway.identity.jws import Jws
from gateway.identity.provider import Provider, fetch_key_set
from gateway.identity.trust import UserIssuer, WorkloadIssuer, WorkloadJwt
from gateway.links.fetch import Fetcher

MAX_BYTES = 16 * 1024
"""Longest token of another issuer; those of people list groups."""

MAX_LIFE_S = 24 * 3600
"""Longest time from the making of such a token to its end."""

GROUP_PREFIX = "oidc:group/"
"""How policies name the groups of a provider."""

About = TypeVar("About")

_VISIBLE = re.compile(r"[!-~]+")
_HEADER = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})
_TYPES = frozenset({"JWT", "JOSE", "at+jwt"})


@dataclass(frozen=True, slots=True)
class User:
    """A person whom a trusted issuer knows.

    name     `issuer:subject`, with the issuer's name in the deployment
    groups   `oidc:group/finance`
    expires  end of the token, in seconds since 1970: nothing derived from it may last longer
    """

    name: str
    groups: frozenset[str]
    expires: int


@dataclass(frozen=True, slots=True)
class Workload:
    """A program that a trusted issuer knows.

    agent    which agent it is
    once     what names its token, which is good once; None: good until it ends
    expires  end of the token, in seconds since 1970, the skew of its issuer's clock included
    """

    agent: str
    once: str | None
    expires: int


class TrustedIssuer:
    """One issuer, for one purpose.

    name      its name in the deployment
    url       its identifier, compared letter by letter
    audience  whom its tokens must be made for
    skew_s    how far its clock may be off
    """

    def __init__(
        self, name: str, url: str, audience: str, keys: IssuerKeys, *, skew_s: int
    ) -> None:
        self.name, self.url, self.audience = name, url, audience
        self.skew_s = skew_s
        self._keys = keys

    async def verify(self, token: Jws, now_s: int, *, nonce: str | None = None) -> dict[str, Json]:
        """The claims of a token that this issuer signed and that is good at `now_s`.

        nonce  that it must carry, where it was asked for with one

        Raises AuthError with the reason, and IssuerSilent when its keys cannot be had.
        """
        claims = token.claims
        if claims.get("iss") != self.url:
            raise AuthError("invalid", "of another issuer")
        if not _is_for(claims, self.audience):
            raise AuthError("audience", "made for somebody else")
        self._check_time(claims, now_s)
        if nonce is not None and claims.get("nonce") != nonce:
            raise AuthError("invalid", "not the answer to this log-in")
        await self._authenticate(token, now_s)
        return claims

    async def _authenticate(self, token: Jws, now_s: int) -> None:
        header = token.header
        # Closed: `jwk`, `jku`, `x5c`, `x5u` would bring a key in, `crit`, `b64`, `zip` change the
        # reading. The thumbprints of certificates are looked at by nobody.
        if not header.keys() <= _HEADER or header.get("typ", "JWT") not in _TYPES:
            raise AuthError("invalid", "the header has unknown members")
        key_id = header.get("kid")
        if not isinstance(key_id, str | None):
            raise AuthError("invalid", "the key id is not a text")
        key = await self._keys.find(key_id, header.get("alg"), now_s)
        token.verify_with(key.key, key.algorithm)

    def _check_time(self, claims: Mapping[str, Json], now_s: int) -> None:
        issued, ends = _second(claims, "iat"), _second(claims, "exp")
        begins = max(issued, _second(claims, "nbf") if "nbf" in claims else issued)
        if ends + self.skew_s <= now_s:
            raise AuthError("expired", "its time is over")
        if begins > now_s + self.skew_s:
            raise AuthError("invalid", "not yet good")
        if not 0 < ends - issued <= MAX_LIFE_S:
            raise AuthError("invalid", f"lives for more than {MAX_LIFE_S} seconds, or for none")


class UserIssuers:
    """Who vouches for people."""

    def __init__(self, trusted: Sequence[tuple[TrustedIssuer, str | None]] = ()) -> None:
        self._trusted = tuple(trusted)  # with the claim that holds groups

    @classmethod
    def of(cls, declared: Mapping[str, UserIssuer], fetcher: Fetcher, *, skew_s: int) -> Self:
        """The issuers that a deployment names; nothing is fetched yet."""
        return cls(
            [
                (_oidc_issuer(name, each, fetcher, skew_s=skew_s), each.oidc.groups_claim)
                for name, each in declared.items()
            ]
        )

    async def verify_user(self, token: str, now_s: int) -> User:
        """The person that a token is about. Raises AuthError or IssuerSilent."""
        jws = read(token)
        issuer, groups_claim = _responsible(self._trusted, jws.claims)
        claims = await issuer.verify(jws, now_s)
        ends = claims["exp"]
        assert isinstance(ends, int)
        return User(
            name=person(issuer.name, claims.get("sub")),
            groups=groups([] if groups_claim is None else claims.get(groups_claim, [])),
            expires=ends,
        )


class WorkloadIssuers:
    """Who vouches for programs that are agents."""

    def __init__(self, trusted: Sequence[tuple[TrustedIssuer, WorkloadJwt]]) -> None:
        self._trusted = tuple(trusted)

    @classmethod
    def of(cls, declared: Mapping[str, WorkloadIssuer], fetcher: Fetcher, *, skew_s: int) -> Self:
        """The issuers that a deployment names; nothing is fetched or read yet."""
        return cls(
            [
                (_jwt_issuer(name, each.jwt, fetcher, skew_s=skew_s), each.jwt)
                for name, each in declared.items()
            ]
        )

    def issued(self, token: str) -> bool:
        """Whether a token says that one of these issuers made it; nothing of it is verified."""
        try:
            issuer = read(token).claims.get("iss")
        except AuthError:
            return False
        return any(trusted.url == issuer for trusted, _ in self._trusted)

    async def authenticate_workload(self, assertion: str, now_s: int) -> Workload:
        """The workload that a token proves its bearer to be; the caller uses up what is good once.

        Raises AuthError or IssuerSilent.
        """
        jws = read(assertion)
        issuer, declared = _responsible(self._trusted, jws.claims)
        claims = await issuer.verify(jws, now_s)
        subject = claims.get("sub")
        if not isinstance(subject, str) or subject not in declared.subjects:
            raise AuthError("invalid", "a subject that is no agent")
        once = None if declared.reusable or "jti" not in claims else _token_name(issuer, claims)
        ends = _second(claims, "exp")
        return Workload(declared.subjects[subject], once, ends + issuer.skew_s)


NOBODY = WorkloadIssuers(())
"""Where no workload is trusted."""


def read(token: str) -> Jws:
    """Read a token of another issuer; nothing in it is believed yet. Raises AuthError."""
    return Jws.read(token.encode("utf-8", "surrogatepass"), max_bytes=MAX_BYTES)


def person(issuer: str, subject: Json) -> str:
    """The name of a person here: issuers cannot speak of each other's. Raises AuthError."""
    if not isinstance(subject, str) or not subject:
        raise AuthError("invalid", "a token about nobody")
    try:
        return names.user(f"{issuer}:{subject}")
    except NameInvalid as error:
        raise AuthError("invalid", "a subject that no name can be made of") from error


def groups(value: Json) -> frozenset[str]:
    """The groups that a token lists, as policies name them. Raises AuthError.

    Those that no policy can name are passed over; too many are refused and not cut off, since one
    of the rest might have been the one that restricts.
    """
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS:
        raise AuthError("invalid", f"groups that are no list of at most {MAX_GROUPS}")
    nameable = (group for group in map(_text, listed) if _VISIBLE.fullmatch(group))
    try:
        return frozenset(names.group(GROUP_PREFIX + group) for group in nameable)
    except NameInvalid as error:
        raise AuthError("invalid", "a group whose name is too long") from error


def oidc_keys(name: str, provider: Provider) -> IssuerKeys:
    """The keys of an OpenID provider."""
    return IssuerKeys(provider.key_set, name=name)


def _oidc_issuer(
    name: str, declared: UserIssuer, fetcher: Fetcher, *, skew_s: int
) -> TrustedIssuer:
    oidc = declared.oidc
    keys = oidc_keys(name, Provider(oidc, fetcher))
    return TrustedIssuer(name, oidc.issuer, oidc.audience, keys, skew_s=skew_s)


def _jwt_issuer(
    name: str, declared: WorkloadJwt, fetcher: Fetcher, *, skew_s: int
) -> TrustedIssuer:
    async def key_set() -> bytes:
        if declared.jwks_url is not None:
            return await fetch_key_set(
                declared.jwks_url, fetcher, allow_private=declared.allow_private
            )
        return _file(declared)

    keys = IssuerKeys(key_set, name=name)
    return TrustedIssuer(name, declared.issuer, declared.audience, keys, skew_s=skew_s)


def _file(declared: WorkloadJwt) -> bytes:
    assert declared.jwks_file is not None
    try:
        with declared.jwks_file.open("rb") as file:
            return file.read(MAX_SET + 1)
    except OSError as error:
        raise FetchFailed(f"{declared.jwks_file}: {error.strerror}") from error


def _responsible(
    trusted: Sequence[tuple[TrustedIssuer, About]], claims: Mapping[str, Json]
) -> tuple[TrustedIssuer, About]:
    """The issuer that a token says made it, for the audience it says it is for."""
    named = [each for each in trusted if each[0].url == claims.get("iss")]
    if not named:
        raise AuthError("invalid", "of an issuer that is not trusted here")
    fitting = [each for each in named if _is_for(claims, each[0].audience)]
    if not fitting:
        raise AuthError("audience", "made for somebody else")
    return fitting[0]


def _is_for(claims: Mapping[str, Json], audience: str) -> bool:
    """Whether a token is made for `audience`; among several, it must be whom it was given to."""
    named = claims.get("aud")
    if named in (audience, [audience]):
        return True
    is_among = isinstance(named, list) and audience in named
    return is_among and claims.get("azp") == audience


def _second(claims: Mapping[str, Json], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or value < 0:  # a bool is an int to Python
        raise AuthError("invalid", f"{name} is no number of seconds")
    return value


def _token_name(issuer: TrustedIssuer, claims: Mapping[str, Json]) -> str:
    token_id = claims["jti"]
    if not isinstance(token_id, str):
        raise AuthError("invalid", "an id that is not a text")
    return f"{issuer.url} {token_id}"


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise AuthError("invalid", "a group that is not a text")
    return value
