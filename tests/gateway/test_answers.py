import inspect
from dataclasses import replace

import pytest

from gateway import answers
from gateway.action import Outcome
from gateway.approval.request import Request
from tests.gateway.rooms import ASKED, KEY, NOW_S

REQUEST = Request(
    id="01a1f78f",
    key=KEY,
    snapshot="",
    labels=frozenset(),
    provenance=(),
    evidence=(),
    rules=("secret-rule",),
    obligations=(),
    digest="",
    index=0,
    leaf="",
    asked=NOW_S,
    expires=NOW_S + 60,
)
ARGUMENTS = {
    "tool": "ledger__pay",
    "reference": "ref-1",
    "decision": replace(ASKED, rules=("pay-large",)),
    "name": "pays",
    "request": REQUEST,
    "code": "guard.repeats",
    "bar": "server.suspended",
    "why": "the tool is not as it was reviewed",
    "message": "no such account",
    "url": "https://gw.example/oauth/upstream/ledger/start?agent=clerk",
}


def every_answer() -> list[tuple[str, Outcome]]:
    made = []
    for name, make in inspect.getmembers(answers, inspect.isfunction):
        if make.__module__ == answers.__name__:
            wanted = inspect.signature(make).parameters
            made.append((name, make(**{each: ARGUMENTS[each] for each in wanted})))
    return made


@pytest.mark.parametrize("answer", [pytest.param(made, id=name) for name, made in every_answer()])
def test_every_answer_is_a_short_sentence_with_a_code(answer: Outcome) -> None:
    assert answer.code
    assert answer.status != "done"
    assert answer.result is None
    assert 20 < len(answer.text) < 400
    assert answer.text.isascii()


def test_a_tool_that_is_not_there_and_one_that_is_not_allowed_read_alike() -> None:
    missing = answers.not_permitted("ledger__pya", "ref")
    forbidden = answers.not_permitted("ledger__pay", "ref")
    assert replace(missing, text=missing.text.replace("pya", "pay")) == forbidden


@pytest.mark.parametrize(
    ("answer", "promise"),
    [
        (answers.pending("t", REQUEST), "Nothing has been done"),
        (answers.answered_no("t", REQUEST), "Nothing has been done"),
        (answers.refused("c", "w", "r"), "Nothing has been done"),
        (answers.changed_meanwhile("t", "r"), "Nothing has been done"),
        (answers.upstream_down("t", "c"), "Nothing has been done"),
        (answers.outcome_unknown("t", "c"), "may have taken effect"),
    ],
)
def test_an_answer_says_whether_something_was_done(answer: Outcome, promise: str) -> None:
    assert promise in " ".join(answer.text.split())


def test_a_pending_answer_names_the_request_and_when_it_ends() -> None:
    answer = answers.pending("ledger__pay", REQUEST)
    assert (answer.approval, answer.expires) == (REQUEST.id, REQUEST.expires)
    assert REQUEST.id in answer.text
    assert "exactly the same call again" in answer.text


def test_a_limit_is_named_and_nothing_of_it_told() -> None:
    answer = answers.over_limit("ledger__pay", "pays", "ref")
    assert answer.code == "limit:pays"
    assert not any(character.isdigit() for character in answer.text)
