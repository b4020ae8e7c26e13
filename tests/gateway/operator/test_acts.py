"""What operators do: each act is an entry that names who did it, before it is a fact."""

from pathlib import Path
from typing import Any

import pytest

from audit.pin import read_pins
from audit.verify import verify_directory
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import TOOLS, desk, tool


def newest(gateway: Running, kind: str) -> dict[str, Any]:
    found = gateway.entries(kind)
    assert found, f"no {kind} was recorded"
    return found[-1]


async def test_a_token_is_recorded_with_its_session_its_agent_and_who_asked_for_it(
    tmp_path: Path,
) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, mode="dev") as gateway,
    ):
        clerk = await gateway.agent("clerk-1", user="ana", tools=["desk.look"], ttl_s=60)
        opened, issued = newest(gateway, "session.open"), newest(gateway, "token.issue")
        assert opened["session"] == issued["session"] == clerk.session
        assert "adam" in opened["by"]
        assert issued["by"] == "operator:adam"
        assert issued["actor"] == {"agent": "clerk-1", "chain": [], "sub": "ana"}
        for entry in gateway.entries():
            assert str(clerk.token) not in str(entry)
        assert (await clerk.call("desk.look", at="x")).done
        assert (await clerk.call("desk.pay", amount=1)).code == "policy.denied"
        gateway.clock.pass_s(61)
        assert (await clerk.call("desk.look", at="x")).code == "auth.expired"


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        pytest.param({"agent": "nobody"}, 404, id="unknown-agent"),
        pytest.param({"agent": "clerk-1", "session": "01a1f7fc"}, 404, id="unknown-session"),
        pytest.param({"agent": "clerk-1", "ttl_s": 0}, 400, id="no-life"),
        pytest.param({"agent": "clerk-1", "ttl_s": -1}, 400, id="negative-life"),
        pytest.param({"agent": "clerk-1", "tools": []}, 400, id="no-tools"),
        pytest.param({"agent": "clerk-1", "tools": ["desk look"]}, 400, id="broken-scope"),
        pytest.param({"agent": "clerk-1", "user": "a\nb"}, 400, id="broken-user"),
        pytest.param({"agent": "clerk-1", "role": "admin"}, 400, id="more-than-there-is"),
    ],
)
async def test_a_token_that_cannot_be_is_refused_and_opens_no_session(
    tmp_path: Path, wanted: dict[str, Any], status: int
) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, mode="dev") as gateway,
    ):
        refused = await gateway.operate("POST", "/api/tokens", wanted, check=False)
        assert refused.status_code == status, refused.text
        assert gateway.entries("token.issue") == []
        assert gateway.entries("session.open") == []


async def test_a_life_over_the_most_is_cut_to_the_most(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        wanted = {"agent": "clerk-1", "ttl_s": 10**9}
        issued = await gateway.operate("POST", "/api/tokens", wanted, check=False)
        assert issued.status_code == 400 or issued.json()["expires_in"] <= 3600


async def test_a_session_of_one_agent_is_given_to_no_other(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, mode="dev") as gateway,
    ):
        clerk = await gateway.agent("clerk-1", user="ana")
        for wanted in (
            {"agent": "clerk-2", "user": "ana"},
            {"agent": "clerk-1", "user": "omar"},
            {"agent": "clerk-1"},
        ):
            refused = await gateway.operate(
                "POST", "/api/tokens", {**wanted, "session": clerk.session}, check=False
            )
            assert refused.status_code == 404
        same = await gateway.agent("clerk-1", user="ana", session=clerk.session)
        assert same.session == clerk.session


async def test_what_is_withdrawn_is_worth_nothing_from_the_next_call_on(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        one, other = await gateway.agent("clerk-1"), await gateway.agent("clerk-1")
        await gateway.operate("POST", "/api/tokens/revoke", {"token": one.token})
        assert newest(gateway, "token.revoke")["by"] == "operator:adam"
        assert (await one.call("desk.look")).code == "auth.revoked"
        assert (await other.call("desk.look")).done
        await gateway.operate("POST", f"/api/sessions/{other.session}/end")
        assert newest(gateway, "session.end")["session"] == other.session
        assert not (await other.call("desk.look")).done
        assert len(upstream.calls) == 1


async def test_a_withdrawal_outlives_the_process(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent("clerk-1")
            await gateway.operate("POST", "/api/tokens/revoke", {"token": clerk.token})
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk.http, clerk.url = gateway.http, gateway.url
            assert (await clerk.call("desk.look")).http == 401
            assert upstream.calls == []


async def test_an_activation_is_recorded_with_what_was_before(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        before = (await gateway.operate("GET", "/api/policy")).json()["snapshot"]
        answered = await gateway.apply(DESK + "# another\n")
        entry = newest(gateway, "policy.changed")
        assert (entry["before"], entry["snapshot"]) == (before, answered.json()["snapshot"])
        assert "adam" in entry["by"]


async def test_what_is_accepted_is_recorded_and_shown_beforehand(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        upstream.offer(
            *TOOLS[1:], tool("pay", amount="integer", to="string", hidden="string"), tool("new")
        )
        await gateway.look_again("desk")
        await gateway.until(lambda: bool(gateway.entries("server.differs")))
        differs = newest(gateway, "server.differs")
        assert (differs["changed"], differs["new"], differs["removed"]) == (["pay"], ["new"], [])
        shown = (await gateway.operate("GET", "/api/servers/desk/review", by="vera")).json()
        assert [(c["tool"], c["change"]) for c in shown["changes"]] == [
            ("new", "new"),
            ("pay", "changed"),
        ]
        assert '"hidden"' in shown["changes"][1]["difference"]
        await gateway.accept("desk")
        accepted = newest(gateway, "server.accepted")
        assert (accepted["server"], accepted["tools"]) == ("desk", len(TOOLS) + 1)


async def test_operators_are_invited_and_removed_on_the_record(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        invited = {"name": "lena", "roles": ["viewer"]}
        key = (await gateway.operate("POST", "/api/operators", invited)).json()["key"]
        assert newest(gateway, "operator.invited")["operator"] == "lena"
        assert key not in str(gateway.entries())
        headers = {"authorization": f"Bearer {key}"}
        status = f"{gateway.operators_url}/api/status"
        assert (await gateway.http.get(status, headers=headers)).status_code == 200
        await gateway.operate("POST", "/api/operators/lena/remove")
        assert newest(gateway, "operator.removed")["operator"] == "lena"
        assert (await gateway.http.get(status, headers=headers)).status_code == 401


async def test_looking_into_what_is_sealed_is_an_entry_too(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        answered = await clerk.call("desk.pay", amount=40, to="a secret target")
        assert "a secret target" not in str(gateway.entries())
        path = f"/api/audit/entries/{answered.entry}"
        shown = (await gateway.operate("GET", path, by="vera")).json()
        assert "a secret target" in str(shown["words"])
        opened = newest(gateway, "audit.opened")
        assert (opened["opened"], opened["by"]) == (answered.entry, "operator:vera")


async def test_the_log_as_operators_read_it_is_the_log(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            receipts = [
                (await clerk.call("desk.look", at=str(number))).receipt for number in range(20)
            ]
            rows = (await gateway.operate("GET", "/api/audit/entries", by="vera")).json()
            for receipt in receipts:
                assert receipt is not None
                origin, index, leaf = receipt.split(";")
                row = rows[int(index)]
                assert (row["origin"], row["leaf"]) == (origin, leaf)
                proof = await gateway.operate("GET", f"/api/audit/proof/{index}", by="vera")
                assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")
            vkey = (await gateway.operate("GET", "/api/audit/vkey", by="vera")).text.strip()
            queried = await gateway.operate(
                "GET", f"/api/audit/search?q=agent:{clerk.name}%20kind:decision&limit=5", by="vera"
            )
            assert len(queried.json()["entries"]) <= 5
        pins = read_pins("".join(f"{receipt}\n" for receipt in receipts))
        report = verify_directory(tmp_path / "home" / "tiles", vkey, pins)
        assert report.ok, report.findings
        assert report.rollback == "excluded by pin"
