"""The store: what a deployment may name as the database of its runs."""

from pathlib import Path

import pytest

from orchestration.errors import EngineRefused
from orchestration.store import Store


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://runs:pw-4711@db.example/runs", id="postgresql"),
        pytest.param("postgres://runs:pw-4711@db.example/runs", id="postgres"),
        pytest.param("postgresql+psycopg://runs:pw-4711@db.example/runs", id="driver-named"),
    ],
)
def test_a_postgres_is_a_schema_of_this_gateway(url: str) -> None:
    store, other = (Store.parse(url, origin=origin) for origin in ("gw/one", "gw/two"))
    assert store.url == "postgresql+psycopg://runs:pw-4711@db.example/runs"
    assert store.schema != other.schema
    assert store.file is None
    assert "4711" not in repr(store)


def test_a_file_is_named_whole(tmp_path: Path) -> None:
    store = Store.parse(f"sqlite:///{tmp_path}/runs.db", origin="gw/one")
    assert store == Store.at(tmp_path / "runs.db")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("pw-4711", id="no-url"),
        pytest.param("mysql://runs:pw-4711@db.example/runs", id="another-database"),
        pytest.param("postgresql+asyncpg://runs:pw-4711@db.example/runs", id="another-driver"),
        pytest.param("postgresql://runs:pw-4711@db.example", id="no-database"),
        pytest.param("sqlite:///runs.db", id="relative-file"),
        pytest.param("sqlite://", id="in-memory"),
        pytest.param("sqlite:////srv/runs.db?mode=memory", id="options-of-a-file"),
    ],
)
def test_anything_else_is_refused_without_what_it_holds(url: str) -> None:
    with pytest.raises(EngineRefused) as refused:
        Store.parse(url, origin="gw/one")
    assert "4711" not in str(refused.value)
