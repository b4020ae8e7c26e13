"""The tree of a run: every step has its place, and what is too much is folded and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.tree import Branch, Row, find, shown, total, tree

segment = st.builds(
    "{}:{}".format, st.integers(1, 40), st.sampled_from(["web", "map", "a.b", "maker"])
)
paths = st.lists(st.lists(segment, min_size=1, max_size=4).map("/".join), unique=True, max_size=80)


def row(path: str, **more: object) -> Row:
    return Row(path=path, tool="t.x", agent="job", status="done", **{"at": 5, "until": 9, **more})  # type: ignore[arg-type]  # members of it


def walk(branch: Branch) -> list[Branch]:
    return [branch, *(each for child in branch.children for each in walk(child))]


@given(paths=paths)
def test_every_step_has_its_place(paths: list[str]) -> None:
    root = tree(row(path) for path in paths)
    assert sorted(each.path for each in root.rows()) == sorted(paths)
    for branch in walk(root):
        assert find(root, branch.path) is branch
        assert all(child.path.rpartition("/")[0] == branch.path for child in branch.children)


@given(paths=paths, most=st.integers(1, 60), first=st.integers(0, 50))
def test_no_more_is_shown_than_may_be_and_nothing_is_lost(
    paths: list[str], most: int, first: int
) -> None:
    root = tree(row(path) for path in paths)
    found = shown(root, first, most)
    assert len(found.lines) <= most
    top = root.children[first : first + most]
    assert list(found.top) == top
    counted = sum(line.said.count for line in found.lines if line.path not in found.opened)
    counted += sum(line.row is not None for line in found.lines if line.path in found.opened)
    assert counted == sum(total(branch.rows()).count for branch in top)
    assert found.rest == max(0, len(root.children) - first - len(top)) or first > len(root.children)


def test_parts_stand_in_the_order_of_their_numbers() -> None:
    root = tree(map(row, ("10:z", "2:b", "1:a")))
    assert [child.label for child in root.children] == ["a", "b", "z"]


def test_what_is_less_deep_is_shown_first() -> None:
    rows = [row(f"1:map/{n}:web") for n in range(1, 300)] + [row("2:out"), row("3:pair/1:a")]
    found = shown(tree(rows))
    assert [line.label for line in found.lines] == ["map", "out", "pair", "a"]
    assert found.lines[0].said.count == 299
    part = shown(find(tree(rows), "1:map"))
    assert (len(part.lines), part.rest) == (200, 99)
    assert shown(find(tree(rows), "1:map"), first=200).rest == 0


def test_an_agent_with_steps_of_its_own_is_a_step_and_a_part() -> None:
    (first, second) = shown(tree([row("1:helper"), row("1:helper/1:model.small")])).lines
    assert first.row is not None
    assert (second.depth, second.label) == (1, "model.small")


def test_what_is_done_to_a_step_has_a_place_too() -> None:
    (_, undo) = shown(tree([row("1:pay"), row("1:pay/undo")])).lines
    assert undo.label == "undo"


@pytest.mark.parametrize("path", ["9:x", "1:map/9:x", "../x", "<script>", "1:map/"])
def test_a_part_that_is_not_there_is_the_whole(path: str) -> None:
    root = tree([row("1:map/1:web")])
    assert find(root, path) is root


def test_what_has_not_ended_has_no_end() -> None:
    assert total([row("1:a"), row("2:b", until=None)]).until is None
    assert total([row("1:a"), row("2:b", until=12, at=3)]).until == 12
    assert total([]).count == 0


@pytest.mark.parametrize(
    ("status", "more", "effect"),
    [
        pytest.param("done", {}, "allow", id="allowed"),
        pytest.param("done", {"asked": True}, "ask", id="people-said-yes"),
        pytest.param("denied", {}, "deny", id="denied"),
        pytest.param("waiting", {"approval": "r"}, "ask", id="people-are-asked"),
    ],
)
def test_a_step_says_what_the_policy_said(
    status: str, more: dict[str, object], effect: str
) -> None:
    step = Row(path="1:a", tool="t.x", agent="a", status=status, at=0, **more)  # type: ignore[arg-type]  # members of it
    assert step.effect == effect
