"""A tool's JSON Schema, read before it is trusted to check anything.

Where its parts stand, what they refer to, and whether checking by them ends, and ends soon: each
reference is followed here once, inside the document alone. An upstream writes this text.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast
from urllib.parse import unquote

from audit.canonical import Json
from gateway.errors import NotUnderstood, SchemaRefused
from gateway.links.jsonrpc import dump, read

Node: TypeAlias = "dict[str, Json] | bool"

LATEST = "https://json-schema.org/draft/2020-12/schema"
DRAFT_7 = "http://json-schema.org/draft-07/schema"
DIALECTS = frozenset({LATEST, "https://json-schema.org/draft/2019-09/schema", DRAFT_7})

MAX_BYTES = 256 << 10
_MAX_DEPTH = 64
_MAX_NODES = 4_000
_MAX_WEIGHT = 10_000  # subschemas that one value may have to be compared with
_MAX_VISITS = 100_000  # ... that one value with all that is nested in it may

# Where a keyword's value is a schema, a list of schemas, or an object of them: those that describe
# the same value as the schema they stand in, and those that describe what is nested in it.
_ONE_SAME = frozenset({"if", "then", "else", "not"})
_ONE_NESTED = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "items",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST_SAME = frozenset({"allOf", "anyOf", "oneOf"})
_LIST_NESTED = frozenset({"items", "prefixItems"})
_MAP_SAME = frozenset({"dependencies", "dependentSchemas"})
_MAP_NESTED = frozenset({"patternProperties", "properties"})
_SHELVES = frozenset({"$defs", "definitions"})
_ONE = _ONE_SAME | _ONE_NESTED
_LIST = _LIST_SAME | _LIST_NESTED
_MAP = _MAP_SAME | _MAP_NESTED | _SHELVES
_SAME_VALUE = _ONE_SAME | _LIST_SAME | _MAP_SAME
NESTED = _ONE_NESTED | _LIST_NESTED | _MAP_NESTED
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


class Schema:
    """One document, with its references resolved.

    root       the document, a copy of our own, in which each reference is relative
    dialect    its `$schema`, LATEST where it names none
    max_depth  how deep arguments may be nested, when the schema makes the cost of checking grow
               with a power of that; else None

    Raises SchemaRefused for what cannot be checked by safely.
    """

    def __init__(self, tool: str, document: Json) -> None:
        self._tool = tool
        self.root = self._copy(document)
        self.dialect = str(self.root.get("$schema", LATEST)).removesuffix("#")
        self._require(self.dialect in DIALECTS, "is of a dialect that is not known here")
        self._anchors: dict[str, dict[str, Json]] = {}
        self.nodes = tuple(self._walk(self.root))
        self._require(
            not any("$id" in node for node in self.nodes[1:]), "has an `$id` below its root"
        )
        self._require(len(self.nodes) <= _MAX_NODES, "has too many parts")
        self._positions = frozenset(map(id, self.nodes))
        self._targets = {id(node): tuple(self._follow(node)) for node in self.nodes}
        self._weights: dict[int, int] = {}
        try:
            for node in self.nodes:
                self._weigh(node, frozenset())
        except RecursionError:
            raise SchemaRefused(f"{tool}: its input schema has too long a chain") from None
        self.max_depth = self._find_max_depth()

    def same_value(self, node: dict[str, Json]) -> Iterator[dict[str, Json]]:
        """The schemas that describe the same value as `node`, referred ones included."""
        yield from self._targets[id(node)]
        for keyword, _name, inner in children(node):
            if keyword in _SAME_VALUE and isinstance(inner, dict):
                yield inner

    def targets(self, node: dict[str, Json]) -> tuple[dict[str, Json], ...]:
        """The schemas that `node` refers to."""
        return self._targets[id(node)]

    @property
    def work(self) -> int:
        """With how much one value is compared at most: schemas, and all that these list."""
        known: dict[int, int] = {}

        def of(node: dict[str, Json]) -> int:
            if id(node) not in known:
                own = (value for name, value in node.items() if name not in _SHELVES)
                listed = sum(len(value) for value in own if isinstance(value, dict | list))
                known[id(node)] = 1 + listed + sum(map(of, self.same_value(node)))
            return known[id(node)]

        return max(map(of, self.nodes))

    def _copy(self, document: Json) -> dict[str, Json]:
        try:
            raw = dump(document)
            copy = read(raw, max_bytes=MAX_BYTES, max_depth=_MAX_DEPTH)
        except (NotUnderstood, RecursionError) as error:
            raise SchemaRefused(f"{self._tool}: its input schema is {error}") from error
        self._require(isinstance(copy, dict), "is no object")
        root = cast("dict[str, Json]", copy)
        self._require(root.get("type") == "object", "does not say `type: object`")
        return root

    def _walk(self, node: dict[str, Json]) -> Iterator[dict[str, Json]]:
        yield node
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(anchor := node.get(keyword), str):
                self._require(anchor not in self._anchors, "has an anchor twice")
                self._anchors[anchor] = node
        for _keyword, _name, inner in children(node):
            if isinstance(inner, dict):
                yield from self._walk(inner)

    def _follow(self, node: dict[str, Json]) -> Iterator[dict[str, Json]]:
        for keyword in _REFERENCES & node.keys():
            reference = node[keyword]
            target = self._resolve(reference)
            node[keyword] = f"#{str(reference).partition('#')[2]}"
            if isinstance(target, dict):
                self._require(id(target) in self._positions, "refers to what is no schema")
                yield target

    def _resolve(self, reference: Json) -> Json:
        """What a reference inside the document leads to. RFC 6901, section 6."""
        self._require(isinstance(reference, str), "has a reference that is no text")
        place, _, fragment = str(reference).partition("#")
        self._require(place in ("", self.root.get("$id")), "refers to another document")
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            self._require(fragment in self._anchors, "refers to no anchor of its own")
            return self._anchors[fragment]
        found: Json = self.root
        for step in fragment.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                self._require(isinstance(found, dict) and name in found, "refers to nothing")
                found = cast("dict[str, Json]", found)[name]
        return found

    def _weigh(self, node: dict[str, Json], above: frozenset[int]) -> int:
        """With how many schemas one value is compared by `node`, references followed."""
        self._require(id(node) not in above, "refers to itself without going deeper")
        if id(node) not in self._weights:
            inside = above | {id(node)}
            weight = 1 + sum(self._weigh(inner, inside) for inner in self.same_value(node))
            self._require(weight <= _MAX_WEIGHT, "compares one value with too many schemas")
            self._weights[id(node)] = weight
        return self._weights[id(node)]

    def _find_max_depth(self) -> int | None:
        """A recursive schema that compares one member with `m` of itself costs `m` to the depth."""
        recursive = self._recursive()
        inside = [node for node in self.nodes if id(node) in recursive]
        total = sum(self._weights[id(node)] for node in inside)
        self._require(total <= _MAX_VISITS, "refers to itself in too many ways")
        fan = max((self._fan(node, recursive) for node in inside), default=0)
        return None if fan < 2 else int(math.log(_MAX_VISITS) / math.log(fan))

    def _recursive(self) -> frozenset[int]:
        """The schemas from which one comes back to a schema: all that is left without leaves."""
        before: dict[int, list[int]] = {id(node): [] for node in self.nodes}
        after = dict.fromkeys(before, 0)
        for node in self.nodes:
            nested = (inner for _keyword, _name, inner in children(node) if isinstance(inner, dict))
            for inner in (*self._targets[id(node)], *nested):
                before[id(inner)].append(id(node))
                after[id(node)] += 1
        leaves = [node for node, count in after.items() if count == 0]
        for leaf in leaves:  # grows while it is walked
            for user in before[leaf]:
                after[user] -= 1
                if after[user] == 0:
                    leaves.append(user)
        return frozenset(after) - frozenset(leaves)

    def _fan(self, node: dict[str, Json], recursive: frozenset[int]) -> int:
        """With how many recursive schemas `node` compares one member of its value, at most."""
        named: dict[str, int] = {}
        any_name = 0
        for part in self._closure(node):
            for keyword, name, inner in children(part):
                if keyword in _SAME_VALUE | _SHELVES or id(inner) not in recursive:
                    continue
                if keyword == "properties":
                    named[str(name)] = named.get(str(name), 0) + 1
                else:
                    any_name += 1
        return any_name + max(named.values(), default=0)

    def _closure(self, node: dict[str, Json]) -> Iterator[dict[str, Json]]:
        yield node
        for inner in self.same_value(node):
            yield from self._closure(inner)

    def _require(self, condition: object, complaint: str) -> None:
        if not condition:
            raise SchemaRefused(f"{self._tool}: its input schema {complaint}")


def children(node: Mapping[str, Json]) -> Iterator[tuple[str, str | int | None, Node]]:
    """The schemas that stand directly in `node`: keyword, name or index, and the schema."""
    for keyword, value in node.items():
        if keyword in _MAP and isinstance(value, dict):
            for name, inner in value.items():
                if isinstance(inner, dict | bool):
                    yield keyword, name, inner
        elif keyword in _LIST and isinstance(value, list):
            for index, inner in enumerate(value):
                if isinstance(inner, dict | bool):
                    yield keyword, index, inner
        elif keyword in _ONE and isinstance(value, dict | bool):
            yield keyword, None, value
