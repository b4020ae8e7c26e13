"""Tokens of other issuers: which are believed, and about whom."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.identity.errors import AuthError, IssuerSilent
from gateway.identity.issuers import MAX_LIFE_S, User, UserIssuers, Workload, WorkloadIssuers
from gateway.identity.trust import UserIssuer, WorkloadIssuer
from gateway.links.fetch import Fetcher
from tests.gateway.identity.signing import Key, with_hmac
from tests.harness.provider import JWKS, METADATA, Provider, make_key, provider

AUDIENCE = "passavant"
SPIFFE = "spiffe://acme.example/clerk"
POD = "system:serviceaccount:agents:clerk"
_TLS = ssl.create_default_context()


@pytest.fixture
async def corp() -> AsyncIterator[Provider]:
    async with provider("ES256") as made:
        yield made


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(list, _TLS, timeout_s=2)


def users_of(corp: Provider, fetcher: Fetcher, **more: object) -> UserIssuers:
    oidc = {"issuer": corp.url, "audience": AUDIENCE, **more}
    declared = UserIssuer.model_validate({"oidc": oidc})
    return UserIssuers.of({"corp": declared}, fetcher, skew_s=0)


@pytest.fixture
def users(corp: Provider, fetcher: Fetcher) -> UserIssuers:
    return users_of(corp, fetcher)


def now_of(claims: dict[str, Any]) -> int:
    found: int = claims["iat"]
    return found


async def test_a_person_has_the_issuers_name_and_their_groups(
    corp: Provider, users: UserIssuers
) -> None:
    claims = corp.claims("ana", audience=AUDIENCE, groups=["finance", "staff"])
    found = await users.verify_user(corp.sign(claims), now_of(claims))
    groups = frozenset({"oidc:group/finance", "oidc:group/staff"})
    assert found == User("corp:ana", groups, claims["exp"])


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "PS256"])
async def test_four_algorithms_are_good(corp: Provider, users: UserIssuers, algorithm: str) -> None:
    corp.rotate(algorithm)
    claims = corp.claims("ana", audience=AUDIENCE)
    assert (await users.verify_user(corp.sign(claims), now_of(claims))).name == "corp:ana"


def changed(**members: object) -> Callable[[Provider], str]:
    def make(corp: Provider) -> str:
        claims = {**corp.claims("ana", audience=AUDIENCE), **members}
        return corp.sign({name: value for name, value in claims.items() if value is not None})

    return make


def headed(**members: object) -> Callable[[Provider], str]:
    return lambda corp: corp.sign(corp.claims("ana", audience=AUDIENCE), header=members)


def later(**seconds: int) -> Callable[[Provider], str]:
    def make(corp: Provider) -> str:
        claims = corp.claims("ana", audience=AUDIENCE)
        now = now_of(claims)
        return corp.sign({**claims, **{name: now + each for name, each in seconds.items()}})

    return make


def unsigned(corp: Provider) -> str:
    text = corp.sign(corp.claims("ana", audience=AUDIENCE))
    header = Key.ed25519().jwt({"alg": "none", "kid": "key-1"}, {}).split(".")[0]
    return f"{header}.{text.split('.')[1]}."


def symmetric(corp: Provider) -> str:
    header = {"alg": "HS256", "kid": corp.keys[0].id}
    secret = json.dumps(corp.keys[0].jwk).encode()
    return with_hmac(header, corp.claims("ana", audience=AUDIENCE), secret)


def of_a_stranger(corp: Provider) -> str:
    stranger = make_key(corp.keys[0].id, "ES256")
    return corp.sign(corp.claims("ana", audience=AUDIENCE), key=stranger)


def with_a_key_inside(corp: Provider) -> str:
    stranger = make_key("inside", "ES256")
    header = {"jwk": stranger.jwk}
    return corp.sign(corp.claims("ana", audience=AUDIENCE), key=stranger, header=header)


FORGED = [
    pytest.param(lambda _: "", "invalid", id="empty"),
    pytest.param(lambda _: "a.b.c", "invalid", id="no-token"),
    pytest.param(unsigned, "invalid", id="alg-none"),
    pytest.param(symmetric, "invalid", id="hmac-with-the-public-key"),
    pytest.param(of_a_stranger, "invalid", id="strangers-key-of-that-id"),
    pytest.param(with_a_key_inside, "invalid", id="jwk-in-the-header"),
    pytest.param(headed(jku="http://127.0.0.1:1/jwks"), "invalid", id="jku"),
    pytest.param(headed(x5u="http://127.0.0.1:1/x"), "invalid", id="x5u"),
    pytest.param(headed(crit=["exp"]), "invalid", id="crit"),
    pytest.param(headed(typ="dpop+jwt"), "invalid", id="other-type"),
    pytest.param(headed(kid="../../etc/passwd"), "invalid", id="kid-is-a-path"),
    pytest.param(changed(iss="https://evil.example"), "invalid", id="other-issuer"),
    pytest.param(changed(iss=None), "invalid", id="no-issuer"),
    pytest.param(changed(aud="another"), "audience", id="other-audience"),
    pytest.param(changed(aud=["another", AUDIENCE]), "audience", id="several-audiences"),
    pytest.param(
        changed(aud=["another", AUDIENCE], azp="another"), "audience", id="given-to-another"
    ),
    pytest.param(changed(aud=None), "audience", id="no-audience"),
    pytest.param(changed(aud=[]), "audience", id="empty-audience"),
    pytest.param(changed(sub=None), "invalid", id="nobody"),
    pytest.param(changed(sub=""), "invalid", id="empty-subject"),
    pytest.param(changed(sub="a na"), "invalid", id="subject-with-a-space"),
    pytest.param(changed(sub="x" * 300), "invalid", id="long-subject"),
    pytest.param(changed(exp=None), "invalid", id="no-end"),
    pytest.param(changed(iat=None), "invalid", id="no-beginning"),
    pytest.param(changed(exp=True), "invalid", id="end-is-true"),
    pytest.param(changed(groups={"finance": True}), "invalid", id="groups-are-a-map"),
    pytest.param(changed(groups=[1]), "invalid", id="groups-are-numbers"),
    pytest.param(changed(groups=[str(n) for n in range(65)]), "invalid", id="too-many-groups"),
    pytest.param(later(exp=0), "expired", id="expired"),
    pytest.param(later(iat=60, exp=90), "invalid", id="from-the-future"),
    pytest.param(later(nbf=60), "invalid", id="not-yet"),
    pytest.param(later(exp=MAX_LIFE_S + 1), "invalid", id="lives-too-long"),
]


@pytest.mark.parametrize(("make", "reason"), FORGED)
async def test_what_is_not_exactly_right_is_refused(
    corp: Provider, users: UserIssuers, make: Callable[[Provider], str], reason: str
) -> None:
    now = now_of(corp.claims("ana", audience=AUDIENCE))
    with pytest.raises(AuthError) as refused:
        await users.verify_user(make(corp), now)
    assert refused.value.reason == reason
    assert set(corp.asked) <= {METADATA, JWKS}


async def test_a_group_that_no_policy_can_name_is_passed_over(
    corp: Provider, users: UserIssuers
) -> None:
    claims = corp.claims("ana", audience=AUDIENCE, groups=["finance", "Küche", "two words"])
    found = await users.verify_user(corp.sign(claims), now_of(claims))
    assert found.groups == {"oidc:group/finance"}


async def test_groups_are_read_where_the_deployment_says(corp: Provider, fetcher: Fetcher) -> None:
    claims = corp.claims("ana", audience=AUDIENCE, groups=["finance"], roles=["staff"])
    found = await users_of(corp, fetcher, groups_claim="roles").verify_user(
        corp.sign(claims), now_of(claims)
    )
    assert found.groups == {"oidc:group/staff"}


async def test_an_issuer_without_a_say_in_groups_gives_none(
    corp: Provider, fetcher: Fetcher
) -> None:
    claims = corp.claims("ana", audience=AUDIENCE, groups=["finance"])
    found = await users_of(corp, fetcher, groups_claim=None).verify_user(
        corp.sign(claims), now_of(claims)
    )
    assert found.groups == frozenset()


async def test_issuers_cannot_speak_of_each_others_people(fetcher: Fetcher) -> None:
    async with provider("ES256") as corp, provider("ES256") as partner:
        declared = {
            name: UserIssuer.model_validate({"oidc": {"issuer": each.url, "audience": AUDIENCE}})
            for name, each in (("corp", corp), ("partner", partner))
        }
        users = UserIssuers.of(declared, fetcher, skew_s=0)
        claims = partner.claims("ana", audience=AUDIENCE)
        found = await users.verify_user(partner.sign(claims), now_of(claims))
        assert found.name == "partner:ana"
        borrowed = {**claims, "iss": corp.url}
        with pytest.raises(AuthError):
            await users.verify_user(partner.sign(borrowed), now_of(claims))


async def test_metadata_of_another_issuer_is_not_believed(
    corp: Provider, users: UserIssuers
) -> None:
    corp.metadata["issuer"] = "https://evil.example"
    claims = corp.claims("ana", audience=AUDIENCE)
    with pytest.raises(IssuerSilent):
        await users.verify_user(corp.sign(claims), now_of(claims))
    assert corp.asked == [METADATA]


async def test_keys_are_fetched_from_the_issuers_own_address_alone(
    corp: Provider, users: UserIssuers
) -> None:
    async with provider("ES256") as evil:
        corp.metadata["jwks_uri"] = f"{evil.url}{JWKS}"
        claims = corp.claims("ana", audience=AUDIENCE)
        with pytest.raises(IssuerSilent):
            await users.verify_user(evil.sign(claims), now_of(claims))
        assert evil.asked == []


async def test_keys_are_fetched_from_where_the_deployment_says(
    corp: Provider, fetcher: Fetcher
) -> None:
    claims = corp.claims("ana", audience=AUDIENCE)
    users = users_of(corp, fetcher, jwks_url=f"{corp.url}{JWKS}")
    await users.verify_user(corp.sign(claims), now_of(claims))
    assert corp.asked == [JWKS]


async def test_a_redirect_to_keys_is_not_followed(corp: Provider, users: UserIssuers) -> None:
    async with provider("ES256") as evil:
        corp.replaced[JWKS] = (302, {"location": f"{evil.url}{JWKS}"}, b"")
        claims = corp.claims("ana", audience=AUDIENCE)
        with pytest.raises(IssuerSilent):
            await users.verify_user(evil.sign(claims), now_of(claims))
        assert evil.asked == []


async def test_an_issuer_is_never_the_gateway_itself(corp: Provider) -> None:
    host, _, port = corp.url.removeprefix("http://").rpartition(":")
    users = users_of(corp, Fetcher(lambda: [(host, int(port))], _TLS, timeout_s=2))
    claims = corp.claims("ana", audience=AUDIENCE)
    with pytest.raises(IssuerSilent):
        await users.verify_user(corp.sign(claims), now_of(claims))
    assert corp.asked == []


# -- workloads ---------------------------------------------------------------------------------


def workloads_of(corp: Provider, fetcher: Fetcher, **place: object) -> WorkloadIssuers:
    declared = {
        "issuer": corp.url,
        "audience": AUDIENCE,
        "subjects": {SPIFFE: "clerk", POD: "clerk"},
        **(place or {"jwks_url": f"{corp.url}{JWKS}"}),
    }
    issuer = WorkloadIssuer.model_validate({"jwt": declared})
    return WorkloadIssuers.of({"cluster": issuer}, fetcher, skew_s=0)


@pytest.mark.parametrize("subject", [SPIFFE, POD])
async def test_a_workload_is_the_agent_that_its_subject_stands_for(
    corp: Provider, fetcher: Fetcher, subject: str
) -> None:
    workloads = workloads_of(corp, fetcher)
    claims = corp.claims(subject, audience=AUDIENCE)
    token = corp.sign(claims)
    assert workloads.issued(token)
    assert (await workloads.authenticate_workload(token, now_of(claims))).agent == "clerk"


async def test_keys_of_workloads_may_be_in_a_file(
    corp: Provider, fetcher: Fetcher, tmp_path: Path
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [corp.keys[0].jwk]}))
    workloads = workloads_of(corp, fetcher, jwks_file=str(file))
    claims = corp.claims(SPIFFE, audience=AUDIENCE)
    found = await workloads.authenticate_workload(corp.sign(claims), now_of(claims))
    assert found == Workload("clerk", None, claims["exp"])
    assert corp.asked == []


async def test_a_file_of_keys_that_is_not_there_lets_nobody_in(
    corp: Provider, fetcher: Fetcher, tmp_path: Path
) -> None:
    workloads = workloads_of(corp, fetcher, jwks_file=str(tmp_path / "none.json"))
    claims = corp.claims(SPIFFE, audience=AUDIENCE)
    with pytest.raises(IssuerSilent):
        await workloads.authenticate_workload(corp.sign(claims), now_of(claims))


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(f"{SPIFFE}/admin", id="longer"),
        pytest.param(SPIFFE[:-1], id="shorter"),
        pytest.param(SPIFFE.upper(), id="other-case"),
        pytest.param("clerk", id="the-agents-own-name"),
        pytest.param("system:serviceaccount:other:clerk", id="other-namespace"),
    ],
)
async def test_a_subject_that_is_not_listed_is_no_agent(
    corp: Provider, fetcher: Fetcher, subject: str
) -> None:
    claims = corp.claims(subject, audience=AUDIENCE)
    with pytest.raises(AuthError):
        await workloads_of(corp, fetcher).authenticate_workload(corp.sign(claims), now_of(claims))


@pytest.mark.parametrize(
    ("make", "reason"), [case for case in FORGED if "groups" not in str(case.id)]
)
async def test_a_workload_proves_nothing_with_anything_else(
    corp: Provider, fetcher: Fetcher, make: Callable[[Provider], str], reason: str
) -> None:
    now = now_of(corp.claims("ana", audience=AUDIENCE))
    with pytest.raises(AuthError) as refused:
        await workloads_of(corp, fetcher).authenticate_workload(make(corp), now)
    assert refused.value.reason == reason


async def test_a_token_of_nobody_trusted_is_not_a_workloads(
    corp: Provider, fetcher: Fetcher
) -> None:
    async with provider("ES256") as other:
        token = other.sign(other.claims(SPIFFE, audience=AUDIENCE))
        assert not workloads_of(corp, fetcher).issued(token)
        assert not workloads_of(corp, fetcher).issued("nonsense")
