"""The claims of an access token: a principal written as JSON, and read back.

RFC 9068 with `act` of RFC 8693: `sub` is the user, or the agent where the chain began when there
is no user; the outermost `act` is the agent that acts now, `act` within it the one that asked it,
and so on. `sid` names the session, `root` the one in which all this began (left out when they are
one), and `hops` bounds further delegation. `cnf` binds the token to a key (RFC 9449, section 6).
The set of members is closed: a claim that is not understood may restrict a token, so it refuses it.
"""

import re
from collections.abc import Mapping

from audit.canonical import Json
from gateway.identity import names, scopes
from gateway.identity.errors import AuthError, NameInvalid, ScopeInvalid
from gateway.principal import Principal

MAX_CHAIN = 8
"""Agents a principal may act for; further ones make the token unreadable."""

MAX_GROUPS = 64
MAX_HOPS = 8
MAX_TIME = 253_402_300_799
"""The last second of the year 9999."""

_AGENT_PREFIX = "agent:"
_REQUIRED = frozenset(
    {"iss", "aud", "sub", "client_id", "act", "sid", "scope", "hops", "jti", "iat", "exp"}
)
_OPTIONAL = frozenset({"groups", "nbf", "cnf", "root"})
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


def write(principal: Principal, *, issuer: str, audience: str) -> dict[str, Json]:
    """The claims that say what `principal` is; only what `read` accepts should be signed."""
    actors = (principal.agent, *principal.chain)
    claims: dict[str, Json] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject(principal.user, actors),
        "client_id": principal.agent,
        "act": write_actors(actors),
        "sid": principal.session,
        "scope": scopes.write(principal.scopes),
        "hops": principal.hops,
        "jti": principal.token_id,
        "iat": principal.issued,
        "exp": principal.expires,
    }
    if principal.bound_to is not None:
        claims["cnf"] = {"jkt": principal.bound_to}
    if principal.root != principal.session:
        claims["root"] = principal.root
    if principal.user_groups:
        claims["groups"] = list[Json](sorted(principal.user_groups))
    return claims


def read(claims: Mapping[str, Json], *, issuer: str, audience: str) -> Principal:
    """The principal that already parsed and authenticated claims describe; time is not looked at.

    Raises AuthError: `audience` when they were made for another resource, else `invalid`.
    """
    if claims.get("iss") != issuer:
        raise AuthError("invalid", "not issued by this gateway")
    if claims.get("aud") not in (audience, [audience]):
        raise AuthError("audience", "not made for this gateway")
    if not _REQUIRED <= claims.keys() <= _REQUIRED | _OPTIONAL:
        raise AuthError("invalid", "members are missing or unknown")
    try:
        return _read_principal(claims)
    except (NameInvalid, ScopeInvalid) as error:
        raise AuthError("invalid", "a member is malformed") from error


def not_before(claims: Mapping[str, Json]) -> int:
    """The second from which the claims hold: `nbf`, else `iat`; raises AuthError."""
    return _read_int(claims.get("nbf", claims["iat"]), MAX_TIME)


def _read_principal(claims: Mapping[str, Json]) -> Principal:
    acting, *chain = _read_actors(claims["act"])
    if claims["client_id"] != acting:
        raise AuthError("invalid", "the client is not the acting agent")
    subject = claims["sub"]
    by_itself = subject == _AGENT_PREFIX + (chain[-1] if chain else acting)
    issued, expires = _read_int(claims["iat"], MAX_TIME), _read_int(claims["exp"], MAX_TIME)
    if expires <= issued:
        raise AuthError("invalid", "ends before it begins")
    return Principal(
        agent=acting,
        user=None if by_itself else names.user(subject),
        user_groups=_read_groups(claims.get("groups", [])),
        chain=tuple(chain),
        session=names.identifier(claims["sid"]),
        scopes=_read_scopes(claims["scope"]),
        hops=_read_int(claims["hops"], MAX_HOPS),
        token_id=names.identifier(claims["jti"]),
        issued=issued,
        expires=expires,
        bound_to=_read_binding(claims["cnf"]) if "cnf" in claims else None,
        root=_read_root(claims),
    )


def subject(user: str | None, actors: tuple[str, ...]) -> str:
    """On whose behalf: the user, or the agent with which the chain began."""
    return user or _AGENT_PREFIX + actors[-1]


def write_actors(actors: tuple[str, ...]) -> Json:
    """The member `act`; the acting agent first, then those that it acts for, newest first."""
    written: dict[str, Json] = {}
    for actor in reversed(actors):
        written = {"sub": _AGENT_PREFIX + actor} | ({"act": written} if written else {})
    return written


def _read_actors(act: Json) -> list[str]:
    """The acting agent and those that it acts for, newest first."""
    actors = []
    for _ in range(MAX_CHAIN + 1):
        if not isinstance(act, dict) or not {"sub"} <= act.keys() <= {"sub", "act"}:
            raise AuthError("invalid", "an actor is malformed")
        subject = act["sub"]
        if not isinstance(subject, str) or not subject.startswith(_AGENT_PREFIX):
            raise AuthError("invalid", "an actor is not an agent")
        actors.append(names.agent(subject.removeprefix(_AGENT_PREFIX)))
        if "act" not in act:
            return actors
        act = act["act"]
    raise AuthError("invalid", "the chain of actors is too long")


def _read_binding(confirmation: Json) -> str:
    if not isinstance(confirmation, dict) or confirmation.keys() != {"jkt"}:
        raise AuthError("invalid", "the key that it is bound to is not named by a thumbprint")
    thumbprint = confirmation["jkt"]
    if not isinstance(thumbprint, str) or not _THUMBPRINT.fullmatch(thumbprint):
        raise AuthError("invalid", "the thumbprint of its key is malformed")
    return thumbprint


def _read_root(claims: Mapping[str, Json]) -> str:
    if claims.get("root") == claims["sid"]:
        raise AuthError("invalid", "a root that goes without saying")
    return names.identifier(claims.get("root", claims["sid"]))


def _read_groups(groups: Json) -> frozenset[str]:
    if not isinstance(groups, list) or len(groups) > MAX_GROUPS:
        raise AuthError("invalid", "groups are no short list")
    return frozenset(names.group(group) for group in groups)


def _read_scopes(scope: Json) -> scopes.Scopes:
    if not isinstance(scope, str):
        raise AuthError("invalid", "a scope is not a text")
    return scopes.parse(scope)


def _read_int(value: Json, highest: int) -> int:
    # A bool is an int to Python, and a number with a fraction compares like one.
    if type(value) is not int or not 0 <= value <= highest:
        raise AuthError("invalid", "a number is malformed or out of range")
    return value
