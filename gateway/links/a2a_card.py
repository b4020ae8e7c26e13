"""Cards: what an agent of somebody else's says of itself, and what is made of it here.

To the catalogue such an agent is a server with one tool, `ask`. Its definition is made of the card
and names the card's digest, so that whatever changes in the card is a tool that has changed: it is
blocked until a person has looked at it. A card can send us to no other place than where it was
fetched, since our credential would go there too.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit.canonical import Json
from gateway.errors import AddressRefused, NotUnderstood
from gateway.links.a2a_wire import V03, V10, Wire
from gateway.links.address import Destination
from gateway.links.jsonrpc import dump_sorted

TOOL = "ask"
"""The one tool of such a server."""

WELL_KNOWN = "/.well-known/agent-card.json"

_MOST_TEXT = 4000
_MOST_SKILLS = 64
_JSON_RPC = "JSONRPC"


@dataclass(frozen=True, slots=True)
class Card:
    """What is needed of a card.

    definition  of the tool that the agent is, as MCP defines tools
    endpoint    where it is asked
    wire        how it is spoken to
    tenant      which of the agents there it is; "": there is one
    """

    definition: Mapping[str, Json]
    endpoint: Destination
    wire: Wire
    tenant: str

    @classmethod
    def read(cls, members: Mapping[str, Json], at: Destination) -> "Card":
        """Read a card that was fetched at `at`. Raises NotUnderstood or AddressRefused."""
        for wire, url, tenant in _interfaces(members):
            endpoint = Destination.parse(url, allow_private=at.allow_private)
            if endpoint.origin != at.origin:
                raise AddressRefused("the card of this agent leads to another place")
            return cls(_definition(members), endpoint, wire, tenant)
        raise NotUnderstood("a card without JSON-RPC of A2A 1.0 or 0.3")


def card_url(url: str) -> str:
    """Where the card of an agent stands: at the URL itself, or at the well-known place below it."""
    return url if url.endswith(".json") else f"{url.rstrip('/')}{WELL_KNOWN}"


def _interfaces(card: Mapping[str, Json]) -> Iterator[tuple[Wire, str, str]]:
    """The ways to the agent that we can speak, the newest protocol first."""
    found = card.get("supportedInterfaces")
    stated = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    for wire in (V10, V03):
        for each in stated:
            version = str(each.get("protocolVersion", ""))
            if each.get("protocolBinding") == _JSON_RPC and version.startswith(wire.version):
                yield wire, str(each.get("url", "")), str(each.get("tenant") or "")
    is_old = str(card.get("protocolVersion", "")).startswith(V03.version)
    if is_old and card.get("preferredTransport", _JSON_RPC) == _JSON_RPC:
        yield V03, str(card.get("url", "")), ""


def _definition(card: Mapping[str, Json]) -> dict[str, Json]:
    unsigned = {name: value for name, value in card.items() if name != "signatures"}
    digest = hashlib.sha256(dump_sorted(unsigned)).hexdigest()  # some sign each time anew
    told = [_text(card.get("description")), *_skills(card), f"Card: sha256:{digest}"]
    return {
        "name": TOOL,
        "title": _text(card.get("name")),
        "description": "\n".join(line for line in told if line),
        "inputSchema": {
            "type": "object",
            "properties": {"task": {"description": "What the agent is to do: text, or JSON."}},
            "required": ["task"],
        },
    }


def _skills(card: Mapping[str, Json]) -> Iterator[str]:
    skills = card.get("skills")
    for each in skills[:_MOST_SKILLS] if isinstance(skills, list) else ():
        if isinstance(each, dict):
            yield f"- {_text(each.get('name'))}: {_text(each.get('description'))}"


def _text(value: Json) -> str:
    return value[:_MOST_TEXT] if isinstance(value, str) else ""
