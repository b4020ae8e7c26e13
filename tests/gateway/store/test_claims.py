"""Claims: of one event there is one answer in a fleet."""

from pathlib import Path

from gateway.store.claims import KEPT_S, FleetClaims
from gateway.store.fleet import FleetDatabase


def two(folder: Path) -> tuple[FleetClaims, FleetClaims]:
    file = folder / "fleet.db"
    FleetDatabase(file).create("fleet-1")
    first, second = (FleetClaims(FleetDatabase(file), f"log/{name}") for name in "ab")
    return first, second


def test_the_first_that_asks_has_it_and_keeps_it(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    assert first.claim("hourly tick:3600", 3600)
    assert not second.claim("hourly tick:3600", 3600)
    assert first.claim("hourly tick:3600", 3700)
    assert second.claim("hourly tick:7200", 7200)
    assert not first.claim("hourly tick:7200", 7200)


def test_it_is_forgotten_when_nobody_can_ask_any_more(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    assert first.claim("e", 0)
    assert not second.claim("e", KEPT_S)
    assert second.claim("e", KEPT_S + 1)
