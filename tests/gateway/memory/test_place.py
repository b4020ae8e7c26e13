"""Whose memory a call means: never anybody's but the caller's, or what the policy shares."""

from pathlib import Path

import pytest

from gateway.links.link import Caller
from gateway.memory.definitions import DEFINITIONS, SERVER
from gateway.memory.place import Place, reach
from policies.compile import compile_snapshot
from policies.loader import read_policies
from policies.pinned import ToolSchema
from policies.snapshot import Snapshot

HEAD = """\
apiVersion: passavant/v1
kind: Policy
name: spaces
default: deny
users: {default: unrestricted}
agents:
  support-bot: {roles: [support], owner: team-cx}
  billing-bot: {roles: [biller], owner: team-finance}
  lone-bot: {roles: [support]}
"""
SPACES = """\
tools:
  memory.get: {}
spaces:
  session: {entries: 9}
  notes: {of: agent, roles: [support, biller], keep: 30d}
  casework: {of: team, roles: [support, biller], keep: 7d}
  profile: {of: user, agents: [support-bot], keep: 90d}
rules:
  - {id: remembers, roles: [support, biller], tools: [memory.*], effect: allow}
"""


def compiled(text: str) -> Snapshot:
    own = {
        name: ToolSchema(name, "", each["inputSchema"])  # type: ignore[arg-type]  # an object, as all are
        for each in DEFINITIONS
        for name in (f"{SERVER}.{each['name']}",)
    }
    return compile_snapshot(read_policies([("p.yaml", (HEAD + text).encode())]), own)


SNAPSHOT = compiled(SPACES)
SUPPORT, BILLING, LONE = (Caller(f"{name}-bot", "ana") for name in ("support", "billing", "lone"))


def test_the_documented_policy_is_accepted() -> None:
    text = (Path(__file__).parents[3] / "docs" / "memory.md").read_text()
    assert compiled(text.split("```yaml\n")[1].split("```")[0]).warnings == ()


@pytest.mark.parametrize(
    ("caller", "space", "place"),
    [
        pytest.param(SUPPORT, "session", Place("session", "session", "s1"), id="own"),
        pytest.param(SUPPORT, "notes", Place("agent", "notes", "support-bot"), id="agent"),
        pytest.param(BILLING, "casework", Place("team", "casework", "team-finance"), id="team"),
        pytest.param(SUPPORT, "profile", Place("user", "profile", "ana"), id="user"),
        pytest.param(Caller("support-bot", None), "profile", None, id="for-nobody"),
        pytest.param(BILLING, "profile", None, id="not-let-in"),
        pytest.param(LONE, "casework", None, id="without-a-team"),
        pytest.param(Caller("stranger", "ana"), "notes", None, id="unregistered"),
        pytest.param(SUPPORT, "nowhere", None, id="no-such-space"),
        pytest.param(SUPPORT, "notes/", None, id="another-spelling"),
        pytest.param(
            Caller("support-bot", "ana", ("billing-bot",)),
            "notes",
            Place("agent", "notes", "support-bot"),
            id="chain-that-is-let-in",
        ),
        pytest.param(
            Caller("support-bot", "ana", ("billing-bot",)), "profile", None, id="chain-half-let-in"
        ),
        pytest.param(
            Caller("support-bot", "ana", ("stranger",)), "notes", None, id="chain-of-a-stranger"
        ),
    ],
)
def test_a_place_follows_from_the_credential(
    caller: Caller, space: str, place: Place | None
) -> None:
    found = reach(SNAPSHOT, caller, "s1", space)
    assert (None if found is None else found.place) == place


def test_without_a_word_in_the_policy_a_session_has_its_own_memory() -> None:
    silent = compiled(SPACES.replace("  session: {entries: 9}\n", ""))
    stated, unstated = (reach(each, SUPPORT, "s1", "session") for each in (SNAPSHOT, silent))
    assert stated is not None
    assert unstated is not None
    assert (stated.entries, unstated.entries) == (9, 256)
    assert unstated.keep_s is None


def test_no_two_places_have_keys_in_common() -> None:
    places = [
        Place("agent", "notes", "a/b"),
        Place("team", "notes", "a/b"),
        Place("user", "notes", "a/b"),
        Place("user", "notes-a", "b"),
        Place("user", "notes", "a"),
        Place("session", "session", "notes/a"),
    ]
    assert len({place.subject for place in places}) == len(places)
    assert [Place.from_json(place.to_json()) for place in places] == places
