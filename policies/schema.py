"""JSON Schemas of the file formats, generated from the models that read them.

Editors complete and check from them; the loader takes from them which keys are known where.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from policies.document import Policy
from policies.expectations import PolicyTest
from policies.register import Part

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """The published schemas by file name."""
    return {
        "policy.schema.json": _published(Policy, "A policy file of Passavant"),
        "policy-test.schema.json": _published(PolicyTest, "A policy test file of Passavant"),
    }


def keys_at(model: type[Part], path: Sequence[str | int]) -> frozenset[str]:
    """The keys that the format knows for the mapping at `path`, in all its alternatives."""
    schema = _schema(model)
    nodes = list(_alternatives(schema, schema))
    for step in path:
        inner = [node for outer in nodes for node in _members(outer, step)]
        nodes = [node for each in inner for node in _alternatives(schema, each)]
    return frozenset(key for node in nodes for key in node.get("properties", {}))


def _published(model: type[Part], title: str) -> dict[str, Any]:
    return {"$schema": _DIALECT, **_schema(model), "title": title}


@cache
def _schema(model: type[Part]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _members(node: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    """The schemas of what stands at one key or index of what `node` describes."""
    if isinstance(step, int):
        candidates = [node.get("items")]
    elif step in node.get("properties", {}):
        candidates = [node["properties"][step]]
    else:
        candidates = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
    yield from (each for each in candidates if isinstance(each, dict))


def _alternatives(schema: dict[str, Any], node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`node` without its references and unions."""
    if "$ref" in node:
        yield from _alternatives(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    for choice in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        yield from _alternatives(schema, choice)
    yield node
