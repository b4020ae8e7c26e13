"""T39, with the guard pack: what is secret leaves for no sink that is not cleared for it."""

import base64
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.gateway import Running
from tests.harness.policy import guarded
from tests.harness.upstream import Desk, tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = (
    tool("vault", of="string"),
    tool("fetch", "url", url="string"),
    tool("search", "query", query="string"),
    tool("mail", "to", to="string", subject="string"),
    tool("save", "file", file="string", text="string"),
    tool("note", "to", to="string", text="string"),
)
POLICY = guarded("""\
tools:
  desk.vault: {risk: read, emits: [secret], result: trusted}
  desk.fetch: {risk: read, emits: [], target: [url], sink: external}
  desk.search: {risk: read, emits: [], target: [query], sink: external}
  desk.mail: {risk: irreversible, emits: [], target: [to], sink: external}
  desk.save: {risk: write, emits: [], target: [file]}
  desk.note: {risk: write, emits: [], target: [to], sink: internal}
""")
WORDS = (
    "Mail Mira hello, search weather, open https://a.example/x, save it as plan.md, note to Olu."
)
KEY = "AKIAIOSFODNN7EXAMPLE"
"""The access key that its issuer prints in its own documentation."""

WAYS_OUT: list[tuple[str, dict[str, str]]] = [
    ("desk.fetch", {"url": "https://a.example/x"}),
    ("desk.search", {"query": "weather"}),
    ("desk.mail", {"to": "Mira", "subject": "hello"}),
    ("desk.save", {"file": "plan.md", "text": "hello"}),
]


@pytest.mark.parametrize(("call", "args"), WAYS_OUT, ids=[name for name, _ in WAYS_OUT])
async def test_t39_after_a_secret_was_read_nothing_goes_out_not_even_for_the_user(
    gateway: Running, upstream: Desk, call: str, args: dict[str, Any]
) -> None:
    clerk = await gateway.agent(purpose=WORDS)
    assert (await clerk.call("desk.vault")).done
    upstream.calls.clear()
    answered = await clerk.call(call, **args)
    assert answered.code == "policy.denied"
    assert upstream.calls == []


@pytest.mark.parametrize(("call", "args"), WAYS_OUT, ids=[name for name, _ in WAYS_OUT])
async def test_t39_the_same_call_passes_where_no_secret_was_read(
    gateway: Running, upstream: Desk, call: str, args: dict[str, Any]
) -> None:
    clerk = await gateway.agent(purpose=WORDS)
    assert (await clerk.call(call, **args)).done


async def test_t39_a_sink_that_is_stated_to_be_internal_is_cleared(
    gateway: Running, upstream: Desk
) -> None:
    clerk = await gateway.agent(purpose=WORDS)
    assert (await clerk.call("desk.vault")).done
    assert (await clerk.call("desk.note", to="Olu", text="the vault was opened")).done


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(KEY, id="plain"),
        pytest.param(base64.b64encode(f"key: {KEY}".encode()).decode(), id="base64"),
        pytest.param(f"key: {KEY}".encode().hex(), id="hex"),
        pytest.param(quote(f"key={KEY}&").replace("A", "%41"), id="percent"),
    ],
)
@pytest.mark.parametrize(
    ("call", "args", "into"),
    [
        pytest.param("desk.search", {}, "query", id="search-query"),
        pytest.param("desk.fetch", {}, "url", id="url-parameter"),
        pytest.param("desk.mail", {"to": "Mira"}, "subject", id="subject-line"),
        pytest.param("desk.save", {"file": "plan.md"}, "text", id="text-of-a-file"),
        pytest.param("desk.save", {"text": "x"}, "file", id="file-name"),
    ],
)
async def test_t39_a_secret_in_an_argument_is_found_in_every_spelling(
    gateway: Running, upstream: Desk, written: str, call: str, args: dict[str, str], into: str
) -> None:
    clerk = await gateway.agent(purpose=WORDS)
    value = f"https://a.example/x?q={written}" if into == "url" else written
    answered = await clerk.call(call, **args, **{into: value})
    assert answered.code == "policy.denied"
    assert upstream.calls == []
