"""`/policies/try`: decide a call that nobody makes, or one of the past once more, and say why."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from json import dumps
from typing import Any

from fastapi import Request, Response

from audit import canonical
from audit.canonical import Json
from audit.errors import NotStrict
from console import frame
from console.routes import Pages
from console.visitors import Viewer, Visitor, Writer
from gateway.errors import GatewayError
from gateway.operator import drafts, evidence, policy, replaying
from gateway.operator.api import Here, validated
from gateway.operator.errors import OperatorRefused
from gateway.operator.policy import Supposed
from gateway.operator.services import Services
from policies.decision import Facts
from policies.errors import PolicyInvalid
from policies.explain import Explanation

MAX_JSON = 32_000

_INDEX = re.compile(r"[0-9]{1,15}", re.ASCII)

router = Pages()


@dataclass(frozen=True, slots=True)
class Given:
    """What stands in the form.

    more   further facts, as a JSON object
    entry  the entry that it was filled in from; ""
    file, text  a draft of one policy file, to be decided by, too; "" is none
    """

    agent: str = ""
    tool: str = ""
    args: str = "{}"
    user: str = ""
    chain: str = ""
    labels: str = ""
    more: str = "{}"
    entry: str = ""
    file: str = ""
    text: str = ""


@router.get("/policies/try")
async def empty(
    services: Here, visitor: Viewer, request: Request, agent: str = "", tool: str = ""
) -> Response:
    """A form to fill in; of an agent and a tool that a page named, already decided."""
    return await _shown(services, visitor, request, Given(agent=agent, tool=tool))


@router.post("/policies/try")
async def tried(services: Here, visitor: Writer, request: Request) -> Response:
    """What the form says, decided. Nothing is done, sent or recorded."""
    names = [each.name for each in fields(Given)]
    stated = {name: visitor.field(name) for name in names if name in visitor.fields}
    return await _shown(services, visitor, request, Given(**stated))


@router.post("/policies/try/{index}")
async def from_entry(services: Here, visitor: Viewer, request: Request, index: int) -> Response:
    """The call of an entry with what it was decided on; its arguments are opened on record."""
    entry = evidence.find(services, index)
    found = await replaying.recorded(services, visitor.operator, entry)
    return await _shown(services, visitor, request, _filled_in(index, found.facts))


async def _shown(services: Services, visitor: Visitor, request: Request, given: Given) -> Response:
    snapshot = services.worlds.current.snapshot
    view: dict[str, Any] = {
        "told": None,
        "drafted": None,
        "wrong": "",
        "findings": [],
        "then": _then(services, given.entry),
    }
    try:
        if given.agent and given.tool:
            supposed = _supposed(given)
            view["told"] = policy.explained(services, supposed)
            view["drafted"] = await _by_draft(services, visitor, given, supposed)
    except PolicyInvalid as error:
        view |= {"wrong": "The draft is refused.", "findings": error.findings}
    except GatewayError as error:
        view["wrong"] = str(error)
    return frame.show(
        request,
        visitor,
        "rules/try.html",
        status=400 if view["wrong"] else 200,
        here="/policies/try",
        given=given,
        agents=sorted(snapshot.agents)[:500],
        tools=sorted(snapshot.tools),
        files=[name for name, _ in services.worlds.current.contents],
        **view,
    )


async def _by_draft(
    services: Services, visitor: Visitor, given: Given, supposed: Supposed
) -> Explanation | None:
    """The same call by a draft, when there is one. Raises OperatorRefused, PolicyInvalid."""
    if not given.text.strip():
        return None
    drafts.check_author(visitor.operator)
    draft = await drafts.drafted(services, drafts.replaced(services, given.file, given.text))
    return policy.explained(services, supposed, draft.snapshot)


def _then(services: Services, index: str) -> Mapping[str, Any] | None:
    """What was decided then: of the entry that the form was filled in from."""
    if not _INDEX.fullmatch(index):
        return None
    body = evidence.find(services, int(index)).body
    if body["kind"] not in replaying.KINDS:
        return None
    decision = body.get("decision") or {**body, "effect": "ask"}
    return {
        "index": int(index),
        "ts": body["ts"],
        **{name: decision[name] for name in ("effect", "rules", "snapshot")},
    }


def _supposed(given: Given) -> Supposed:
    """The call that a form describes. Raises OperatorRefused."""
    stated: dict[str, Json] = {
        "agent": given.agent,
        "tool": given.tool,
        "args": _json("arguments", given.args),
        "user": given.user or None,
        "chain": list[Json](given.chain.split()),
        "labels": list[Json](given.labels.split()),
    }
    more = _json("other facts", given.more or "{}")
    if not isinstance(more, dict) or stated.keys() & more.keys():
        raise OperatorRefused("operator.body", "other facts: an object without the fields above")
    return validated(Supposed, {**more, **stated})


def _json(what: str, text: str) -> Json:
    try:
        return canonical.read(text.encode(), max_bytes=MAX_JSON)
    except (NotStrict, UnicodeEncodeError) as error:
        raise OperatorRefused("operator.body", f"{what}: {error}") from error


def _filled_in(index: int, facts: Facts) -> Given:
    more: dict[str, Json] = {
        "groups": list[Json](sorted(facts.user_groups)),
        "scopes": list[Json](facts.scopes),
        "provenance": dict(facts.provenance),
        "origin": dict(facts.origin),
        "secrets": list[Json](sorted(facts.secrets)),
        "purpose": facts.purpose,
        "purpose_tools": None if facts.purpose_tools is None else list[Json](facts.purpose_tools),
        "totals": dict(facts.totals),
        "history": dict(facts.history),
        "now": facts.now,
        "proven": facts.proven,
    }
    return Given(
        agent=facts.agent,
        tool=facts.tool,
        args=dumps(facts.args, indent=1, sort_keys=True),
        user=facts.user or "",
        chain=" ".join(facts.chain),
        labels=" ".join(sorted(facts.labels)),
        more=dumps({name: value for name, value in more.items() if value}, indent=1),
        entry=str(index),
    )
