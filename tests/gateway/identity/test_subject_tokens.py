import jwt
import pytest

from gateway.identity.errors import AuthError
from gateway.identity.keys import KeySet
from gateway.identity.subject_tokens import SubjectTokens
from gateway.identity.tokens import TokenCheck
from gateway.links.link import Caller
from tests.gateway.identity.conftest import NOW, URL

ISSUER = "https://id.upstream.example"


@pytest.fixture
def subjects(keys: KeySet) -> SubjectTokens:
    ids = iter("abc")
    return SubjectTokens(keys, public_url=URL, now_s=lambda: NOW, new_id=lambda: next(ids))


@pytest.mark.parametrize(
    ("caller", "subject", "act"),
    [
        pytest.param(
            Caller("clerk", "ana", ("front", "desk")),
            "ana",
            {
                "sub": "agent:clerk",
                "act": {"sub": "agent:front", "act": {"sub": "agent:desk"}},
            },
            id="chain",
        ),
        pytest.param(Caller("clerk", "ana"), "ana", {"sub": "agent:clerk"}, id="user"),
        pytest.param(Caller("clerk", None), "agent:clerk", {"sub": "agent:clerk"}, id="agent"),
        pytest.param(
            Caller("clerk", None, ("front",)),
            "agent:front",
            {"sub": "agent:clerk", "act": {"sub": "agent:front"}},
            id="chain-without-user",
        ),
    ],
)
def test_it_says_who_acts_and_for_whom(
    caller: Caller, subject: str, act: object, subjects: SubjectTokens, keys: KeySet
) -> None:
    token = subjects.sign(caller, ISSUER)
    claims = jwt.decode(
        token,
        keys.active.public,
        ["EdDSA"],
        options={"verify_exp": False, "verify_iat": False},
        audience=ISSUER,
        issuer=URL,
    )
    assert (claims["sub"], claims["act"]) == (subject, act)
    assert (claims["iat"], claims["exp"], claims["jti"]) == (NOW, NOW + 60, "a")
    assert jwt.get_unverified_header(token)["kid"] == keys.active.id


@pytest.mark.parametrize("audience", [ISSUER, URL])
def test_it_is_no_access_token_of_ours_whoever_it_was_made_for(
    audience: str, subjects: SubjectTokens, tokens: TokenCheck
) -> None:
    token = subjects.sign(Caller("clerk", "ana"), audience).encode()
    for check in (tokens.check, tokens.check_renewable):
        with pytest.raises(AuthError):
            check(token, NOW)


def test_each_is_its_own(subjects: SubjectTokens) -> None:
    caller = Caller("clerk", "ana")
    assert subjects.sign(caller, ISSUER) != subjects.sign(caller, ISSUER)
