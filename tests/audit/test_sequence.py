"""Order and form of entries, without any tree."""

import orjson
import pytest

from audit.sequence import EntryOrder

BOOT, NEXT = "b" * 16, "c" * 16


def entry(seq: int, *, boot: str = BOOT, ts: int | None = None, **other: object) -> bytes:
    body: dict[str, object] = {"boot": boot, "id": "x", "kind": "decision", "seq": seq, "v": 1}
    body |= {"ts": seq if ts is None else ts, **other}
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def second(**members: object) -> bytes:
    """What would be a good second entry but for these members."""
    return orjson.dumps({**orjson.loads(entry(1)), **members}, option=orjson.OPT_SORT_KEYS)


def complaints(*bundles: list[bytes]) -> list[tuple[int, str]]:
    order, first = EntryOrder(), 0
    found: list[tuple[int, str]] = []
    for bundle in bundles:
        found += order.check(first, bundle)
        first += len(bundle)
    return found


@pytest.mark.parametrize(
    "bundles",
    [
        pytest.param([[entry(0)]], id="first"),
        pytest.param([[entry(n) for n in range(256)], [entry(256)]], id="one-boot"),
        pytest.param([[entry(0), entry(1), entry(0, boot=NEXT, ts=1)]], id="two-boots"),
        pytest.param([[entry(0), entry(1)], [entry(0, boot=NEXT, ts=1)]], id="boot-per-bundle"),
        pytest.param([[entry(0, ts=5), entry(1, ts=5)]], id="same-time"),
        pytest.param([[entry(0, text="1.0")]], id="a-text-like-a-float"),
        pytest.param([[entry(0, text="é", list=[1, {"a": None}])]], id="beyond-ascii"),
    ],
)
def test_entries_in_order_are_accepted(bundles: list[list[bytes]]) -> None:
    assert complaints(*bundles) == []


@pytest.mark.parametrize(
    ("bundles", "index", "complaint"),
    [
        pytest.param([[entry(0), entry(2)]], 1, "has seq 2 where 1 follows", id="gap"),
        pytest.param([[entry(0)], [entry(2)]], 1, "seq 2 where 1", id="gap-between-bundles"),
        pytest.param([[entry(0), entry(0)]], 1, "seq 0 where 1", id="repeated"),
        pytest.param([[entry(1)]], 0, "begins boot", id="late-start"),
        pytest.param([[entry(0), entry(1, boot=NEXT)]], 1, "begins boot", id="late-second-boot"),
        pytest.param(
            [[entry(0), entry(0, boot=NEXT), entry(1)]], 2, "earlier boot", id="boot-returns"
        ),
        pytest.param([[entry(0, ts=9), entry(1, ts=8)]], 1, "1 us before", id="time-runs-back"),
        pytest.param([[entry(0, ts=9)], [entry(1, ts=8)]], 1, "1 us", id="time-back-in-bundle"),
    ],
)
def test_what_is_missing_or_moved_is_named(
    bundles: list[list[bytes]], index: int, complaint: str
) -> None:
    found = complaints(*bundles)
    assert [number for number, _ in found] == [index]
    assert complaint in found[0][1]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"entry", id="no-json"),
        pytest.param(b"{}", id="no-members"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"boot"', id="text"),
        pytest.param(entry(1) + b"\n", id="newline-after"),
        pytest.param(entry(1).replace(b":", b": "), id="spaces"),
        pytest.param(entry(1).replace(b'"v":1', b'"v":1,"v":1'), id="duplicate-key"),
        pytest.param(entry(1).replace(b'"v":1', b'"v":1,"a":1'), id="unsorted"),
        pytest.param(entry(1).replace(b'"x"', b'"\\u0078"'), id="needless-escape"),
        pytest.param(entry(1).replace(b'"x"', b'"\xff"'), id="no-utf-8"),
        pytest.param(entry(1).replace(b'"x"', b'"\\ud800"'), id="lone-surrogate"),
        pytest.param(entry(1).replace(b'"v":1', b'"v":NaN'), id="nan"),
        pytest.param(entry(1).replace(b'"v":1', b'"v":01'), id="leading-zero"),
        pytest.param(entry(1).replace(b'"v":1', b'"v":1.0'), id="float-version"),
        pytest.param(entry(1, extra=2**53), id="beyond-safe-integers"),
        pytest.param(second(v=2), id="other-version"),
        pytest.param(second(v=True), id="version-true"),
        pytest.param(second(seq=True), id="seq-true"),
        pytest.param(second(seq="1"), id="seq-text"),
        pytest.param(second(seq=1.5), id="seq-float"),
        pytest.param(second(kind=None), id="kind-null"),
        pytest.param(second(id=7), id="id-number"),
        pytest.param(second(boot=[]), id="boot-list"),
    ],
)
def test_what_the_log_would_not_write_is_named_alone(raw: bytes) -> None:
    found = complaints([entry(0), raw, entry(2)])
    assert found == [(1, "is not canonical JSON with the members of an entry")]


@pytest.mark.parametrize(
    "following", [entry(256), entry(99, boot=NEXT, ts=1)], ids=["same-boot", "later-boot"]
)
def test_after_what_cannot_be_read_anything_may_follow(following: bytes) -> None:
    order = EntryOrder()
    assert list(order.check(0, [entry(0)])) == []
    order.lose_track()
    assert list(order.check(256, [following])) == []
    assert len(list(order.check(257, [following]))) == 1
