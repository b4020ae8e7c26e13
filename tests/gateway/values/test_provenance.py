"""Provenance: the user's words, what was read, and what of it counts."""

from collections.abc import Mapping
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.values.provenance import SLICE, Memory, Source
from gateway.values.result_values import read_result
from gateway.values.scale import Weighed, Weighing
from gateway.values.seen import Seen
from policies.snapshot import ToolRule

KEY = "00" * 16
TRUSTED = ToolRule("read", frozenset(), "trusted")
UNTRUSTED = ToolRule("read", frozenset(), "untrusted")


def memory(*said: str, complete: bool = True) -> Memory:
    made = Memory(KEY, complete=complete)
    made.hear(said)
    return made


def read(
    of: Memory, said: Json, rule: ToolRule = TRUSTED, tool: str = "list_files", **args: Json
) -> None:
    text = said if isinstance(said, str) else None
    result: dict[str, Json] = (
        {"structuredContent": said}
        if text is None
        else {"content": [{"type": "text", "text": text}]}
    )
    call = Weighing(tool, args, ())
    for _ in of.remember(read_result(result, rule), call, Source(f"s.{tool}", 1)):
        pass
    if rule.result != "trusted":
        of.tainted = True


def weighed(
    of: Memory, args: Mapping[str, Json], *targets: str, tool: str = "send", spent: int = 0
) -> Weighed:
    return of.weigh(Weighing(tool, args, targets, spent))


def origin(of: Memory, value: Json, *, spent: int = 0) -> str:
    return weighed(of, {"x": value}, spent=spent).provenance["x"]


def test_the_strongest_source_of_a_value_counts_and_the_weakest_value_of_an_argument() -> None:
    known = memory("to ann and bob")
    read(known, "cem\ndoro")
    read(known, "ann cem eve", UNTRUSTED)
    assert [origin(known, name) for name in ("ann", "cem", "eve", "finn")] == [
        "user",
        "trusted",
        "untrusted",
        "none",
    ]
    assert origin(known, ["ann", "bob"]) == "user"
    assert origin(known, ["ann", "cem"]) == "trusted"
    assert origin(known, {"a": "ann", "b": [{"c": "eve"}]}) == "untrusted"
    assert origin(known, ["ann", "finn"]) == "none"


@pytest.mark.parametrize("value", [None, True, "", " ", [], {}, [None, False], {"a": ""}])
def test_what_holds_no_value_is_nobodys(value: Json) -> None:
    assert origin(memory("a true story"), value) == "none"


def test_words_of_the_user_count_in_a_row_alone() -> None:
    known = memory("I live in 12 Oak Lane, New York now.")
    assert origin(known, "12 Oak Lane") == "user"
    assert origin(known, "oak lane new york") == "user"
    assert origin(known, "York Oak") == "none"
    assert origin(known, "Oak Lane 12") == "none"


@pytest.mark.parametrize(
    ("said", "argument", "tool", "expected"),
    [
        ("delete file 13", "file_id", "delete", "user"),
        ("delete file no. 13", "file_id", "delete", "user"),
        ("delete transaction 13", "id", "update_scheduled_transaction", "user"),
        ("delete files by June 13", "file_id", "delete", "none"),
        ("delete 13 files", "file_id", "delete", "none"),
        ("delete file 13 June", "file_id", "delete", "none"),
        ("clean room 13", "object_id", "delete", "none"),
        ("clean room 13", "id", "get_file", "none"),
        ("pay 13", "id", "pay", "none"),
    ],
)
def test_a_short_id_is_the_users_only_behind_the_name_of_its_kind(
    said: str, argument: str, tool: str, expected: str
) -> None:
    found = weighed(memory(said), {argument: 13}, argument, tool=tool)
    assert found.provenance[argument] == expected


@pytest.mark.parametrize("word", ["all", "the", "me", "a"])
def test_a_word_of_any_sentence_names_no_target(word: str) -> None:
    known = memory("tell me all of the news in a line")
    assert weighed(known, {"to": word}, "to").origin["target"] == "none"
    assert origin(known, word) == "user"  # elsewhere it is a word like any other


FILES: Json = {"files": [{"id": 7, "name": "rent.txt"}, {"id": 8, "name": "notes.txt"}]}


def test_a_record_links_an_id_to_what_the_user_named() -> None:
    known = memory("open rent.txt")
    known.tainted = True
    read(known, FILES)
    assert weighed(known, {"file_id": 7}, "file_id").origin["target"] == "user"
    assert weighed(known, {"file_id": 8}, "file_id").origin["target"] in {"none", "untrusted"}


def test_an_id_of_another_kind_of_object_is_not_linked() -> None:
    known = memory("open rent.txt")
    read(known, FILES)
    assert weighed(known, {"room_id": 7}, "room_id").origin["target"] != "user"
    assert weighed(known, {"room_id": 8}, "room_id").origin["target"] != "trusted"


def test_a_word_that_most_records_hold_tells_none_from_another() -> None:
    known = memory("pay the open payment")
    known.tainted = True
    rows: Json = {"rows": [{"id": n, "kind": "payment"} for n in range(1, 5)]}
    read(known, rows, tool="list_rows")
    assert weighed(known, {"row_id": 3}, "row_id").origin["target"] != "user"


def test_lines_of_a_trusted_text_are_records_and_those_of_another_are_not() -> None:
    text = "- id: 7\n  subject: Dues\n- id: 8\n  subject: Gift\n"
    for rule, expected in ((TRUSTED, "user"), (UNTRUSTED, "untrusted")):
        known = memory("raise my dues")
        read(known, text, rule, tool="get_payments")
        assert weighed(known, {"payment_id": 7}, "payment_id").origin["target"] == expected


def test_what_is_read_after_the_taint_is_not_relied_upon() -> None:
    known = memory("hello")
    read(known, "cem@acme.example")
    read(known, "eve", UNTRUSTED)
    read(known, "mallory@evil.example")
    assert origin(known, "cem@acme.example") == "trusted"
    assert origin(known, "mallory@evil.example") == "untrusted"


def test_a_memory_that_lacks_the_beginning_relies_on_nothing_that_it_reads() -> None:
    known = memory("to ann", complete=False)
    read(known, "cem")
    assert (origin(known, "cem"), origin(known, "ann")) == ("untrusted", "user")


def test_an_echo_is_no_news() -> None:
    known = memory("hello")
    read(known, "nobody is called mallory@evil.example", q="mallory@evil.example")
    assert origin(known, "mallory@evil.example") == "untrusted"


def test_what_the_user_said_is_used_up_once_per_mention() -> None:
    known = memory("pay ann 5. And pay ann 7!")
    assert [origin(known, "ann", spent=spent) for spent in range(3)] == ["user", "user", "none"]
    assert [origin(known, 5, spent=spent) for spent in range(2)] == ["user", "none"]


def test_what_is_used_up_is_not_trusted_instead() -> None:
    known = memory("pay ann")
    read(known, "ann")
    assert origin(known, "ann", spent=1) == "none"


def test_carried_is_the_weakest_of_everything_in_any_argument() -> None:
    known = memory("write ann@acme.example about https://acme.example/a")
    args: dict[str, Json] = {"to": "ann@acme.example", "text": "see https://acme.example/a"}
    assert weighed(known, args).origin["carried"] == "user"
    args["deep"] = [{"x": "and evil.example"}]
    assert weighed(known, args).origin["carried"] == "none"
    assert weighed(known, {"text": "hello Bob"}).origin["carried"] == "nothing"
    assert weighed(known, {"open": {"evil@x.example": True}}).origin["carried"] == "none"


def test_values_are_traced_to_where_they_were_read() -> None:
    known = memory("to ann")
    read(known, "eve@evil.example", UNTRUSTED, tool="page")
    call = Weighing("send", {"to": ["ann"], "text": "see eve@evil.example"}, ("to",))
    traced = [each.to_json() for each in known.trace(call)]
    assert {"path": "args.to[0]", "origin": "user"} in traced
    assert {
        "path": "args.text",
        "origin": "untrusted",
        "span": [4, 20],
        "from": {"tool": "s.page", "entry": 1},
    } in traced


def test_seen_keeps_what_is_new_in_fixed_room() -> None:
    seen = Seen(most=100)
    for value in range(1000):
        seen.add([value], value)
        assert len(seen) <= 100
    assert seen.get(999) == 999
    assert seen.get(1) is None


WORDS = st.text(alphabet="abcdefg0123456789@.-/ _\u200b\uff11\u0430ABé", min_size=1, max_size=25)


@given(said=WORDS, strangers=st.lists(WORDS, max_size=4), value=WORDS)
def test_nothing_that_strangers_write_makes_a_value_the_users(
    said: str, strangers: list[str], value: str
) -> None:
    alone, flooded = memory(said), memory(said)
    for text in strangers:
        read(flooded, text, UNTRUSTED)
        read(flooded, text)  # and what a tainted session fetches after it
    args: dict[str, Json] = {"to": value, "file_id": value}
    before, after = (weighed(each, args, "to") for each in (alone, flooded))
    for name in args:
        assert (after.provenance[name] == "user") <= (before.provenance[name] == "user")
        assert after.provenance[name] != "trusted"
    assert (after.origin["target"] == "user") <= (before.origin["target"] == "user")
    assert (after.origin["carried"] == "user") <= (before.origin["carried"] == "user")


def names(first: int, count: int = SLICE) -> str:
    return " ".join(f"name{number}" for number in range(first, first + count))


def test_what_is_short_is_remembered_at_a_stretch() -> None:
    known = memory()
    listed = read_result({"structuredContent": {"id": 7, "name": "Ann"}}, TRUSTED)
    assert list(known.remember(listed, Weighing("list", {}, ()), Source("s.list", 1))) == []


@pytest.mark.parametrize("declared", [UNTRUSTED, TRUSTED], ids=["untrusted", "trusted"])
def test_others_have_their_turn_while_much_is_remembered(declared: ToolRule) -> None:
    known = memory("Write to Ann")
    rows: list[Json] = [{"id": f"row_{n}", "name": f"name{n}"} for n in range(3 * SLICE)]
    listed = read_result({"structuredContent": rows}, declared)
    turns = known.remember(listed, Weighing("list", {}, ()), Source("s.list", 1))
    assert sum(1 for _ in turns) >= 3


def test_results_that_are_remembered_by_turns_keep_their_sources() -> None:
    known = memory()
    turns = []
    for entry, first in ((1, 0), (2, 10 * SLICE)):
        said: dict[str, Json] = {"content": [{"type": "text", "text": names(first, 2 * SLICE)}]}
        listed = read_result(said, UNTRUSTED)
        turns.append(known.remember(listed, Weighing("read", {}, ()), Source("s.read", entry)))
    for _ in zip_longest(*turns):
        pass
    for entry, number in ((1, 2 * SLICE - 1), (2, 12 * SLICE - 1)):
        (traced,) = known.trace(Weighing("send", {"to": f"name{number}"}, ("to",)))
        assert traced.source == Source("s.read", entry)


def test_what_taints_meanwhile_does_not_undo_what_was_read_before() -> None:
    known = memory()
    said: dict[str, Json] = {"structuredContent": [f"name{n}" for n in range(2 * SLICE)]}
    turns = known.remember(
        read_result(said, TRUSTED), Weighing("list", {}, ()), Source("s.list", 1)
    )
    next(turns)
    known.tainted = True
    assert sum(1 for _ in turns)
    assert weighed(known, {"to": "name7"}, "to").origin["target"] == "trusted"
    read(known, ["name_after"], TRUSTED)
    assert weighed(known, {"to": "name_after"}, "to").origin["target"] == "untrusted"
