from concurrent.futures import Future
from threading import Thread

import pytest

from audit.entry import Receipt, Record
from audit.errors import AuditUnavailable
from audit.line import MOST_ENTRIES, Line, Unawaited, Waiter, acknowledge, refuse

RECORD = Record("id", "test", {})


def waiter(number: int, *, size: int = 100, since: float = 0.0) -> Waiter:
    return Waiter(b"%d" % number, {}, None, size, Future(), since, RECORD, reserved=False)


def line_of(*waiters: Waiter, most_bytes: int = 1000) -> Line:
    line = Line(most_bytes)
    with line.turn:
        for each in waiters:
            line.join(each)
    line.call()
    return line


def taken(line: Line) -> list[bytes] | None:
    batch = line.take(0)
    return None if batch is None else [each.raw for each in batch]


def taken_when_called(line: Line) -> list[bytes] | None:
    batch = line.take(None)
    return None if batch is None else [each.raw for each in batch]


def test_a_batch_is_all_who_wait() -> None:
    line = line_of(*[waiter(n) for n in range(5)])
    assert taken(line) == [b"0", b"1", b"2", b"3", b"4"]
    assert len(line) == 5  # they still wait, for the disk
    assert taken(line) == []
    assert len(line) == 0


def test_a_batch_holds_no_more_bytes_than_allowed() -> None:
    line = line_of(*[waiter(n, size=400) for n in range(5)])
    assert [taken(line) for _ in range(4)] == [[b"0", b"1"], [b"2", b"3"], [b"4"], []]


def test_one_entry_may_be_larger_than_a_batch() -> None:
    line = line_of(waiter(0), waiter(1, size=5000), waiter(2))
    assert [taken(line) for _ in range(3)] == [[b"0"], [b"1"], [b"2"]]


def test_a_batch_holds_no_more_entries_than_allowed() -> None:
    line = line_of(*[waiter(n, size=0) for n in range(MOST_ENTRIES + 3)])
    assert [len(line.take(0) or []) for _ in range(2)] == [MOST_ENTRIES, 3]


def test_a_closed_line_is_emptied_first() -> None:
    line = line_of(waiter(0))
    line.close()
    assert line.closed
    assert taken(line) == [b"0"]
    assert taken(line) is None


def test_the_writer_comes_when_it_is_called() -> None:
    line, batches = Line(), []
    thread = Thread(target=lambda: batches.append(taken_when_called(line)))
    thread.start()
    with line.turn:
        line.join(waiter(7))
    line.call()
    thread.join(10)
    assert batches == [[b"7"]]


def test_a_call_made_while_the_writer_was_busy_is_not_forgotten() -> None:
    line = line_of(waiter(0))
    line.take(None)
    with line.turn:
        line.join(waiter(1))
    line.call()
    assert taken_when_called(line) == [b"1"]


def test_closing_wakes_the_writer() -> None:
    line, batches = Line(), []
    thread = Thread(target=lambda: batches.append(taken_when_called(line)))
    thread.start()
    line.close()
    thread.join(10)
    assert batches == [None]


def test_draining_takes_the_batch_under_way_too() -> None:
    line = line_of(*[waiter(n, size=400) for n in range(5)])
    line.take(0)
    with line.turn:
        assert [each.raw for each in line.drain()] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(line) == 0


def test_those_who_wait_too_long_are_known_and_stay() -> None:
    line = line_of(*[waiter(n, since=float(n), size=400) for n in range(6)])
    line.take(0)
    late, following = line.overdue(3.0)
    assert ([each.raw for each in late], following) == ([b"0", b"1", b"2", b"3"], 4.0)
    refuse(late, "too long")
    assert line.overdue(3.0) == ([], 4.0)
    assert line.overdue(9.0)[1] is None
    assert len(line) == 6


def test_verdicts_reach_only_those_who_still_wait() -> None:
    waiters = [waiter(n) for n in range(3)]
    one, two, three = futures = [Future[Receipt]() for _ in waiters]
    for each, future in zip(waiters, futures, strict=True):
        each.future = future
    two.cancel()
    acknowledge(waiters[:2], "log", 8, [b"\x01" * 32, b"\x02" * 32])
    refuse(waiters, "full")
    assert str(one.result()) == f"log;8;{'01' * 32}"
    assert two.cancelled()
    with pytest.raises(AuditUnavailable, match="full"):
        three.result()


def test_what_nobody_waits_for_says_once_why_it_was_not_written() -> None:
    heard: list[BaseException] = []
    durable, late = waiter(0), waiter(1)
    durable.future, late.future = Unawaited(heard.append), Unawaited(heard.append)
    acknowledge([durable], "log", 8, [b"\x01" * 32])
    for _ in range(2):
        refuse([durable, late], "full")
    assert [str(error) for error in heard] == ["full"]
