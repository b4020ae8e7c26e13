"""Items by place: the room of the state that says what is remembered, folded from the log.

memory.put      a text was written; it takes the place of what was under its key
memory.removed  items were deleted, or their time was over
memory.wiped    a place has ended with all that was in it, and its keys are destroyed
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from audit.canonical import Json
from gateway.memory.item import Item
from gateway.memory.place import Place
from gateway.store.row import from_row, to_row

PUT, REMOVED, WIPED = "memory.put", "memory.removed", "memory.wiped"


class Items:
    """Every item, by its place.

    changed  ids of the items whose row is no longer as last stored
    thinned  places that lost something whose key may not be needed any more
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Item] = {}
        self._by_place: dict[Place, dict[str, Item]] = {}
        self.changed: set[str] = set()
        self.thinned: set[Place] = set()

    def __iter__(self) -> Iterator[Item]:
        """Every item, of all places."""
        return iter(tuple(self._by_id.values()))

    def places(self) -> tuple[Place, ...]:
        """Where anything is remembered."""
        return tuple(self._by_place)

    def of(self, place: Place) -> Sequence[Item]:
        """What is remembered there, oldest first."""
        return sorted(self._by_place.get(place, {}).values(), key=lambda item: item.index)

    def over(self, place: Place, now_s: int) -> list[str]:
        """Ids of what is there and has expired."""
        there = self._by_place.get(place, {})
        return [item_id for item_id, item in there.items() if not item.lives(now_s)]

    def stats(self) -> Mapping[str, int]:
        """Numbers for metrics."""
        size = sum(item.size for item in self._by_id.values())
        return {"places": len(self._by_place), "entries": len(self._by_id), "bytes": size}

    # -- the fold ---------------------------------------------------------------------------

    def put(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `memory.put`."""
        for replaced in cast("list[str]", body["replaces"]):
            self._drop(replaced)
        item = Item.from_entry(body, index)
        self._keep(item)
        self.changed.add(item.id)

    def removed(self, body: Mapping[str, Json]) -> None:
        """Entry `memory.removed`."""
        for item_id in cast("list[str]", body["items"]):
            self._drop(item_id)

    def wiped(self, body: Mapping[str, Json]) -> None:
        """Entry `memory.wiped`."""
        place = Place.from_json(body["place"])
        for item in self.of(place):
            self._drop(item.id)
        self.thinned.discard(place)

    def _keep(self, item: Item) -> None:
        self._by_id[item.id] = item
        self._by_place.setdefault(item.place, {})[item.id] = item

    def _drop(self, item_id: str) -> None:
        item = self._by_id.pop(item_id, None)
        if item is None:
            return
        left = self._by_place[item.place]
        del left[item_id]
        if not left:
            del self._by_place[item.place]
        self.changed.add(item_id)
        self.thinned.add(item.place)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one item; None when it is gone."""
        item = self._by_id.get(key)
        return None if item is None else to_row(item)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        item = from_row(Item, row)
        assert item.id == key
        self._keep(item)
