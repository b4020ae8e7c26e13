import secrets
import uuid

import pytest

from gateway.identity import names
from gateway.identity.errors import NameInvalid

NOT_A_NAME = [
    pytest.param("", id="empty"),
    pytest.param("a b", id="space"),
    pytest.param("a\n", id="newline"),
    pytest.param("a\x00", id="nul"),
    pytest.param("а", id="cyrillic"),
    pytest.param("ａ", id="full-width"),
    pytest.param("a\u200b", id="zero-width"),
    pytest.param("a" * 300, id="long"),
    pytest.param(None, id="null"),
    pytest.param(1, id="number"),
    pytest.param(True, id="bool"),
    pytest.param(["a"], id="list"),
    pytest.param(b"a", id="bytes"),
]


@pytest.mark.parametrize("text", NOT_A_NAME)
@pytest.mark.parametrize("kind", [names.agent, names.user, names.group, names.identifier])
def test_what_could_mislead_names_nothing(kind: object, text: object) -> None:
    assert callable(kind)
    with pytest.raises(NameInvalid):
        kind(text)


@pytest.mark.parametrize(
    "text",
    ["Clerk", "1clerk", "-clerk", "clerk-", "cl--erk", "cl_erk", "cl.erk", "agent:clerk", "a" * 65],
)
def test_an_agent_is_spelled_as_in_policy_files(text: str) -> None:
    with pytest.raises(NameInvalid):
        names.agent(text)


@pytest.mark.parametrize("text", ["clerk", "a", "support-bot", "bot2", "a" * 64])
def test_an_agents_name_is_taken_as_it_is(text: str) -> None:
    assert names.agent(text) == text


@pytest.mark.parametrize("text", ["ana", "ana@acme.example", "idp|42", "Ana", "agents:1"])
def test_a_user_is_named_as_the_identity_provider_does(text: str) -> None:
    assert names.user(text) == text


@pytest.mark.parametrize("text", ["agent:clerk", "agent:", "agent:Ana"])
def test_no_person_is_named_like_an_agent(text: str) -> None:
    with pytest.raises(NameInvalid):
        names.user(text)


@pytest.mark.parametrize("text", ["../x", "a/b", "a.b", "a:b", "a%2e", "a=", "a" * 65])
def test_an_id_can_be_no_path_and_no_pattern(text: str) -> None:
    with pytest.raises(NameInvalid):
        names.identifier(text)


def test_what_we_make_ids_with_makes_ids() -> None:
    for _ in range(200):  # among them some that begin with a hyphen
        names.identifier(secrets.token_urlsafe(18))
    names.identifier(str(uuid.uuid4()))
