"""T19: letters that look alike open nothing, and hide nothing from a denial."""

import json

import pytest

from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = (
    HEAD
    + """\
tools:
  desk.send: {risk: write, emits: []}
  desk.publish: {risk: write, emits: []}
  desk.wipe: {risk: write, emits: []}
rules:
  - id: sends
    roles: [clerk]
    tools: [desk.send]
    effect: allow
    when: "args.to in ['alice@example.com', 'zoë@example.com']"
  - {id: publishes, roles: [clerk], tools: [desk.publish], effect: allow}
  - id: no-word
    roles: [clerk]
    tools: [desk.publish]
    effect: deny
    when: "args.text.contains('secret')"
  - id: wipes
    roles: [clerk]
    tools: [desk.wipe]
    effect: allow
    when: "args.what != 'ledger' && !args.what.startsWith('audit')"
"""
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "to",
    [
        pytest.param("\uff41lice@example.com", id="full-width"),
        pytest.param("\u0430lice@example.com", id="cyrillic"),
        pytest.param("al\u0456ce@example.com", id="cyrillic-in-the-middle"),
        pytest.param("alice@ex\u0430mple.com", id="cyrillic-host"),
        pytest.param("alice@example\u3002com", id="ideographic-stop"),
        pytest.param("al\u200bice@example.com", id="zero-width-space"),
        pytest.param("alice@example.com\u200b", id="zero-width-at-the-end"),
        pytest.param("\ufeffalice@example.com", id="byte-order-mark"),
        pytest.param("al\u00adice@example.com", id="soft-hyphen"),
        pytest.param("\u202emoc.elpmaxe@ecila", id="right-to-left"),
        pytest.param("alice\u2066@example.com", id="isolate"),
        pytest.param("ALICE@EXAMPLE.COM", id="other-case"),
        pytest.param("al\u0131ce@example.com", id="dotless-i"),
        pytest.param("alice@example.com\n", id="line-end"),
        pytest.param("alice@example.com\x00", id="nul"),
        pytest.param("alice@example.com ", id="blank"),
        pytest.param("zoe\u0308@example.com", id="decomposed"),
        pytest.param("zoe@example.com", id="without-its-mark"),
        pytest.param("\U000e0061alice@example.com", id="tag"),
        pytest.param("𝐚lice@example.com", id="mathematical"),
    ],
)
async def test_t19_a_look_alike_of_an_allowed_recipient_is_not_allowed(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, to: str
) -> None:
    answered = await clerk.by(way).call("desk.send", to=to)
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    assert gateway.entry(answered.entry)["decision"]["effect"] == "deny"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("to", ["alice@example.com", "zoë@example.com"])
async def test_t19_the_recipient_itself_is_allowed(
    upstream: Desk, clerk: Agent, way: str, to: str
) -> None:
    assert (await clerk.by(way).call("desk.send", to=to)).done
    assert [call.args for call in upstream.calls] == [{"to": to}]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("the secret plan", id="plain"),
        pytest.param("the SECRET plan", id="other-case"),
        pytest.param("the sec\u200bret plan", id="zero-width-space"),
        pytest.param("the s\u2060ecret plan", id="word-joiner"),
        pytest.param("the sec\u00adret plan", id="soft-hyphen"),
        pytest.param("the s\u0435cret plan", id="cyrillic"),
        pytest.param("the \uff53\uff45\uff43\uff52\uff45\uff54 plan", id="full-width"),
        pytest.param("the 𝓼𝓮𝓬𝓻𝓮𝓽 plan", id="mathematical"),
        pytest.param("the sec\u202eret plan", id="right-to-left"),
        pytest.param("the ſecret plan", id="long-s"),
        pytest.param("secret\x00", id="nul-behind"),
        pytest.param("a\nsec\u200dret\nb", id="joiner-on-a-line-of-its-own"),
        pytest.param("the sec\ufe0fret plan", id="variation-selector"),
        pytest.param("the se\U000e0063cret plan", id="tag"),
    ],
)
async def test_t19_a_denied_word_stays_denied_however_it_is_dressed(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, text: str
) -> None:
    answered = await clerk.by(way).call("desk.publish", text=text)
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    assert gateway.entry(answered.entry)["decision"]["rules"] == ["no-word"]


@pytest.mark.parametrize("text", ["good morning", "Grüße, 世界 👋", "שלום", "zwei\nZeilen"])
async def test_t19_innocent_words_of_any_language_pass(
    upstream: Desk, clerk: Agent, text: str
) -> None:
    assert (await clerk.call("desk.publish", text=text)).done
    assert [call.args for call in upstream.calls] == [{"text": text}]


@pytest.mark.parametrize(
    "what",
    [
        "ledger",
        "LEDGER",
        "l\u0435dger",
        "led\u200bger",
        "\uff4cedger",
        "audit/log",
        "Audit",
        "a\u200budit",
    ],
    ids=json.dumps,
)
async def test_t19_what_an_allow_excepts_stays_excepted_however_it_is_dressed(
    upstream: Desk, clerk: Agent, what: str
) -> None:
    assert (await clerk.call("desk.wipe", what=what)).code == "policy.denied"
    assert upstream.calls == []
    assert (await clerk.call("desk.wipe", what="scratch")).done


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name",
    [
        "desk.s\u0435nd",
        "desk.\uff53end",
        "desk.se\u200bnd",
        "desk.Send",
        "desk.SEND",
        "desk.send ",
        "DESK.send",
        "d\u0435sk.send",
    ],
    ids=json.dumps,
)
async def test_t19_a_look_alike_of_a_tools_name_is_no_tool(
    upstream: Desk, clerk: Agent, way: str, name: str
) -> None:
    agent = clerk.by(way)
    await agent.names()
    answered = await agent.call(name, to="alice@example.com")
    assert not answered.done
    assert answered.code in {"policy.denied", "request.path", "request.mismatch"}
    assert upstream.calls == []
