import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import names
from gateway.errors import NameRefused


@pytest.mark.parametrize("name", ["git", "a", "crm-2", "a" * 20])
def test_a_plain_server_name_is_accepted(name: str) -> None:
    names.check_server(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("Git", id="upper-case"),
        pytest.param("2git", id="digit-first"),
        pytest.param("-git", id="hyphen-first"),
        pytest.param("git_hub", id="underscore"),
        pytest.param("git__log", id="separator"),
        pytest.param("git.hub", id="dot"),
        pytest.param("a" * 21, id="too-long"),
        pytest.param("git\n", id="newline"),
        pytest.param("g\u0456t", id="cyrillic"),
        pytest.param("git/../pay", id="path"),
        *[pytest.param(name, id=name) for name in sorted(names.RESERVED)],
    ],
)
def test_any_other_server_name_is_refused(name: str) -> None:
    with pytest.raises(NameRefused):
        names.check_server(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * 129, id="too-long"),
        pytest.param("b\u0430nk", id="cyrillic"),
        pytest.param("pay\u200b", id="zero-width"),
        pytest.param("pay\u202e", id="bidirectional"),
        pytest.param("pay ", id="space"),
        pytest.param("pay\n", id="newline"),
        pytest.param("../pay", id="path"),
        pytest.param("\uff50ay", id="full-width"),
    ],
)
def test_a_tool_name_that_could_hide_something_is_refused(name: str) -> None:
    with pytest.raises(NameRefused) as caught:
        names.check_tool("s", name)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("tool", "published"),
    [
        pytest.param("log", "git__log", id="plain"),
        pytest.param("a" * 59, "git__" + "a" * 59, id="just-fits"),
        pytest.param("a.b", "git__a-b-", id="dot"),
        pytest.param("a" * 60, "git__" + "a" * 50 + "-", id="too-long"),
    ],
)
def test_a_tool_is_published_under_its_servers_name(tool: str, published: str) -> None:
    assert names.publish("git", tool).startswith(published)


@given(
    server=st.from_regex(names.SERVER, fullmatch=True),
    tool=st.from_regex(re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII), fullmatch=True),
)
def test_a_published_name_always_fits(server: str, tool: str) -> None:
    published = names.publish(server, tool)
    names.check_published(published)
    assert published == names.publish(server, tool)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a" * 65, "\u0430", "a/b"])
def test_a_stated_published_name_that_clients_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(NameRefused):
        names.check_published(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("bank__send", "bank__Send", id="case"),
        pytest.param("bank__send_mail", "bank__send-mail", id="separator"),
        pytest.param("bank__sendmail", "bank__send_mail", id="no-separator"),
        pytest.param("bank__pay1", "bank__payl", id="one-and-l"),
        pytest.param("bank__payI", "bank__payl", id="capital-i"),
        pytest.param("bank__g0", "bank__gO", id="zero-and-o"),
        pytest.param("bank", "b-ank", id="servers"),
        pytest.param("pay1", "payl", id="servers-one-and-l"),
    ],
)
def test_names_that_look_alike_are_refused(one: str, other: str) -> None:
    with pytest.raises(NameRefused, match="mistaken"):
        names.refuse_lookalikes([one, "else__where", other])


def test_names_that_differ_are_accepted() -> None:
    names.refuse_lookalikes(["bank__send", "bank__read", "b__anksend", "crm__send", "crm__send"])


def test_the_same_name_twice_is_refused() -> None:
    names.refuse_same(["a", "b"])
    with pytest.raises(NameRefused):
        names.refuse_same(["a", "b", "a"])
