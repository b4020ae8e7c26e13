"""The graph of a run: what was at the same time stands side by side."""

from console.drawing import Chain, Frame, Leaf
from console.runs.graph import graph
from console.runs.tree import Row, shown, tree


def row(path: str, at: int, until: int | None, status: str = "done") -> Row:
    tool = path.rpartition(":")[2]
    return Row(path=path, tool=tool, agent="job", status=status, at=at, until=until, entry=at)


def test_one_after_another() -> None:
    drawn = graph(shown(tree([row("1:a", 0, 5), row("2:b", 5, 9)])), "/runs/r", 99)
    assert isinstance(drawn, Chain)
    assert [leaf.text for leaf in drawn.parts if isinstance(leaf, Leaf)] == ["a", "b"]


def test_side_by_side() -> None:
    drawn = graph(shown(tree([row("1:a", 0, 5), row("2:b", 4, 9)])), "/runs/r", 99)
    assert isinstance(drawn, Frame)
    assert drawn.note == "2 at once"


def test_what_has_not_ended_is_at_the_same_time_as_what_comes() -> None:
    rows = [row("1:a", 0, None, "under way"), row("2:b", 50, 60)]
    assert isinstance(graph(shown(tree(rows)), "/runs/r", 99), Frame)


def test_a_step_leads_to_its_entry_and_a_question_to_its_request() -> None:
    waits = Row(path="2:b", tool="b", agent="j", status="waiting", at=9, entry=None, approval="q")
    drawn = graph(shown(tree([row("1:a", 3, 5), waits])), "/runs/r", 99)
    assert isinstance(drawn, Chain)
    assert [part.href for part in drawn.parts if isinstance(part, Leaf)] == [
        "/audit/entries/3",
        "/approvals/q",
    ]


def test_what_is_folded_says_what_is_in_it_and_leads_there() -> None:
    rows = [row(f"1:map/{n}:w", n, n + 5, "denied" if n == 7 else "done") for n in range(1, 301)]
    drawn = graph(shown(tree([*rows, row("2:out", 900, 901)])), "/runs/r", 999)
    assert isinstance(drawn, Chain)
    folded = drawn.parts[0]
    assert isinstance(folded, Leaf)
    assert (folded.text, folded.note, folded.look) == (
        "map: 300 steps",
        "1 denied, 299 done",
        "deny",
    )
    assert folded.href == "/runs/r?view=graph&at=1%3Amap"


def test_a_part_is_a_frame_around_what_it_did() -> None:
    rows = [row("1:pair/1:a", 0, 5), row("1:pair/2:b", 1, 5), row("2:c", 6, 7)]
    drawn = graph(shown(tree(rows)), "/runs/r", 99)
    assert isinstance(drawn, Chain)
    assert isinstance(drawn.parts[0], Frame)
    assert (drawn.parts[0].title, len(drawn.parts[0].parts)) == ("pair", 2)
