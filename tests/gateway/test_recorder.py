from pathlib import Path

import pytest

from audit.errors import AuditUnavailable, SealBroken, SubjectErased
from gateway.recorder import MAX_SEALED
from tests.gateway.rooms import Disk, House

WORDS = b'{"to":"planted-account"}'


async def sealed(house: House, words: bytes = WORDS, subject: str = "ana") -> int:
    """The index of an entry that holds `words`."""
    receipt = await house.recorder.write_sealed(
        "approval.asked-once", {"n": 1}, subject=subject, name="args", words=words
    )
    return receipt.index


async def test_words_come_back_and_stand_nowhere_in_clear(house: House) -> None:
    index = await sealed(house)
    assert house.recorder.words(index, "args") == WORDS
    body = house.log.entry(index).body
    assert body["args"]["len"] == len(WORDS)
    assert set(body["args"]) == {"commit", "kept", "len"}
    for file in (house.folder / "log").iterdir():
        assert b"planted-account" not in file.read_bytes()


async def test_equal_words_have_no_equal_commitment(house: House) -> None:
    first, second = await sealed(house), await sealed(house)
    commits = {house.log.entry(index).body["args"]["commit"] for index in (first, second)}
    assert len(commits) == 2


async def test_of_very_long_words_the_log_holds_the_commitment_alone(house: House) -> None:
    kept = await sealed(house, b"x" * MAX_SEALED)
    index = await sealed(house, b"x" * (MAX_SEALED + 1))
    assert house.recorder.words(kept, "args") == b"x" * MAX_SEALED
    assert house.recorder.words(index, "args") is None
    assert house.log.entry(index).sealed is None
    body = house.log.entry(index).body["args"]
    assert (body["kept"], body["len"]) == (False, MAX_SEALED + 1)


async def test_words_of_another_name_are_not_given_out(house: House) -> None:
    assert house.recorder.words(await sealed(house), "result") is None


async def test_an_entry_without_words_has_none(house: House) -> None:
    receipt = await house.recorder.write("start", {"version": "0"})
    assert house.recorder.words(receipt.index, "args") is None


async def test_erasing_a_person_takes_their_words_and_nobody_elses(house: House) -> None:
    index, other = await sealed(house), await sealed(house, subject="omar")
    house.recorder._vault.erase("ana")
    with pytest.raises(SubjectErased):
        house.recorder.words(index, "args")
    assert house.recorder.words(other, "args") == WORDS


async def test_words_of_another_entry_do_not_open_in_its_place(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, other = await sealed(house), await sealed(house)
    stolen = house.log.entry(other)
    promised = house.log.entry(index).body
    swapped = stolen.raw.replace(stolen.body["id"].encode(), promised["id"].encode())
    entry = type(stolen)(index, stolen.leaf, swapped, stolen.sealed)
    monkeypatch.setattr(house.log, "entry", lambda _: entry)  # a disk that lies
    with pytest.raises(SealBroken):
        house.recorder.words(index, "args")


@pytest.mark.parametrize("reserved", [True, False])
async def test_what_cannot_be_made_durable_is_said(tmp_path: Path, reserved: bool) -> None:
    disk = Disk()
    house = House.open(tmp_path / "fragile", files=disk)
    disk.fails = True
    with pytest.raises(AuditUnavailable):
        await house.recorder.write("start", {}, reserved=reserved)
    disk.fails = False
    house.close()


async def test_time_never_runs_backwards(house: House) -> None:
    before = house.recorder.now()
    await house.recorder.write("start", {})
    house.clock.pass_s(-3600)
    assert house.recorder.now() >= before
