"""What a verifier finds in signed answers, with nothing but the entries of a log."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical
from audit.verify import verify_directory
from gateway.approval.signature import Statement
from gateway.approval.signed_answers import SignedAnswers
from tests.audit.published_logs import SIGNER, write_log
from tests.harness.authenticator import Authenticator
from tests.harness.gateway import running
from tests.harness.holder import NAME, ORIGIN, SIGNED, SITE, Holder, holder
from tests.harness.upstream import desk

Entries = list[dict[str, Any]]
Change = Callable[[Entries], object]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Entries, Holder]]:
    """A log in which two answers are signed, a third is a no, and `eve` has a passkey too; what the
    third asks is asked again before it and after it, which lets nothing through.
    """
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        desk() as upstream,
        running(folder, SIGNED, {"desk": upstream}, settings=SITE) as gateway,
        holder(gateway, "omar") as omar,
        holder(gateway, "adam"),
    ):
        clerk = await gateway.agent()
        for text in ("first", "second"):
            request = (await clerk.call("desk.publish", text=text)).approval
            assert request is not None
            await omar.answer(request, "approve", await omar.sign(request, "approve"))
            assert (await clerk.call("desk.publish", text=text)).done
        refused = (await clerk.call("desk.publish", text="third")).approval
        assert refused is not None
        assert (await clerk.call("desk.publish", text="third")).approval == refused
        await omar.answer(refused, "deny", None)
        assert not (await clerk.call("desk.publish", text="third")).done
        yield gateway.entries(), omar


def raw(entries: Entries) -> list[bytes]:
    return [canonical.write(each) for each in entries]


def found(entries: Entries) -> list[tuple[int, str]]:
    return list(SignedAnswers().check(0, raw(entries)))


def of(entries: Entries, kind: str, number: int = 0) -> dict[str, Any]:
    return [each for each in entries if each["kind"] == kind][number]


def first(entries: Entries) -> dict[str, Any]:
    return of(entries, "approval.decided")


def drop(entries: Entries, kind: str) -> None:
    entries[:] = [each for each in entries if each["kind"] != kind]


def swap(entries: Entries) -> None:
    one, other = (of(entries, "approval.decided", number) for number in (0, 1))
    one["signed"], other["signed"] = other["signed"], one["signed"]


def of_somebody_else(entries: Entries) -> None:
    first(entries)["by"] = "adam"


def registered_by_another(entries: Entries) -> None:
    of(entries, "passkey.registered")["operator"] = "eve"


def taken_away(entries: Entries) -> None:
    registered = of(entries, "passkey.registered")
    gone = {**registered, "kind": "passkey.removed"}
    entries.insert(entries.index(registered) + 1, gone)


def invited_anew(entries: Entries) -> None:
    registered = of(entries, "passkey.registered")
    anew = {**registered, "kind": "operator.invited", "operator": "omar"}
    entries.insert(entries.index(registered) + 1, anew)


def forged(entries: Entries) -> None:
    """Signed by a key that was never registered, over the very same statement."""
    body = first(entries)
    signed = body["signed"]
    said = Statement(body["approval"], body["digest"], "approve", "omar", signed["nonce"])
    thief = Authenticator(NAME, ORIGIN, count=1)
    signed |= thief.assertion(said.challenge()).to_json()


def in_one_of(entries: Entries, **changes: object) -> None:
    first(entries)["signed"].update(changes)


def used_twice(entries: Entries) -> None:
    one, other = [each for each in entries if each["kind"] == "decision" and each["approval"]]
    other["approval"] = one["approval"]


def used_after_its_end(entries: Entries) -> None:
    used = next(each for each in entries if each["kind"] == "decision" and each["approval"])
    ended = {**used, "kind": "approval.ended", "state": "expired"}
    entries.insert(entries.index(used), ended)


CHANGES: dict[str, Change] = {
    "another-key": forged,
    "signatures-swapped": swap,
    "by-somebody-else": of_somebody_else,
    "passkey-of-somebody-else": registered_by_another,
    "passkey-removed-before": taken_away,
    "invited-anew-before": invited_anew,
    "never-registered": lambda entries: drop(entries, "passkey.registered"),
    "a-no-made-a-yes": lambda entries: first(entries).update(verdict="deny"),
    "not-signed": lambda entries: first(entries).update(signed=None),
    "signature-left-out": lambda entries: first(entries).pop("signed"),
    "another-digest": lambda entries: first(entries).update(digest="0" * 64),
    "another-request": lambda entries: first(entries).update(approval="nobody's"),
    "another-nonce": lambda entries: in_one_of(entries, nonce="00" * 32),
    "another-origin": lambda entries: in_one_of(entries, origin="http://localhost:8"),
    "another-name": lambda entries: in_one_of(entries, origin="https://evil.example"),
    "another-count": lambda entries: in_one_of(entries, count=7),
    "a-part-missing": lambda entries: first(entries)["signed"].pop("signature"),
    "a-part-that-is-none": lambda entries: in_one_of(entries, signature=7),
    "counted-before": lambda entries: of(entries, "passkey.registered").update(count=90),
    "never-decided": lambda entries: drop(entries, "approval.decided"),
    "never-asked": lambda entries: drop(entries, "approval.asked"),
    "asked-of-two": lambda entries: of(entries, "approval.asked")["obligations"][0].update(
        quorum=2
    ),
    "used-twice": used_twice,
    "used-after-its-end": used_after_its_end,
    "answered-by-who-asks": lambda entries: of(entries, "approval.asked").update(behind=["omar"]),
    "in-no-group-that-was-asked": lambda entries: first(entries).update(groups=["others"]),
    "something-else-asked": lambda entries: of(entries, "approval.asked").update(match="0" * 64),
    "fewer-were-asked": lambda entries: of(entries, "approval.asked")["obligations"][0].update(
        passkey=False
    ),
}


def test_answers_that_were_signed_as_they_should_be_are_accepted(
    written: tuple[Entries, Holder],
) -> None:
    assert found(written[0]) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_found_where_it_stands(
    written: tuple[Entries, Holder], change: Change
) -> None:
    entries = deepcopy(written[0])
    change(entries)
    places = {index for index, _ in found(entries)}
    kinds = {entries[index]["kind"] for index in places}
    assert places
    assert kinds <= {"approval.decided", "approval.asked", "decision"}


def test_a_log_that_was_signed_anew_with_a_forged_answer_does_not_verify(
    written: tuple[Entries, Holder], tmp_path: Path
) -> None:
    """Who has the key of the log can sign anything, but for what people's passkeys signed."""
    entries = deepcopy(written[0])
    honest = write_log(tmp_path / "honest", raw(entries))
    assert verify_directory(honest, SIGNER.vkey, checks=[SignedAnswers()]).ok
    forged(entries)
    log = write_log(tmp_path / "forged", raw(entries))
    assert verify_directory(log, SIGNER.vkey).ok
    report = verify_directory(log, SIGNER.vkey, checks=[SignedAnswers()])
    complaint, used = report.findings
    assert not report.ok
    assert "was not approved" in used.message
    assert complaint.place.endswith(f"entry {entries.index(first(entries))}")
    assert "not signed by this passkey" in complaint.message


def test_a_passkey_that_went_back_is_found(written: tuple[Entries, Holder]) -> None:
    entries, omar = deepcopy(written[0]), written[1]
    body = of(entries, "approval.decided", 1)
    said = Statement(body["approval"], body["digest"], "approve", "omar", body["signed"]["nonce"])
    omar.device.count = 0
    body["signed"] |= {"count": 1, **omar.device.assertion(said.challenge()).to_json()}
    assert found(entries)[0][1] == "is signed with a passkey whose count went back"


LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4)
ANY = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
MEMBERS = ["approval", "digest", "by", "verdict", "groups", "state", "signed", "operator", "key"]


@given(
    st.sampled_from(
        [
            "approval.asked",
            "approval.decided",
            "approval.break-glass",
            "decision",
            "passkey.registered",
            "operator.invited",
        ]
    ),
    st.dictionaries(st.sampled_from(MEMBERS), ANY),
)
def test_nothing_that_stands_in_an_entry_makes_it_fail(kind: str, members: dict[str, Any]) -> None:
    text = orjson.dumps({**members, "kind": kind}, option=orjson.OPT_SORT_KEYS)
    assert len(list(SignedAnswers().check(0, [text, text]))) <= 2
