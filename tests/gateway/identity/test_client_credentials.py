"""Client credentials: an agent's own session, and a front end's session for a user."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.identity.errors import OAuthError
from gateway.session.purpose import MAX_SAID, MAX_WORDS
from tests.gateway.identity.desk import Desk, desk_at
from tests.gateway.rooms import KEY, Call

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {ada: {}, bo: {}}
groups:
  staff: {members: [kim, lee]}
  outside: {from: "oidc:group/outside"}
tools: {git.log: {risk: read}}
front_ends:
  portal: {users: [ana], groups: [staff, outside], agents: [ada]}
"""
WORDS = "Pay the invoice 42 of Müller.\nNothing else."


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path, POLICY) as desk:
        yield desk


async def refused(desk: Desk, name: str, **form: str) -> str:
    before = len(list(desk.house.log.entries()))
    with pytest.raises(OAuthError) as found:
        await desk.begin(name, **form)
    for said in form.values():
        assert len(said) < 8 or said not in str(found.value)
    kinds = [entry.body["kind"] for entry in desk.house.log.entries(before)]
    assert kinds in ([], ["assertion.used"])
    return found.value.reason


# -- a front end


@pytest.mark.parametrize("user", ["ana", "kim"])
async def test_a_front_end_speaks_for_a_user_in_the_users_words(desk: Desk, user: str) -> None:
    token = await desk.begin("portal", agent="ada", user=user, purpose=WORDS, purpose_tools="git.*")
    principal, session = desk.principal(token), desk.session(token)
    assert (principal.agent, principal.user, principal.chain) == ("ada", user, ())
    assert (session.purpose, session.tools, session.own) == (WORDS, ("git.*",), False)
    (opened,) = desk.house.bodies("session.open")
    assert opened["by"] == desk.house.bodies("token.issue")[0]["by"] == "front-end:portal"


async def test_a_purpose_need_not_be_stated(desk: Desk) -> None:
    session = desk.session(await desk.begin("portal", agent="ada", user="ana"))
    assert (session.purpose, session.tools) == (None, None)


async def test_a_session_for_a_user_is_clean(desk: Desk) -> None:
    key = replace(KEY, session=desk.principal(await desk.begin("ada")).session, agent="ada")
    call = Call(desk.house.recorder.new_id(), key, emits=("web",))
    await desk.house.end(call, await desk.house.decide(call))
    token = await desk.begin("portal", agent="ada", user="ana")
    assert desk.session(token).labels == frozenset()


async def test_the_words_stand_in_no_entry_and_no_view(desk: Desk) -> None:
    token = await desk.begin("portal", agent="ada", user="ana", purpose=WORDS)
    await desk.house.keeper.save()
    folder = desk.house.folder
    stored = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    for word in ("invoice", "Müller"):
        assert word.encode() not in stored
    again = Desk(desk.house.reopen(), desk.keys, POLICY, desk.numbers)
    try:
        assert again.session(token).purpose == WORDS
    finally:
        again.house.close()


async def test_words_whose_key_is_destroyed_are_no_purpose_any_more(desk: Desk) -> None:
    token = await desk.begin("portal", agent="ada", user="ana", purpose=WORDS, purpose_tools="*")
    again = Desk(desk.house.reopen(), desk.keys, POLICY, desk.numbers)
    try:
        again.house.recorder._vault.erase("ana")
        session = again.session(token)
        assert (session.purpose, session.tools) == (None, ("*",))
    finally:
        again.house.close()


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        pytest.param({"user": "ana"}, "invalid_request", id="no-agent"),
        pytest.param({"agent": "ada"}, "invalid_request", id="no-user"),
        pytest.param({}, "invalid_request", id="for-itself"),
        pytest.param({"agent": "bo", "user": "ana"}, "unauthorized_client", id="other-agent"),
        pytest.param({"agent": "portal", "user": "ana"}, "unauthorized_client", id="itself"),
        pytest.param({"agent": "ada", "user": "eve"}, "unauthorized_client", id="other-user"),
        pytest.param({"agent": "ada", "user": "Ana"}, "unauthorized_client", id="other-case"),
        pytest.param({"agent": "ada", "user": "staff"}, "unauthorized_client", id="a-group"),
        pytest.param({"agent": "ada", "user": "outside"}, "unauthorized_client", id="unlisted"),
        pytest.param({"agent": "ada", "user": "agent:ada"}, "invalid_request", id="agent-as-user"),
        pytest.param({"agent": "Ada", "user": "ana"}, "invalid_request", id="no-name"),
        pytest.param(
            {"agent": "ada", "user": "ana", "purpose_tools": "git.*"},
            "invalid_request",
            id="tools-without-words",
        ),
        pytest.param(
            {"agent": "ada", "user": "ana", "purpose": "x", "purpose_tools": "git"},
            "invalid_request",
            id="no-tools",
        ),
        pytest.param(
            {"agent": "ada", "user": "ana", "purpose": " \n "}, "invalid_request", id="blank"
        ),
        pytest.param(
            {"agent": "ada", "user": "ana", "purpose": "pay\u202eyap"},
            "invalid_request",
            id="text-that-turns-round",
        ),
        pytest.param(
            {"agent": "ada", "user": "ana", "purpose": "x" * (MAX_WORDS + 1)},
            "invalid_request",
            id="endless",
        ),
    ],
)
async def test_what_a_front_end_may_not_say_opens_nothing(
    desk: Desk, form: dict[str, str], reason: str
) -> None:
    assert await refused(desk, "portal", **form) == reason


async def test_a_front_end_that_the_policy_no_longer_names_is_nobody_elses_voice(
    desk: Desk,
) -> None:
    desk.put_into_force(POLICY.partition("front_ends:")[0])
    assert await refused(desk, "portal", agent="ada", user="ana") == "unauthorized_client"


# -- an agent


@pytest.mark.parametrize(
    "form",
    [
        {"purpose": WORDS},
        {"purpose_tools": "git.*"},
        {"user": "ana"},
        {"agent": "ada"},
        {"agent": "bo", "user": "ana", "purpose": WORDS},
    ],
)
@pytest.mark.parametrize("name", ["ada", "bo"])
async def test_an_agent_states_no_purpose_and_speaks_for_nobody(
    desk: Desk, name: str, form: dict[str, str]
) -> None:
    assert await refused(desk, name, **form) == "unauthorized_client"


# -- what the user says later


async def opened(desk: Desk, **form: str) -> str:
    token = await desk.begin("portal", agent="ada", user="ana", **form)
    return desk.principal(token).session


async def test_a_front_end_adds_what_the_user_says_later(desk: Desk) -> None:
    session = await opened(desk, purpose=WORDS, purpose_tools="git.*")
    more = {"agent": "ada", "user": "ana", "session": session, "purpose": "And thank him."}
    token = await desk.begin("portal", **more)
    assert desk.principal(token).session == session
    assert desk.session(token).purpose == f"{WORDS}\nAnd thank him."
    (said,) = desk.house.bodies("session.purpose")
    assert (said["session"], said["by"]) == (session, "front-end:portal")
    again = Desk(desk.house.reopen(), desk.keys, POLICY, desk.numbers)
    try:
        assert again.session(token).purpose == f"{WORDS}\nAnd thank him."
    finally:
        again.house.close()


async def test_a_session_without_words_can_be_given_some(desk: Desk) -> None:
    session = await opened(desk)
    token = await desk.begin("portal", agent="ada", user="ana", session=session, purpose="Go.")
    assert desk.session(token).purpose == "Go."


async def test_a_further_token_needs_no_further_words(desk: Desk) -> None:
    session = await opened(desk, purpose=WORDS)
    token = await desk.begin("portal", agent="ada", user="ana", session=session)
    assert (desk.principal(token).session, desk.session(token).purpose) == (session, WORDS)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        pytest.param({"purpose_tools": "*"}, "unauthorized_client", id="wider"),
        pytest.param({"purpose_tools": "git.log"}, "unauthorized_client", id="narrower"),
        pytest.param({"user": "kim"}, "invalid_request", id="of-another-user"),
        pytest.param({"session": "unheard-of"}, "invalid_request", id="unknown"),
        pytest.param({"purpose": " "}, "invalid_request", id="blank"),
        pytest.param({"purpose": "x" * (MAX_WORDS + 1)}, "invalid_request", id="endless"),
    ],
)
async def test_what_a_front_end_may_not_add_is_refused(
    desk: Desk, form: dict[str, str], reason: str
) -> None:
    session = await opened(desk, purpose=WORDS)
    stated = {"agent": "ada", "user": "ana", "session": session, "purpose": "More."}
    assert await refused(desk, "portal", **(stated | form)) == reason
    assert desk.house.bodies("session.purpose") == []


@pytest.mark.parametrize("form", [{"session": "s"}, {"session": "s", "purpose": "Pay all."}])
async def test_an_agent_adds_nothing_to_what_the_user_said(
    desk: Desk, form: dict[str, str]
) -> None:
    await opened(desk, purpose=WORDS)
    assert await refused(desk, "ada", **form) == "unauthorized_client"


async def test_a_session_that_another_opened_is_not_spoken_in(desk: Desk) -> None:
    clean = await desk.house.openings.clean("ada", "ana", by="operator:adam")
    stated = {"agent": "ada", "user": "ana", "session": clean.id, "purpose": "More."}
    assert await refused(desk, "portal", **stated) == "invalid_request"


async def test_a_user_does_not_talk_for_ever(desk: Desk) -> None:
    session = await opened(desk, purpose=WORDS)
    stated = {"agent": "ada", "user": "ana", "session": session, "purpose": "More."}
    for _ in range(MAX_SAID - 1):
        await desk.begin("portal", **stated)
    assert await refused(desk, "portal", **stated) == "invalid_request"
