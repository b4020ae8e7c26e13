import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.errors import FleetUnavailable
from gateway.store.fleet import Fact, FleetDatabase, Known, News, Telling

CLERK, SCOUT = "agent:clerk", "agent:scout"
NEW = Known()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.db"


@pytest.fixture
def database(path: Path) -> FleetDatabase:
    database = FleetDatabase(path)
    database.create("f1")
    return database


def tell(*withdrawn: str, origin: str = "a", **more: object) -> Telling:
    return Telling(origin, withdrawn=tuple((key, None) for key in withdrawn), **more)  # type: ignore[arg-type]  # the rest


@contextmanager
def locked(path: Path, how: str) -> Iterator[None]:
    """Somebody else holds the database and does not let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        yield


# -- telling and hearing ----------------------------------------------------------------------


def test_what_one_tells_the_others_hear_once(database: FleetDatabase) -> None:
    told = database.exchange(NEW, 0, tell(CLERK))
    assert told == News("f1", 2, None, (Fact(CLERK, None, True, 2, "a"),))
    assert database.exchange(NEW, 0, tell(origin="b")).facts == told.facts
    assert database.exchange(NEW, 2, tell(origin="b")).facts == ()


def test_hearing_alone_changes_nothing(database: FleetDatabase) -> None:
    first = database.exchange(NEW, 0, tell())
    assert database.exchange(NEW, 0, tell()) == first == News("f1", 1, None, ())


def test_a_resumption_is_heard_and_what_is_withdrawn_anew_stands_again(
    database: FleetDatabase,
) -> None:
    database.exchange(NEW, 0, tell(CLERK))
    resumed = database.exchange(NEW, 2, tell(resumed=(CLERK,), origin="b"))
    assert resumed.facts == (Fact(CLERK, None, False, 3, "b"),)
    anew = database.exchange(NEW, 3, tell(CLERK))
    assert anew.facts == (Fact(CLERK, None, True, 4, "a"),)


def test_a_resumption_does_not_undo_what_its_gateway_has_not_heard_of(
    database: FleetDatabase,
) -> None:
    database.exchange(NEW, 0, tell(CLERK))
    database.exchange(NEW, 2, tell(CLERK, origin="b"))
    news = database.exchange(NEW, 2, tell(resumed=(CLERK,)))
    assert news.facts == (Fact(CLERK, None, True, 3, "b"),)


def test_of_two_who_withdraw_the_same_it_stands_once(database: FleetDatabase) -> None:
    database.exchange(NEW, 0, tell(CLERK))
    news = database.exchange(NEW, 0, tell(CLERK, SCOUT, origin="b"))
    assert [fact.key for fact in news.facts] == [CLERK, SCOUT]


def test_the_first_policy_is_the_fleets_and_after_that_only_an_activation(
    database: FleetDatabase,
) -> None:
    assert database.exchange(NEW, 0, tell(in_force="p1")).policy == "p1"
    assert database.exchange(NEW, 0, tell(in_force="p2")).policy == "p1"
    activated = tell(in_force="p2", policy="p2", replaces="p1")
    assert database.exchange(NEW, 0, activated).policy == "p2"


def test_an_activation_does_not_replace_a_policy_that_came_after_it(
    database: FleetDatabase,
) -> None:
    database.exchange(NEW, 0, tell(in_force="p1"))
    database.exchange(NEW, 0, tell(policy="p2", replaces="p1", origin="b"))
    assert database.exchange(NEW, 0, tell(policy="p3", replaces="p1")).policy == "p2"


def test_what_can_be_forgotten_is(database: FleetDatabase) -> None:
    ends = tuple((f"token:{until}", until) for until in (10, 20))
    database.exchange(NEW, 0, Telling("a", withdrawn=(*ends, (CLERK, None))))
    database.exchange(NEW, 0, tell(SCOUT, before=20))
    keys = [fact.key for fact in database.exchange(NEW, 0, tell()).facts]
    assert sorted(keys) == [CLERK, SCOUT, "token:20"]


def test_two_who_create_it_have_one_fleet(database: FleetDatabase, path: Path) -> None:
    database.exchange(NEW, 0, tell(CLERK))
    assert FleetDatabase(path).create("f2") == "f1"
    assert [fact.key for fact in database.exchange(NEW, 0, tell()).facts] == [CLERK]


def test_its_file_is_private(database: FleetDatabase, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# -- refusals ---------------------------------------------------------------------------------


def test_another_fleets_database_is_refused_and_told_nothing(database: FleetDatabase) -> None:
    with pytest.raises(FleetUnavailable, match="another fleet's"):
        database.exchange(Known("f2"), 0, tell(CLERK))
    assert database.exchange(NEW, 0, tell()).facts == ()


@pytest.mark.parametrize(("known", "since"), [(Known("f1", 2), 0), (Known("f1", 0), 2)])
def test_an_older_database_than_is_known_is_refused_and_told_nothing(
    database: FleetDatabase, known: Known, since: int
) -> None:
    with pytest.raises(FleetUnavailable, match="older"):
        database.exchange(known, since, tell(CLERK))
    assert database.exchange(NEW, 0, tell()).facts == ()


def test_an_exchange_never_makes_a_database(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(FleetUnavailable, match="No such file"):
        FleetDatabase(missing).exchange(NEW, 0, tell())
    assert not missing.exists()


def test_a_database_that_was_moved_away_is_missed_and_found_again(
    database: FleetDatabase, path: Path
) -> None:
    away = path.rename(path.with_suffix(".away"))
    with pytest.raises(FleetUnavailable):
        database.exchange(NEW, 0, tell())
    away.rename(path)
    assert database.exchange(NEW, 0, tell()).fleet == "f1"


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
@pytest.mark.parametrize("telling", [tell(), tell(CLERK)], ids=["hear", "tell"])
def test_who_could_not_write_does_not_hear_either(
    database: FleetDatabase, path: Path, how: str, telling: Telling
) -> None:
    with locked(path, how), pytest.raises(FleetUnavailable, match="locked"):
        database.exchange(NEW, 0, telling)
    assert database.exchange(NEW, 0, tell()).facts == ()


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(FleetUnavailable):
        FleetDatabase(path).exchange(NEW, 0, tell())


def test_a_database_in_a_folder_that_is_not_there_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(FleetUnavailable, match="No such file"):
        FleetDatabase(tmp_path / "nowhere" / "fleet.db").create("f1")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_database_that_others_can_open_is_not_believed(
    database: FleetDatabase, path: Path, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(FleetUnavailable, match="open to others"):
        database.exchange(NEW, 0, tell())


def test_a_folder_in_its_place_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "fleet.db"
    folder.mkdir(mode=0o700)
    with pytest.raises(FleetUnavailable):
        FleetDatabase(folder).exchange(NEW, 0, tell())
