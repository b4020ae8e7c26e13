import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.entry import Record
from audit.errors import LogDamaged
from audit.index import Index, Page
from audit.log import Log
from audit.note import Signer
from audit.sealed import Sealed

SIGNER = Signer("gw.example/audit", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
COLUMNS = {
    "agent": lambda body: body.get("agent"),
    "tool": lambda body: body.get("tool"),
    "rule": lambda body: body.get("rules"),
}
SECOND = 10**6


class Clock:
    """Moves one second with every entry."""

    def __init__(self) -> None:
        self.now = 1_763_596_800 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Iterator[Log]:
    log = Log.open(tmp_path / "log", signer=SIGNER, segment_bytes=1 << 20, clock=clock)
    for n in range(10):
        agent = "clerk" if n % 2 else "auditor"
        fields: dict[str, Any] = {"agent": agent, "tool": f"ledger.op{n}", "n": n}
        fields |= {"rules": ["pay-small", f"r{n}"], "note": f"Überweisung {n} an Bob"}
        log.append_now(Record(log.new_id(), "decision", fields))
        clock.now += SECOND
    log.append_now(Record(log.new_id(), "outcome", {"agent": "clerk", "digest": "ab" * 32}))
    yield log
    log.close_now()


@pytest.fixture
def index(tmp_path: Path, log: Log) -> Iterator[Index]:
    index = Index(tmp_path / "index.db", log, COLUMNS)
    yield index
    index.close()


def indices(page: Page) -> list[int]:
    return [entry.index for entry in page.entries]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], id="everything-newest-first"),
        pytest.param("kind:outcome", [10], id="kind"),
        pytest.param("agent:clerk kind:decision", [9, 7, 5, 3, 1], id="two-qualifiers"),
        pytest.param("tool:ledger.op3", [3], id="punctuation-in-a-value"),
        pytest.param("tool:ledger.*", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], id="prefix"),
        pytest.param("tool:op3", [], id="a-part-is-not-the-value"),
        pytest.param("rule:r4 rule:r6", [6, 4], id="either-of-two"),
        pytest.param("rule:pay-small agent:auditor", [8, 6, 4, 2, 0], id="one-of-many-values"),
        pytest.param("überweisung agent:clerk", [9, 7, 5, 3, 1], id="word-in-any-case"),
        pytest.param('"überweisung 3"', [3], id="phrase"),
        pytest.param("pay", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], id="part-of-a-value-as-a-word"),
        pytest.param(f"{'ab' * 32}", [], id="digests-are-not-words"),
        pytest.param("nothing", [], id="nothing"),
        pytest.param("after:2025-11-20T00:00:08Z", [10, 9, 8], id="after-includes-the-moment"),
        pytest.param("before:2025-11-20T00:00:02Z", [1, 0], id="before-excludes-the-moment"),
        pytest.param(
            "after:2025-11-20T00:00:03 before:2025-11-20T00:00:06 agent:clerk", [5, 3], id="between"
        ),
        pytest.param("after:3s", [10, 9, 8, 7], id="age"),
        pytest.param("after:2030-01-01", [], id="the-future"),
        pytest.param('agent:"x" OR kind:outcome', [], id="operators-are-words"),
        pytest.param('"NEAR(a b)"', [], id="functions-are-words"),
    ],
)
def test_what_a_query_finds(index: Index, text: str, expected: list[int]) -> None:
    assert indices(index.search(index.parse(text))) == expected


def test_an_id_finds_its_entry(index: Index, log: Log) -> None:
    entry = log.entry(4)
    page = index.search(index.parse(f"id:{entry.body['id']}"))
    assert page.entries == (entry,)


@pytest.mark.parametrize("text", ["agent:clerk", "", "after:2025-11-20T00:00:02Z"])
def test_pages_join_to_the_whole_answer(index: Index, text: str) -> None:
    query = index.parse(text)
    whole = indices(index.search(query))
    found: list[int] = []
    cursor = None
    while True:
        page = index.search(query, cursor=cursor, limit=2)
        assert len(page.entries) <= 2
        found += indices(page)
        cursor = page.cursor
        if cursor is None:
            break
    assert found == whole


def test_new_entries_are_found_at_once(index: Index, log: Log) -> None:
    assert indices(index.search(index.parse("kind:late"))) == []
    log.append_now(Record(log.new_id(), "late", {}))
    page = index.search(index.parse("kind:late"))
    assert indices(page) == [11]
    assert page.behind == 0


def test_the_thread_feeds_the_index(tmp_path: Path, log: Log) -> None:
    index = Index(tmp_path / "fed.db", log, COLUMNS)
    index.start()
    index.catch_up()
    assert index.covered == log.size
    index.close()


def test_the_index_goes_on_where_it_was_closed(tmp_path: Path, log: Log) -> None:
    for _ in range(2):
        index = Index(tmp_path / "index.db", log, COLUMNS)
        index.catch_up()
        index.close()
    index = Index(tmp_path / "index.db", log, COLUMNS)
    assert index.covered == 11
    index.close()


def test_an_index_with_other_columns_is_built_anew(tmp_path: Path, log: Log) -> None:
    index = Index(tmp_path / "index.db", log, COLUMNS)
    index.catch_up()
    index.close()
    index = Index(tmp_path / "index.db", log, {"tool": COLUMNS["tool"]})
    assert index.covered == 0
    assert indices(index.search(index.parse("tool:ledger.op3"))) == [3]
    index.close()


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("UPDATE covered SET root = x'00'", id="another-root"),
        pytest.param("UPDATE covered SET size = 10", id="another-size"),
        pytest.param("UPDATE covered SET size = 4000", id="more-than-the-log"),
        pytest.param("DELETE FROM covered", id="nothing-covered"),
        pytest.param("DROP TABLE covered", id="no-table"),
    ],
)
def test_an_index_that_disagrees_is_built_anew(tmp_path: Path, log: Log, sql: str) -> None:
    path = tmp_path / "index.db"
    index = Index(path, log, COLUMNS)
    index.catch_up()
    index.close()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql)
    connection.close()
    index = Index(path, log, COLUMNS)
    assert index.covered == 0
    assert indices(index.search(index.parse("kind:outcome"))) == [10]
    index.close()


def test_a_file_that_is_no_index_is_built_anew(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"no database" * 1000)
    index = Index(path, log, COLUMNS)
    assert indices(index.search(index.parse("kind:outcome"))) == [10]
    index.close()


def test_an_answer_is_read_from_the_log_and_checked(index: Index, log: Log, tmp_path: Path) -> None:
    index.catch_up()
    (segment,) = (tmp_path / "log").glob("*.seg")
    raw = segment.read_bytes()
    segment.write_bytes(raw.replace(b'"n":3', b'"n":4', 1))
    with pytest.raises(LogDamaged):
        index.search(index.parse("tool:ledger.op3"))


def test_sealed_payloads_never_enter_the_index(index: Index, log: Log, tmp_path: Path) -> None:
    sealed = Sealed("cd" * 32, 5, b"telltale ciphertext")
    log.append_now(Record(log.new_id(), "sealed", {}, sealed))
    assert indices(index.search(index.parse("telltale"))) == []
    assert indices(index.search(index.parse("kind:sealed"))) == [11]
    for file in tmp_path.glob("index.db*"):
        assert b"telltale" not in file.read_bytes()


@pytest.mark.parametrize("name", ["", "Agent", "a b", 'a"', "1a", "größe"])
def test_a_qualifier_is_a_plain_name(tmp_path: Path, log: Log, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        Index(tmp_path / "x.db", log, {name: COLUMNS["agent"]})


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        pytest.param(0.0, 9.0, id="quiet"),
        pytest.param(1000.0, 9.0, id="steady"),
        pytest.param(8000.0, 180.0, id="flooded"),
    ],
)
def test_feeding_rests_longer_while_the_log_grows_fast(
    index: Index, growth: float, expected: float
) -> None:
    assert index.rest_after(1.0, growth) == expected
    assert index.rest_after(0.0, growth) > 0
