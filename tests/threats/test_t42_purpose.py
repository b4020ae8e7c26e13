"""T42: a session carries its task and the tools for it; others are refused whatever rules say."""

import pytest

from tests.harness.client import Client
from tests.harness.gateway import Running
from tests.harness.office import POLICY as OFFICE
from tests.harness.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = OFFICE + "front_ends:\n  portal: {users: [ana], agents: [clerk-1]}\n"
CLIENTS = ["portal", "clerk-1"]
ACCOUNT = "GB33BUKB20201555555555"


@pytest.fixture
def gateway(opened: tuple[Running, Office]) -> Running:
    return opened[0]


async def test_t42_a_tool_that_the_purpose_does_not_need_is_refused(
    gateway: Running, office: Office
) -> None:
    agent = await gateway.agent(purpose="Read my mail.", purpose_tools=["office.mail"])
    assert (await agent.call("office.mail")).done
    refused = await agent.call("office.send", to="bob@acme.example", text="hello")
    assert refused.code == "policy.denied"
    assert gateway.entry(refused.entry)["decision"]["rules"] == ["purpose"]
    assert office.arrived("send") == []


async def test_t42_only_a_person_widens_a_purpose(gateway: Running, office: Office) -> None:
    agent = await gateway.agent(
        purpose="Read my mail and write to bob@acme.example.", purpose_tools=["office.mail"]
    )
    letter = {"to": "bob@acme.example", "text": "hello"}
    assert (await agent.call("office.send", **letter)).code == "policy.denied"
    path = f"/api/sessions/{agent.session}/widen"
    for nobody in ("vera", "omar", "arno"):
        answered = await gateway.operate(
            "POST", path, {"tools": ["office.send"]}, by=nobody, check=False
        )
        assert answered.status_code == 403
    assert (await agent.call("office.send", **letter)).code == "policy.denied"
    await gateway.operate("POST", path, {"tools": ["office.send"]})
    assert (await agent.call("office.send", **letter)).done
    (entry,) = [e for e in gateway.entries("session.purpose") if e["session"] == agent.session]
    assert (entry["by"], entry["tools"]) == ("operator:adam", ["office.send"])


async def test_t42_a_widened_purpose_allows_nothing_that_the_policy_does_not(
    gateway: Running, office: Office
) -> None:
    agent = await gateway.agent(purpose="Read my mail.", purpose_tools=["office.mail"])
    await gateway.operate("POST", f"/api/sessions/{agent.session}/widen", {"tools": ["*"]})
    asked = await agent.call("office.pay", account=ACCOUNT, amount=1)
    assert asked.code == "approval.pending"
    assert office.arrived("pay") == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"tools": []}, 400, id="nothing"),
        pytest.param({"tools": ["office.mail"], "words": "Pay."}, 400, id="words"),
        pytest.param({"tools": ["office mail"]}, 400, id="no-tool"),
        pytest.param({}, 400, id="no-tools"),
    ],
)
async def test_t42_widening_says_what_and_no_words(
    gateway: Running, office: Office, body: dict[str, object], status: int
) -> None:
    agent = await gateway.agent(purpose="Read my mail.", purpose_tools=["office.mail"])
    path = f"/api/sessions/{agent.session}/widen"
    assert (await gateway.operate("POST", path, body, check=False)).status_code == status


async def test_t42_what_limits_nothing_and_what_has_ended_cannot_be_widened(
    gateway: Running, office: Office
) -> None:
    free, over = (
        await gateway.agent(),
        await gateway.agent(purpose="x", purpose_tools=["office.mail"]),
    )
    await gateway.operate("POST", f"/api/sessions/{over.session}/end")
    for session in (free.session, over.session, "unheard-of"):
        path = f"/api/sessions/{session}/widen"
        answered = await gateway.operate("POST", path, {"tools": ["office.send"]}, check=False)
        assert answered.is_client_error


async def test_t42_what_the_user_says_later_counts_from_then_on(
    gateway: Running, office: Office
) -> None:
    portal = Client(gateway, "portal")
    agent = await portal.begin(agent="clerk-1", user="ana", purpose="Look at my bills.")
    bill = {"account": ACCOUNT, "amount": 5}
    assert (await agent.call("office.pay", **bill)).code == "approval.pending"
    more = {"agent": "clerk-1", "user": "ana", "session": agent.session}
    again = await portal.begin(**more, purpose=f"Now pay 5 to {ACCOUNT}.")
    assert again.session == agent.session
    assert (await agent.call("office.pay", account=ACCOUNT, amount=6)).done


async def test_t42_an_agent_cannot_speak_for_the_user(gateway: Running, office: Office) -> None:
    clerk, portal = Client(gateway, "clerk-1"), Client(gateway, "portal")
    agent = await portal.begin(agent="clerk-1", user="ana", purpose="Look at my bills.")
    for form in (
        {"purpose": f"Pay {ACCOUNT}."},
        {"session": agent.session, "purpose": f"Pay {ACCOUNT}."},
        {"agent": "clerk-1", "user": "ana", "session": agent.session, "purpose": "Pay."},
    ):
        answered = await clerk.ask(grant_type="client_credentials", **form)
        assert answered.json()["error"] == "unauthorized_client"
    renewed = await clerk.exchange(agent.token, purpose=f"Pay {ACCOUNT}.")
    assert not renewed.is_success
    asked = await agent.call("office.pay", account=ACCOUNT, amount=1)
    assert asked.code == "approval.pending"
