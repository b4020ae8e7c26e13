from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.view import Change, View


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    opened = View(f"sqlite:///{tmp_path / 'state.db'}", code="a")
    yield opened
    opened.close()


def rows(view: View) -> dict[tuple[str, str], object]:
    return {(room, key): row for room, key, row in view.rows()}


def test_a_row_is_written_replaced_and_removed(view: View) -> None:
    view.save(
        [Change.of("calls", "a", {"n": 1}), Change.of("calls", "b", {"n": 1})], size=2, leaf="x"
    )
    view.save([Change.of("calls", "a", {"n": 2}), Change.of("calls", "b", None)], size=3, leaf="y")
    assert rows(view) == {("calls", "a"): {"n": 2}}
    assert view.applied() == (3, "y")


def test_a_row_of_an_earlier_process_is_removed(tmp_path: Path) -> None:
    for changes in ([Change.of("calls", "a", {"n": 1})], [Change.of("calls", "a", None)]):
        view = View(f"sqlite:///{tmp_path / 'state.db'}", code="a")
        view.save(changes, size=1, leaf="x")
        view.close()
    view = View(f"sqlite:///{tmp_path / 'state.db'}", code="a")
    assert rows(view) == {}
    view.close()


def test_what_never_had_a_row_costs_no_statement(view: View) -> None:
    said: list[str] = []
    event.listen(view.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    view.save([Change.of("calls", f"{n}", None) for n in range(1000)], size=2000, leaf="x")
    assert [statement for statement in said if "state" in statement] == []
    assert view.applied() == (2000, "x")


def test_a_row_is_removed_although_the_save_that_wrote_it_seemed_to_fail(view: View) -> None:
    def fail(_: object) -> None:
        raise SQLAlchemyError("the connection is gone")

    event.listen(view.engine, "commit", fail, once=True)
    with pytest.raises(SQLAlchemyError):
        view.save([Change.of("calls", "a", {"n": 1})], size=1, leaf="x")
    with view.engine.begin() as connection:  # it took place all the same
        connection.exec_driver_sql("INSERT INTO state VALUES ('calls', 'a', '{}')")
    view.save([Change.of("calls", "a", None)], size=2, leaf="y")
    assert rows(view) == {}
