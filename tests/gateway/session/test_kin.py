"""Kin: one request is a tree, one agent's own sessions are one agent, and nothing else is close."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.session.kin import Kin


@dataclass(frozen=True)
class Member:
    id: str
    agent: str = "ada"
    user: str | None = None
    parent: str | None = None
    root: str = ""
    own: bool = False


def member(name: str, **more: object) -> Member:
    return Member(name, **{"root": name, **more})  # type: ignore[arg-type]  # by name


def kin(*members: Member) -> Kin:
    known = Kin()
    for each in members:
        known.add(each)
    return known


def test_a_tree_is_close_and_ends_from_above() -> None:
    top = member("top")
    one = member("one", agent="bo", parent="top", root="top")
    two = member("two", agent="cy", parent="one", root="top")
    other = member("other")
    known = kin(top, one, two, other)
    assert known.tree("top") == {"top", "one", "two"}
    assert set(known.below("top")) == {"one", "two"}
    assert set(known.below("one")) == {"two"}
    assert known.near(two) == {"top", "one", "two"}
    assert known.near(other) == {"other"}


def test_what_an_agent_opened_by_itself_is_close_for_one_user() -> None:
    first, second = member("first", own=True), member("second", own=True)
    for_ana = member("ana", own=True, user="ana")
    clean = member("clean")
    known = kin(first, second, for_ana, clean)
    assert known.near(first) == {"first", "second"}
    assert known.near(clean) == {"clean", "first", "second"}
    assert known.before("ada", None) == {"first", "second", "clean"}


def test_what_was_handed_on_is_close_to_all_that_the_agent_opened() -> None:
    handed = member("handed", agent="bo", user="ana", parent="top", root="top", own=True)
    own = member("own", agent="bo", own=True)
    known = kin(member("top", user="ana"), handed, own)
    assert known.near(handed) == {"top", "handed", "own"}
    assert known.before("bo", None) == {"own", "handed"}
    assert known.near(own) == {"own"}


@given(
    st.lists(
        st.builds(
            Member,
            id=st.sampled_from("abcdefgh"),
            agent=st.sampled_from(("ada", "bo")),
            user=st.sampled_from((None, "ana")),
            parent=st.none() | st.sampled_from("abc"),
            root=st.sampled_from("abc"),
            own=st.booleans(),
        ),
        unique_by=lambda each: each.id,
    )
)
def test_what_is_dropped_leaves_nothing_behind(members: list[Member]) -> None:
    known = kin(*members)
    for each in members:
        known.drop(each)
        known.drop(each)
    assert not known._tied
