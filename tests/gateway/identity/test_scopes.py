import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import scopes
from gateway.identity.errors import ScopeInvalid

SERVERS = ("git", "ledger", "crm")
TOOLS = ("pay", "log", "a.b", "*x")
PATTERNS = ("*", *(f"{s}.{t}" for s in SERVERS for t in ("*", "pay", "log", "a.b")))

some_scopes = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=8).map(
    lambda patterns: scopes.parse(" ".join(patterns))
)
some_tool = st.tuples(st.sampled_from(SERVERS), st.sampled_from(TOOLS))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="space"),
        pytest.param("git.log ", id="trailing-space"),
        pytest.param(" git.log", id="leading-space"),
        pytest.param("git.log  git.show", id="two-spaces"),
        pytest.param("git.log\tgit.show", id="tab"),
        pytest.param("git.log\n", id="newline"),
        pytest.param("git", id="no-tool"),
        pytest.param("git.", id="empty-tool"),
        pytest.param(".log", id="empty-server"),
        pytest.param("**", id="two-stars"),
        pytest.param("*.*", id="star-server"),
        pytest.param("*.log", id="any-server"),
        pytest.param("git.lo*", id="prefix"),
        pytest.param("git.*.x", id="star-inside"),
        pytest.param("Git.log", id="upper-case-server"),
        pytest.param("git_x.log", id="underscore-server"),
        pytest.param("1git.log", id="digit-first"),
        pytest.param(f"{'a' * 21}.log", id="long-server"),
        pytest.param(f"git.{'a' * 129}", id="long-tool"),
        pytest.param("git․log", id="one-dot-leader"),
        pytest.param("gіt.log", id="cyrillic"),
        pytest.param("git.log\u200b", id="zero-width"),
        pytest.param('git."log"', id="quotes"),
        pytest.param("git.*" + " git.*" * 1000, id="too-long"),
    ],
)
def test_a_text_that_is_no_list_of_patterns_is_refused(text: str) -> None:
    with pytest.raises(ScopeInvalid):
        scopes.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", ("*",)),
        ("ledger.pay git.*", ("git.*", "ledger.pay")),
        ("git.log git.*", ("git.*",)),
        ("git.log * ledger.pay", ("*",)),
        ("git.log git.log", ("git.log",)),
        ("crm.admin.tools/list_v2-x", ("crm.admin.tools/list_v2-x",)),
    ],
)
def test_scopes_are_kept_in_their_shortest_form(text: str, expected: scopes.Scopes) -> None:
    assert scopes.parse(text) == expected


def test_no_scopes_allow_nothing() -> None:
    assert not scopes.allows((), "git", "log")


def test_scopes_without_anything_in_common_intersect_to_nothing() -> None:
    assert scopes.intersect(("git.*",), ("ledger.pay",)) == ()


@given(some_scopes)
def test_reading_restores_what_was_written(some: scopes.Scopes) -> None:
    assert scopes.parse(scopes.write(some)) == some


@given(some_scopes, some_scopes, some_tool)
def test_an_intersection_allows_what_both_allow(
    left: scopes.Scopes, right: scopes.Scopes, tool: tuple[str, str]
) -> None:
    both = scopes.allows(left, *tool) and scopes.allows(right, *tool)
    assert scopes.allows(scopes.intersect(left, right), *tool) == both


@given(some_scopes, some_scopes)
def test_the_order_of_an_intersection_does_not_matter(
    left: scopes.Scopes, right: scopes.Scopes
) -> None:
    assert scopes.intersect(left, right) == scopes.intersect(right, left)


@given(some_scopes, some_scopes)
def test_intersecting_again_changes_nothing(left: scopes.Scopes, right: scopes.Scopes) -> None:
    once = scopes.intersect(left, right)
    assert scopes.intersect(once, right) == once
    assert scopes.intersect(once, once) == once


@given(some_scopes)
def test_every_tool_is_the_neutral_scope(some: scopes.Scopes) -> None:
    assert scopes.intersect(some, scopes.ALL) == some
