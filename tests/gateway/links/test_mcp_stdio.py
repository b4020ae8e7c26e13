import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from audit.canonical import Json
from gateway.errors import (
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    LinkTimeout,
    ToolChanged,
)
from gateway.known_secrets import KnownSecrets
from gateway.links import mcp_stdio, process
from gateway.links.masking import MASK, Masks
from gateway.links.mcp import McpLink
from gateway.links.mcp_stdio import StdioTransport
from gateway.links.process import Command
from tests.gateway.links.conftest import up
from tests.gateway.links.http_upstream import eventually, permit
from tests.gateway.links.stdio_server import TOOL

SERVER = str(Path(__file__).with_name("stdio_server.py"))

Start = Callable[..., Awaitable[McpLink]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the scripted server and waits until the link to it is up."""
    links: list[McpLink] = []

    async def start(
        era: str = "modern",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        secrets: tuple[str, ...] = (),
    ) -> McpLink:
        argv = (sys.executable, "-I", "-S", SERVER, era, str(tmp_path / "heard"))
        link = _link(Command(argv, env or {}, cwd), Masks(KnownSecrets(secrets)))
        links.append(link)
        await up(link)
        return link

    yield start
    for link in links:
        await link.close()


def _link(command: Command, masks: Masks) -> McpLink:
    async def connect(on_change: Callable[[], None]) -> StdioTransport:
        return StdioTransport("s", command, on_change, masks)

    return McpLink("s", connect, masks=masks, backoff=(0.01,))


@pytest.fixture
def heard(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()]


async def do(link: McpLink, what: str, timeout_s: float = 10, **arguments: Json) -> Any:  # noqa: ANN401 - whatever the test asked for
    """Call the server's one tool; the value that its answer tells."""
    raw = json.dumps({"do": what, **arguments}).encode()
    result: Any = (await link.call(permit(TOOL, raw), timeout_s=timeout_s)).result
    return json.loads(result["content"][0]["text"])


def pid(link: McpLink) -> int:
    assert link._conversation is not None
    transport = link._conversation.transport
    assert isinstance(transport, StdioTransport)
    assert transport.process.pid is not None
    return transport.process.pid


async def restarted(link: McpLink, before: int) -> None:
    """Wait until another process than that answers."""
    await eventually(lambda: link.state == "up" and pid(link) != before)


def alive(number: int) -> bool:
    """Whether it runs; a zombie, which nobody has asked about yet, does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_both_eras_are_spoken_to(
    era: str, start: Start, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    link = await start(era)
    assert await do(link, "echo", x="\u00e9") == {"do": "echo", "x": "\u00e9"}
    call = heard()[-1]
    assert call["params"]["arguments"] == {"do": "echo", "x": "\u00e9"}
    assert ("_meta" in call["params"]) == (era == "modern")


async def test_the_environment_is_what_was_configured(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "hunter2")
    link = await start(env={"PATH": "/usr/bin:/bin", "A": "1"})
    environment = await do(link, "environment")
    environment.pop("LC_CTYPE", None)  # the interpreter sets it itself where there is no locale
    assert environment == {"PATH": "/usr/bin:/bin", "A": "1"}


async def test_arguments_are_no_shell_command(start: Start, tmp_path: Path) -> None:
    link = await start()
    await do(link, "echo", x=f"; touch {tmp_path}/made", y=f"$(touch {tmp_path}/made)")
    assert not (tmp_path / "made").exists()


async def test_the_process_leads_a_group_of_its_own(start: Start, tmp_path: Path) -> None:
    link = await start(cwd=tmp_path)
    leader, group, folder = await do(link, "process")
    assert leader == group == pid(link) != os.getpgid(0)
    assert folder == str(tmp_path)


async def test_one_process_serves_many_calls_at_once(start: Start) -> None:
    link = await start()
    values = await asyncio.gather(*(do(link, "echo", n=n) for n in range(50)))
    assert [value["n"] for value in values] == list(range(50))
    assert {(await do(link, "process"))[0] for _ in range(3)} == {pid(link)}


# -- how it ends ----------------------------------------------------------------------------


async def test_calls_under_which_the_process_dies_are_unknown_and_not_repeated(
    start: Start, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    link = await start()
    before = pid(link)
    waiting = asyncio.create_task(do(link, "wait"))
    await do(link, "echo")
    with pytest.raises(LinkLost) as caught:
        await do(link, "die")
    assert (caught.value.code, caught.value.acted) == ("upstream.unknown_outcome", None)
    with pytest.raises(LinkLost):
        await waiting
    await restarted(link, before)
    assert (await do(link, "echo"))["do"] == "echo"
    sent = [
        message["params"]["arguments"]["do"] for message in heard() if "arguments" in str(message)
    ]
    assert sorted(sent) == ["die", "echo", "echo", "wait"]


async def test_while_it_is_down_nothing_is_sent(start: Start) -> None:
    link = await start()
    link._backoff = (60,)
    with pytest.raises(LinkLost):
        await do(link, "die")
    await eventually(lambda: link.state == "down")
    with pytest.raises(LinkDown) as caught:
        await do(link, "echo")
    assert caught.value.acted is False


async def test_an_answer_that_was_written_before_the_end_still_counts(start: Start) -> None:
    link = await start()
    assert await do(link, "last_words") == "last"


async def test_closing_the_link_ends_the_process_and_what_it_started(start: Start) -> None:
    link = await start()
    leader, child = pid(link), await do(link, "linger")
    assert alive(leader)
    assert alive(child)
    await link.close()
    assert not alive(leader)
    await eventually(lambda: not alive(child))


async def test_a_process_that_dies_leaves_no_child_behind(start: Start) -> None:
    link = await start()
    child = await do(link, "linger")
    with pytest.raises(LinkLost):
        await do(link, "die")
    await eventually(lambda: not alive(child))


async def test_a_process_that_ignores_its_end_is_killed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    link = await start()
    leader = pid(link)
    await do(link, "deaf")
    await link.close()
    assert not alive(leader)


@pytest.mark.skipif(sys.platform != "linux", reason="the signal on a parent's end is Linux's")
async def test_the_process_ends_when_the_gateway_is_killed() -> None:
    program = """
        import asyncio
        from gateway.known_secrets import KnownSecrets
        from gateway.links.masking import Masks
        from gateway.links.mcp_stdio import StdioTransport
        from gateway.links.process import Command

        async def main():
            argv = ("/bin/sleep", "600")
            transport = StdioTransport(
                "s", Command(argv, {}), lambda: None, Masks(KnownSecrets())
            )
            await transport.open()
            print(transport.process.pid, flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """
    gateway = subprocess.Popen(  # noqa: ASYNC220 - two lines are read of it
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )
    assert gateway.stdout is not None
    with gateway.stdout as lines:
        server = next(int(line) for line in lines if line.strip().isdecimal())
        await eventually(lambda: b"sleep" in Path(f"/proc/{server}/cmdline").read_bytes())
        gateway.send_signal(signal.SIGKILL)
        gateway.wait()
    await eventually(lambda: not alive(server))


async def test_a_program_that_does_not_exist_keeps_the_link_down() -> None:
    command = Command(("/nonexistent/server",), {})
    link = _link(command, Masks(KnownSecrets()))
    link._backoff = (60,)
    with structlog.testing.capture_logs() as logs:
        await link.start()
        await eventually(lambda: link.trouble is not None)
    assert link.state == "down"
    assert any("/nonexistent/server" in str(entry.get("text")) for entry in logs)
    await link.close()


# -- what comes out of it -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"jsonrpc":"2.0","id":ID,"result":', id="half"),
        pytest.param('{"jsonrpc":"2.0","id":ID,"id":ID,"result":{}}', id="duplicate"),
        pytest.param('{"jsonrpc":"2.0","id":ID,"result":{"content":["\xff"]}}', id="utf-8"),
        pytest.param('{"jsonrpc":"2.0","id":99999,"result":{"content":[]}}', id="wrong-id"),
        pytest.param('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}', id="answered-id"),
        pytest.param(
            '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}', id="no-id"
        ),
        pytest.param('{"jsonrpc":"2.0","id":"ID","result":{"content":[]}}', id="id-as-text"),
        pytest.param('{"jsonrpc":"2.0","id":true,"result":{"content":[]}}', id="id-as-boolean"),
        pytest.param('{"jsonrpc":"2.0","id":ID,"result":[]}', id="result-no-object"),
        pytest.param('{"id":ID,"result":{"content":[]}}', id="no-version"),
        pytest.param("{" + '"a":{' * 100, id="deep"),
    ],
)
async def test_garbage_ends_the_process_and_every_call_that_waits(text: str, start: Start) -> None:
    link = await start()
    before = pid(link)
    other = asyncio.create_task(do(link, "wait"))
    with pytest.raises(LinkGarbage) as caught:
        await do(link, "raw", text=text)
    assert caught.value.acted is None
    with pytest.raises(LinkGarbage):
        await other
    await restarted(link, before)


async def test_a_call_with_a_result_that_is_none_is_refused_alone(start: Start) -> None:
    link = await start()
    before = pid(link)
    with pytest.raises(LinkGarbage):
        await do(link, "raw", text='{"jsonrpc":"2.0","id":ID,"result":{"content":1}}')
    assert (await do(link, "process"))[0] == before


async def test_an_answer_given_twice_ends_the_process(start: Start) -> None:
    link = await start()
    before = pid(link)
    line = '{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"1"}]}}\n'
    assert await do(link, "raw", text=line, times=2) == 1
    await restarted(link, before)


async def test_a_line_without_end_is_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_stdio, "MAX_MESSAGE", 10_000)
    link = await start()
    with pytest.raises(LinkGarbage, match="10000 bytes"):
        await do(link, "raw", text="{" + "x" * 1000, times=100)


async def test_a_server_may_print_a_little_beside_its_answers(start: Start) -> None:
    link = await start()
    assert await do(link, "print", lines=["Listening on stdio", "", "[1,2]", "42"]) == "after"


@pytest.mark.parametrize(
    "method", ["notifications/message", "notifications/tools/list_changed", "notifications/x"]
)
async def test_a_flood_of_notices_ends_the_process(method: str, start: Start) -> None:
    link = await start()
    with pytest.raises(LinkGarbage, match="unasked"):
        await do(link, "flood", times=5000, method=method)


async def test_a_few_notices_are_no_flood_and_changed_tools_are_told(start: Start) -> None:
    link = await start()
    told = asyncio.Event()
    link.on_change = lambda _name: told.set()
    assert await do(link, "flood", times=20, method="notifications/tools/list_changed") == "after"
    await asyncio.wait_for(told.wait(), 5)


@pytest.mark.parametrize(
    "method", ["sampling/createMessage", "elicitation/create", "roots/list", "x/y"]
)
async def test_what_a_server_asks_of_us_is_refused(method: str, start: Start) -> None:
    link = await start("legacy")
    said = await do(link, "ask", method=method)
    assert (said["id"], said["error"]["code"]) == ("q", -32601)


async def test_a_ping_is_answered(start: Start) -> None:
    link = await start("legacy")
    assert await do(link, "ask", method="ping") == {"jsonrpc": "2.0", "id": "q", "result": {}}


async def test_what_it_complains_about_is_logged_without_secrets(start: Start) -> None:
    with structlog.testing.capture_logs() as logs:
        link = await start(env={"TOKEN": "hunter2"}, secrets=("hunter2",))
        await do(link, "complain", text="token \x1b[31mhunter2\x07 is bad")
    texts = [entry["text"] for entry in logs if entry["event"] == "server.stderr"]
    assert texts == [f"token ?[31m{MASK}? is bad"]
    assert "hunter2" not in repr(logs)
    assert "hunter2" not in repr(Command(("x",), {"TOKEN": "hunter2"}))


async def test_a_flood_of_complaints_is_drained_and_bounded(start: Start) -> None:
    with structlog.testing.capture_logs() as logs:
        link = await start()
        assert await do(link, "complain", text="x" * 99 + "\n", times=20_000) == "after"
        assert await do(link, "complain", text="y" * 5000) == "after"
    assert len(logs) < 2000
    assert max(len(str(entry.get("text", ""))) for entry in logs) <= 1000


# -- patience -------------------------------------------------------------------------------


async def test_a_call_without_answer_is_given_up_and_cancelled(
    start: Start, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    link = await start()
    with pytest.raises(LinkTimeout) as caught:
        await do(link, "wait", timeout_s=0.05)
    assert caught.value.acted is None
    await do(link, "echo")
    call, cancelled = heard()[-3:-1]
    assert cancelled["method"] == "notifications/cancelled"
    assert cancelled["params"]["requestId"] == call["id"]


async def test_a_late_answer_is_dropped(start: Start) -> None:
    link = await start()
    before = pid(link)
    with pytest.raises(LinkTimeout):
        await do(link, "complain", timeout_s=0.02, text="", s=0.2)
    assert (await do(link, "process"))[0] == before


async def test_a_cancelled_call_leaves_the_link_usable(start: Start) -> None:
    link = await start()
    waiting = asyncio.create_task(do(link, "wait"))
    await do(link, "echo")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await do(link, "echo"))["do"] == "echo"


async def test_a_process_that_does_not_read_is_not_fed_without_end(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_MAX_UNSENT", 1 << 20)
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    link = await start()
    await do(link, "deaf")
    errors: list[LinkError] = []
    for _ in range(5):
        try:
            await do(link, "echo", timeout_s=0.02, x="x" * (1 << 19))
        except LinkError as error:
            errors.append(error)
    assert isinstance(errors[0], LinkTimeout)
    assert isinstance(errors[-1], LinkDown)
    assert errors[-1].acted is False
    await link.close()


async def test_a_tool_it_does_not_list_is_not_called(start: Start) -> None:
    link = await start()
    with pytest.raises(ToolChanged):
        await link.call(permit({"name": "other"}), timeout_s=5)
    with pytest.raises(ToolChanged):
        await link.call(permit({**TOOL, "title": "other"}), timeout_s=5)
