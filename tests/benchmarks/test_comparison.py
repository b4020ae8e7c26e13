import pytest

from benchmarks.comparison import Seen, disagreements

DECISIONS = {"a": (1, 100), "b": (2, 200)}
OUTCOMES = {"a": "done", "b": "done"}
CAME = [(1, 100), (2, 250)]


def seen(
    decisions: dict[str, tuple[int, int]] | None = None, outcomes: dict[str, str] | None = None
) -> Seen:
    return Seen(
        dict(DECISIONS if decisions is None else decisions),
        dict(OUTCOMES if outcomes is None else outcomes),
    )


def test_a_log_that_accounts_for_every_call_agrees() -> None:
    assert list(disagreements(seen(), CAME, answered=2)) == []


def test_a_call_whose_answer_was_not_waited_for_is_accounted_for_too() -> None:
    assert list(disagreements(seen(), CAME, answered=1)) == []


@pytest.mark.parametrize(
    ("log", "came", "answered", "complaint"),
    [
        pytest.param(seen(), [*CAME, (3, 300)], 2, "without either", id="undecided-request"),
        pytest.param(seen(), CAME[:1], 2, "without either", id="decided-and-not-forwarded"),
        pytest.param(seen(), [*CAME, CAME[0]], 2, "forwarded twice", id="forwarded-twice"),
        pytest.param(
            seen({**DECISIONS, "c": (2, 240)}, {**OUTCOMES, "c": "done"}),
            CAME,
            2,
            "decided on twice",
            id="decided-twice",
        ),
        pytest.param(seen(), [(1, 99), (2, 250)], 2, "before they were decided", id="too-early"),
        pytest.param(seen(outcomes={"a": "done"}), CAME, 2, "1 outcomes", id="no-outcome"),
        pytest.param(
            seen(outcomes={"a": "done", "b": "unknown"}), CAME, 2, "unknown", id="not-done"
        ),
        pytest.param(seen(), CAME, 3, "only 2 decisions", id="answered-from-nowhere"),
    ],
)
def test_a_run_without_its_evidence_is_void(
    log: Seen, came: list[tuple[int, int]], answered: int, complaint: str
) -> None:
    assert any(complaint in found for found in disagreements(log, came, answered))
