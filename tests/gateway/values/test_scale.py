"""The scale: all values of a call are weighed at once, and each as if it stood alone."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.values.normal_form import of_value
from gateway.values.provenance import Memory, Source
from gateway.values.result_values import read_result
from gateway.values.scale import Weighed, Weighing
from gateway.values.words import Words
from policies.decision import NOTHING_CARRIED, ORIGINS, Origin
from policies.snapshot import ToolRule

SAID = (
    "Send file no. 13 to ann@office.example, and pay 120.50 to GB33BUKB20201555555555.",
    "See https://office.example/a (or b_1).",
)
RELIED = ToolRule("read", frozenset(), "trusted")
OTHERS = ToolRule("read", frozenset(), "untrusted")
TEXTS = st.sampled_from(
    [
        "ann@office.example",
        "ann@office.example,",
        "see https://office.example/a and more",
        "https://evil.example/",
        "GB33BUKB20201555555555",
        "GB33 BUKB 2020 1555 5555 55",
        "pay 120.50 to",
        "cem",
        "eve",
        "b_1",
        "",
        " ",
        "13",
        "\u0430nn@office.example",
        "word. " * 50,
        "word. " * 50 + "evil.example",
    ]
)
LEAVES = TEXTS | st.sampled_from([13, 7, 120.5, 4711815, True, None])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "note"]), inner)
    ),
    max_leaves=6,
)
CALLS = st.dictionaries(st.sampled_from(["to", "id", "file_id", "note", "n"]), VALUES)


def known() -> Memory:
    made, call = Memory("00" * 16, complete=True), Weighing("look", {}, ())
    made.hear(SAID)
    for rule, text in ((RELIED, "cem\n4711815"), (OTHERS, "eve https://evil.example")):
        result: dict[str, Json] = {"content": [{"type": "text", "text": text}]}
        for _ in made.remember(read_result(result, rule), call, Source("s.look", 1)):
            pass
    return made


def weakest(origins: list[str], otherwise: str) -> str:
    told = [origin for origin in origins if origin in get_args(Origin)]
    return max(told, key=ORIGINS.index, default=otherwise)


@given(CALLS, st.sampled_from([(), ("to",), ("to", "id", "absent")]), st.integers(0, 1))
def test_values_weigh_together_what_they_weigh_alone(
    args: dict[str, Json], targets: tuple[str, ...], spent: int
) -> None:
    memory = known()

    def weighed(of: dict[str, Json]) -> Weighed:
        return memory.weigh(Weighing("send_file", of, targets, spent))

    whole, alone = weighed(args), [weighed({name: args[name]}) for name in args]
    assert whole.provenance == {k: v for each in alone for k, v in each.provenance.items()}
    carried = [each.origin["carried"] for each in alone]
    assert whole.origin["carried"] == weakest(carried, NOTHING_CARRIED)
    assert whole.rests == any(each.rests for each in alone)


@given(st.sampled_from(["to", "id", "note"]), st.lists(LEAVES, max_size=4), st.integers(0, 1))
def test_a_list_and_an_object_are_as_strong_as_the_weakest_value_in_them(
    name: str, leaves: list[Json], spent: int
) -> None:
    memory = known()

    def origin(value: Json) -> str:
        args: dict[str, Json] = {name: value}
        return memory.weigh(Weighing("send_file", args, ("to",), spent)).provenance[name]

    # What is no value counts for nothing in a list, and by itself nothing can be said of it.
    values = [leaf for leaf in leaves if leaf not in ("", " ") and not isinstance(leaf, bool)]
    weakest_of_all = weakest([origin(leaf) for leaf in values if leaf is not None], "none")
    assert origin(leaves) == weakest_of_all
    assert origin([leaves, {name: leaves}]) == weakest_of_all


@given(st.lists(TEXTS, max_size=6))
def test_the_users_words_are_read_beforehand_as_they_are_read_later(said: list[str]) -> None:
    words = Words(said)
    assert all(form == of_value(text) for text, form in words.values.items())
