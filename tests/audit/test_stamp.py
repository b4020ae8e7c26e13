from collections.abc import Callable
from uuid import UUID

import pytest

from audit.entry import Entry, Record
from audit.errors import EntryRefused
from audit.stamp import Stamp

MOMENT = 1_763_596_800_123_456


def stamped(stamp: Stamp) -> tuple[str, int, int]:
    raw, _ = stamp.encode(Record("id", "test", {}))
    stamp.advance()
    body = Entry(0, b"", raw).body
    return body["boot"], body["seq"], body["ts"]


def test_entries_count_within_a_boot() -> None:
    stamp = Stamp(lambda: MOMENT)
    first = stamp.boot
    assert [stamped(stamp)[:2] for _ in range(3)] == [(first, 0), (first, 1), (first, 2)]
    stamp.new_boot()
    assert stamp.boot != first
    assert stamped(stamp)[:2] == (stamp.boot, 0)


def test_a_refused_record_takes_no_number() -> None:
    stamp = Stamp(lambda: MOMENT)
    with pytest.raises(EntryRefused):
        stamp.encode(Record("id", "test", {"a": 0.5}))
    assert stamped(stamp)[1] == 0


def test_a_clock_that_is_set_back_does_not_move_the_log_back() -> None:
    times = iter([100, 50, 120, 90])
    stamp = Stamp(lambda: next(times), last=70)
    assert [stamped(stamp)[2] for _ in range(4)] == [100, 100, 120, 120]
    late = Stamp(lambda: 5, last=70)
    assert late.now() == 70


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    made = UUID(Stamp(lambda: MOMENT).new_id())
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == MOMENT // 1000


@pytest.mark.parametrize(
    ("entropy", "expected"),
    [
        (bytes, "019a9e8f-907b-7000-8000-000000000000"),
        (lambda count: b"\xff" * count, "019a9e8f-907b-7fff-bfff-ffffffffffff"),
    ],
    ids=["zeros", "ones"],
)
def test_all_other_bits_of_an_id_are_random(entropy: Callable[[int], bytes], expected: str) -> None:
    assert Stamp(lambda: MOMENT, entropy).new_id() == expected


def test_ids_do_not_repeat_when_the_pool_is_filled_again() -> None:
    stamp = Stamp(lambda: MOMENT)
    assert len({stamp.new_id() for _ in range(1000)}) == 1000
