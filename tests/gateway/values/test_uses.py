"""Uses, objects and releases: what of the flow of values outlives the process."""

from gateway.values.objects import MOST_NAMES, Objects, everything, marks, named
from gateway.values.releases import NOTHING_LIFTED, Releases, digests_of, lifted
from gateway.values.uses import MOST, Uses

KEY = bytes(32)


def test_a_write_on_its_way_counts_and_so_does_one_that_arrived_once() -> None:
    uses = Uses()
    assert not uses.any("r")
    uses.hold("c1", "r", "s.pay x")
    assert uses.count("r", "s.pay x") == 1
    uses.spent("c1", "r", "s.pay x")
    assert uses.count("r", "s.pay x") == 1
    assert uses.count("r", "s.pay y") == uses.count("q", "s.pay x") == 0


def test_a_write_that_was_not_forwarded_used_up_nothing_and_any_other_did() -> None:
    for status, left in (("refused", 0), ("done", 1), ("error", 1), ("unknown", 1)):
        uses = Uses()
        uses.spent("c1", "r", "w")
        uses.settled("c1", status)
        assert uses.count("r", "w") == left


def test_counts_are_restored_and_dropped_with_their_tree() -> None:
    uses, again = Uses(), Uses()
    uses.spent("c1", "r", "w")
    row = uses.stored("r")
    assert row is not None
    again.restore("r", row)
    assert again.count("r", "w") == 1
    again.forget({"other"})
    assert again.stored("r") is None
    assert "r" in again.changed


def test_a_tree_that_wrote_endlessly_has_used_up_all_words() -> None:
    uses = Uses()
    for number in range(MOST):
        uses.spent(f"c{number}", "r", f"w{number}")
    assert uses.count("r", "never made") >= MOST


def entry(*names: str, labels: tuple[str, ...] = ("web",)) -> dict[str, object]:
    return {"marks": [*names], "facts": {"labels": [*labels]}, "emits": []}


def test_a_call_that_names_too_much_marks_everything_of_its_server() -> None:
    found = marks("s", {"to": [f"f{n}" for n in range(MOST_NAMES + 1)]}, ("to",), KEY)
    assert found == (everything("s", KEY),)
    objects = Objects()
    objects.marked(entry(*found))  # type: ignore[arg-type]
    assert objects.labels(named("s", {"x": "anything"}, KEY)) == {"web"}
    assert objects.labels(named("t", {"x": "anything"}, KEY)) == frozenset()


def test_without_room_for_more_names_a_mark_falls_on_the_server() -> None:
    objects = Objects(most=2)
    for name in ("/a/1", "/a/2", "/a/3"):
        objects.marked(entry(*marks("s", {"p": name}, ("p",), KEY)))  # type: ignore[arg-type]
    assert objects.labels(named("s", {"p": "/b"}, KEY)) == {"web"}


def test_relative_names_are_of_their_server_and_absolute_ones_of_all() -> None:
    objects = Objects()
    for name in ("notes.txt", "/data/x"):
        objects.marked(entry(*marks("s", {"p": name}, ("p",), KEY)))  # type: ignore[arg-type]
    assert objects.labels(named("t", {"p": "notes.txt"}, KEY)) == frozenset()
    assert objects.labels(named("t", {"p": "/data/x"}, KEY)) == {"web"}


def test_a_label_is_lifted_only_where_all_that_was_said_is_released_from_it() -> None:
    releases = Releases()
    for value, labels in (("one", ["web", "pii"]), ("two", ["web"])):
        body = {"match": [*digests_of(value, KEY)], "labels": labels, "by": f"rule:{value}"}
        releases.released("r", body)  # type: ignore[arg-type]
    released, on = releases.of("r"), frozenset({"web", "pii", "secret"})
    assert lifted(on, [("one", False)], released, KEY).labels == {"web", "pii"}
    assert lifted(on, [("one", False), ("two", False)], released, KEY).labels == {"web"}
    assert lifted(on, [("one", False), ("bob", True)], released, KEY).labels == {"web", "pii"}
    for rest in ("three", True, None, "One", "one.", 1):
        assert lifted(on, [("one", False), (rest, False)], released, KEY) == NOTHING_LIFTED
    assert lifted(on, [("bob", True)], released, KEY) == NOTHING_LIFTED
    assert lifted(on, [], released, KEY) == NOTHING_LIFTED
