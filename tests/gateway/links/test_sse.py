import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.links.sse import EventStream


def events(*chunks: bytes) -> list[bytes]:
    stream = EventStream()
    return [data for chunk in chunks for data in stream.feed(chunk)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"data: a\n\n", [b"a"], id="plain"),
        pytest.param(b"data:a\n\n", [b"a"], id="no-space"),
        pytest.param(b"data:  a\n\n", [b" a"], id="one-space-goes"),
        pytest.param(b"data: a\r\n\r\n", [b"a"], id="crlf"),
        pytest.param(b"data: a\r\r", [b"a"], id="cr"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="two-lines"),
        pytest.param(b"event: message\ndata: a\nid: 1\n\n", [b"a"], id="other-fields"),
        pytest.param(b"event: ping\ndata: a\n\ndata: b\n\n", [b"b"], id="other-event"),
        pytest.param(b": comment\n\ndata: a\n\n", [b"a"], id="comment"),
        pytest.param(b"id: 1\ndata:\n\ndata: a\n\n", [b"a"], id="priming-event"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [b"a"], id="byte-order-mark"),
        pytest.param(b"data: a\n", [], id="unfinished"),
        pytest.param(b"data: a\n\ndata: b", [b"a"], id="second-unfinished"),
        pytest.param(b"Data: a\n\n", [], id="case"),
        pytest.param(b"data\n\n", [], id="no-value"),
        pytest.param(b"retry: 1\n\n", [], id="retry"),
    ],
)
def test_events_are_read_as_the_standard_says(text: bytes, expected: list[bytes]) -> None:
    assert events(text) == expected


LINES = ["data: a", "data:", "data: \u00e9", "event: message", "event: x", ": c", "id: 1", ""]


@given(
    lines=st.lists(st.sampled_from(LINES), max_size=20),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 200), max_size=10),
)
def test_it_does_not_matter_how_a_stream_is_cut(
    lines: list[str], end: str, cuts: list[int]
) -> None:
    # A line feed on its own line decides whether a final CR was half of a line's end.
    whole = "".join(line + end for line in [*lines, ": end"]).encode()
    places = sorted({cut for cut in cuts if cut < len(whole)})
    parts = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]
    assert events(*parts) == events(whole)
    assert events(*(bytes([byte]) for byte in whole)) == events(whole)
