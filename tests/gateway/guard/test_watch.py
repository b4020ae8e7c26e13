from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.guard.rules import Burst, Guards, Then
from gateway.guard.watch import Watch
from tests.gateway.rooms import KEY, NOW_S, Call, House, settle

S = 1_000_000
NOW = NOW_S * S
WHO = Call("c1", KEY).principal


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House.open(tmp_path)
    yield found
    found.close()


def watch(house: House, **rules: object) -> Watch:
    return Watch(Guards(**rules), house.state.alarms, house.recorder)  # type: ignore[arg-type]  # of rules


def burst(then: Then = "alarm") -> Burst:
    return Burst.model_construct(most=3, window=60, then=then)


async def raised(house: House) -> list[tuple[object, ...]]:
    await house.recorder.write("start", {})  # behind everything that was enqueued
    names = ("alarm", "agent", "tool", "count", "then")
    return [tuple(body[name] for name in names) for body in house.bodies("alarm.raised")]


async def test_a_burst_of_denials_is_one_alarm_in_its_window(house: House) -> None:
    guard = watch(house, denials=burst())
    for _ in range(3):
        guard.denied(WHO, NOW)
    assert await raised(house) == []
    for _ in range(50):
        guard.denied(WHO, NOW + 59 * S)
    assert await raised(house) == [("denials", "clerk", None, 4, "alarm")]
    for _ in range(4):
        guard.denied(WHO, NOW + 60 * S)
    assert len(await raised(house)) == 2
    assert not guard.holds(WHO, NOW + 61 * S)


async def test_denials_are_counted_for_each_agent(house: House) -> None:
    guard = watch(house, denials=burst())
    for n in range(40):
        guard.denied(replace(WHO, agent=f"a{n}"), NOW)
    assert await raised(house) == []


async def test_an_agent_is_held_up_until_its_window_is_over_also_after_a_restart(
    house: House,
) -> None:
    guard = watch(house, denials=burst("throttle"))
    for _ in range(4):
        guard.denied(WHO, NOW)
    assert (await raised(house))[0][-1] == "throttle"
    other = replace(WHO, agent="scout")
    for _ in range(2):
        assert guard.holds(WHO, NOW + 59 * S)
        assert not guard.holds(WHO, NOW + 60 * S)
        assert not guard.holds(other, NOW)
        await house.keeper.save()
        house = house.reopen()
        guard = watch(house)
    house.close()


async def test_an_agent_is_suspended_until_a_person_resumes_it(house: House) -> None:
    guard = watch(house, denials=burst("suspend"))
    for _ in range(9):
        guard.denied(WHO, NOW)
    await raised(house)
    await settle()
    await house.recorder.write("start", {})
    (entry,) = house.bodies("agent.suspended")
    assert (entry["agent"], entry["by"]) == ("clerk", "guard:denials")
    assert b"denied" in (house.recorder.words(entry["seq"], "reason") or b"")
    assert house.revocations.suspended("agent", "clerk")
    await house.recorder.write("agent.resumed", {"agent": "clerk", "by": "operator:adam"})
    assert not house.revocations.suspended("agent", "clerk")


async def test_the_same_call_is_counted_in_all_sessions_and_every_other_by_itself(
    house: House,
) -> None:
    guard = watch(house, repeats=burst("throttle"))
    assert not any(guard.repeats(replace(KEY, session=f"s{n}"), NOW) for n in range(3))
    assert guard.repeats(replace(KEY, session="s9"), NOW)
    for other in (
        replace(KEY, arguments="11" * 32),
        replace(KEY, tool="ledger.close"),
        replace(KEY, user="ana"),
        replace(KEY, agent="scout"),
    ):
        assert not guard.repeats(other, NOW)
    assert guard.repeats(KEY, NOW + 59 * S)
    assert not guard.repeats(KEY, NOW + 60 * S)
    assert await raised(house) == [("repeats", "clerk", "ledger.pay", 4, "throttle")]


async def test_repeats_that_raise_an_alarm_alone_hold_nothing_up(house: House) -> None:
    guard = watch(house, repeats=burst())
    assert not any(guard.repeats(KEY, NOW) for _ in range(50))
    assert len(await raised(house)) == 1


async def test_a_first_use_is_noticed_once_for_ever(house: House) -> None:
    guard = watch(house, first_use="alarm")
    for tool in ("desk.pay", "desk.look", "desk.pay", "desk.pay"):
        guard.uses("clerk", tool, NOW)
    assert [each[2] for each in await raised(house)] == ["desk.pay", "desk.look"]
    await house.keeper.save()
    house = house.reopen()
    guard = watch(house, first_use="alarm")
    guard.uses("clerk", "desk.pay", NOW)
    guard.uses("scout", "desk.pay", NOW)
    assert [each[1] for each in await raised(house)] == ["clerk", "clerk", "scout"]
    house.close()


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({}, id="as-they-come"),
        pytest.param({"denials": None, "repeats": None, "circuit": None}, id="none"),
    ],
)
async def test_an_agent_at_work_raises_no_alarm(house: House, rules: dict[str, object]) -> None:
    guard = watch(house, **rules)
    for n in range(600):
        now = NOW + n * S
        guard.uses("clerk", f"desk.t{n % 7}", now)
        assert not guard.repeats(replace(KEY, arguments=f"{n % 20}"), now)
        if n % 2:
            guard.denied(WHO, now)
    assert await raised(house) == []


async def test_old_alarms_are_no_longer_shown(house: House) -> None:
    guard = watch(house, denials=burst())
    for _ in range(4):
        guard.denied(WHO, NOW)
    await raised(house)
    alarms = house.state.alarms
    assert [alarm["agent"] for alarm in alarms.recent()] == ["clerk"]
    alarms.forget(NOW + 25 * 3600 * S)
    assert alarms.recent() == []
    assert alarms.counts == {"denials": 1}
    await house.keeper.save()
    again = house.reopen()
    assert again.state.alarms.recent() == []
    again.close()


@pytest.mark.parametrize(
    "stated",
    [
        {"denials": {"most": 0, "window": "1m"}},
        {"denials": {"most": 3, "window": 60}},
        {"denials": {"most": 3, "window": "1m", "then": "nothing"}},
        {"denials": {"most": True, "window": "1m"}},
        {"first_use": "suspend"},
        {"running": 0},
        {"questions": None},
        {"circuit": {"failures": 5, "pause": "0s"}},
        {"loops": {}},
    ],
    ids=str,
)
def test_a_guard_that_is_not_understood_is_refused(stated: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Guards.model_validate(stated)
