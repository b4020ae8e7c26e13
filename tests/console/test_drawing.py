"""Drawings: strangers' words stay words, and everything lies within what holds it."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.drawing import Block, Chain, Frame, Leaf, outline, svg

words = st.text(max_size=60)
leaves = st.builds(Leaf, words, words, st.sampled_from(["", "allow", "ask", "deny"]))
blocks: st.SearchStrategy[Block] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Chain, st.lists(inner, min_size=1, max_size=4).map(tuple)),
        st.builds(
            Frame,
            words,
            words,
            st.none() | inner,
            st.lists(st.tuples(words, inner), max_size=6).map(tuple),
        ),
    ),
    max_leaves=12,
)
HOSTILE = [
    pytest.param("</text><script>alert(1)</script>", id="markup"),
    pytest.param('" onload="alert(1)', id="attribute"),
    pytest.param("a\x1b[31m\u202eb\u200b", id="does-not-show"),
    pytest.param("{0} {{ 7 * 7 }} %s", id="template"),
    pytest.param("<![CDATA[x]]>&lol;", id="entity"),
    pytest.param("x" * 5000, id="long"),
]


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - ours


@given(block=blocks)
def test_whatever_is_drawn_is_one_image_with_every_block_in_it(block: Block) -> None:
    root = parsed(svg(block, "x"))
    boxes = [each for each in root.iter() if each.tag.endswith("rect")]
    assert len(boxes) == count(block)
    assert {each.tag.rpartition("}")[2] for each in root.iter()} <= {
        "svg",
        "g",
        "rect",
        "text",
        "title",
        "path",
        "a",
    }


@given(block=blocks)
def test_every_box_lies_within_the_image(block: Block) -> None:
    root = parsed(svg(block, "x"))
    wide, high = int(root.attrib["width"]), int(root.attrib["height"])

    def within(element: ET.Element, x: int, y: int) -> None:
        moved = re.fullmatch(r"translate\((\d+),(\d+)\)", element.get("transform", ""))
        if moved is not None:
            x, y = x + int(moved[1]), y + int(moved[2])
        if element.tag.endswith("rect"):
            assert x + int(element.attrib["width"]) <= wide
            assert y + int(element.attrib["height"]) <= high
        for inner in element:
            within(inner, x, y)

    within(root, 0, 0)


@pytest.mark.parametrize("text", HOSTILE)
def test_strangers_words_do_nothing(text: str) -> None:
    block = Frame(text, text, Leaf(text, text, href="/audit/entries/7"), ((text, Leaf(text)),))
    drawn = svg(block, text)
    assert "<script" not in drawn
    assert "onload=" not in re.sub(r'"[^"]*"|>[^<]*<', "", drawn)
    assert not set("\x1b\u202e\u200b") & set(drawn)
    for element in parsed(drawn).iter():
        assert not [name for name in element.attrib if name.startswith("on")]
    for line in outline(block):
        assert not set("\x1b\u202e\u200b\n") & set(line)


def test_what_is_too_long_is_whole_in_its_title() -> None:
    drawn = svg(Leaf("a" * 100), "x")
    assert f"<title>{'a' * 100}</title>" in drawn
    assert "\u2026</text>" in drawn


def test_the_outline_says_the_same_in_lines() -> None:
    block = Chain(
        (
            Leaf("first"),
            Frame("router", "2", Leaf("says"), (("yes", Leaf("second")), ("", Leaf("third")))),
        )
    )
    assert list(outline(block)) == [
        "first",
        "router  2",
        "  says",
        "  yes:",
        "    second",
        "  third",
    ]


def count(block: Block) -> int:
    if isinstance(block, Leaf):
        return 1
    if isinstance(block, Chain):
        return sum(map(count, block.parts))
    head = 0 if block.head is None else count(block.head)
    return 1 + head + sum(count(part) for _, part in block.parts)
