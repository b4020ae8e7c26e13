"""The starter pack: rendered for a home, and only for one that can be written down safely."""

import pytest

from policies.errors import StarterRefused
from policies.loader import read_policies, read_tests
from policies.starter import starter


def test_the_files_name_the_repository_and_the_approvers() -> None:
    files = starter("/home/kim/demo repo", approvers=["kim", "lee@example.com"])
    (document,) = read_policies([("p", files["starter.policy.yaml"])])
    assert document.policy.groups["approvers"].members == ("kim", "lee@example.com")
    assert document.policy.rules[0].when == "under(args.repo_path, '/home/kim/demo repo')"
    tests = read_tests("t", files["starter.policy.test.yaml"])
    assert tests.content.calls["read"].args == {"repo_path": "/home/kim/demo repo"}


def test_nothing_of_the_template_is_left() -> None:
    text = b"".join(starter("/srv/r", approvers=["kim"]).values())
    assert b"/demo/repo" not in text
    assert b"members: [operator]" not in text


@pytest.mark.parametrize(
    "repository",
    [
        pytest.param("", id="empty"),
        pytest.param("repo", id="relative"),
        pytest.param("/", id="root"),
        pytest.param("/a/", id="final-slash"),
        pytest.param("/a//b", id="double-slash"),
        pytest.param("/a/../b", id="parent"),
        pytest.param("/a/..", id="final-parent"),
        pytest.param("/a/./b", id="here"),
        pytest.param("/a'b", id="single-quote"),
        pytest.param('/a"b', id="double-quote"),
        pytest.param("/a\\b", id="backslash"),
        pytest.param("/a\nb", id="newline"),
        pytest.param("/a\n", id="final-newline"),
        pytest.param("/a\x00b", id="nul"),
        pytest.param("/a\u202eb", id="direction"),
        pytest.param("/a\u200bb", id="zero-width"),
        pytest.param("/a\udcffb", id="not-utf8"),
        pytest.param("C:/a", id="drive"),
    ],
)
def test_a_path_that_could_mean_something_else_is_refused(repository: str) -> None:
    with pytest.raises(StarterRefused, match="path"):
        starter(repository)


@pytest.mark.parametrize(
    "approvers", [[], [""], ["a b"], ['a"'], ["a]"], ["1"], ["kim", "-"], ["k\n"]]
)
def test_an_approver_who_cannot_be_named_is_refused(approvers: list[str]) -> None:
    with pytest.raises(StarterRefused, match="approvers"):
        starter("/srv/r", approvers=approvers)
