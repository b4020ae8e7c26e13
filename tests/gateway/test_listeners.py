import asyncio

import httpx
import pytest

from gateway.faces.http import Receive, Scope, Send
from gateway.listeners import address_of, bind, serving


class App:
    """Answers every request, when it is let."""

    def __init__(self) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture(autouse=True)
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.listeners._TICK_S", 3600.0)


async def test_it_ends_without_looking_at_the_clock() -> None:
    listener = bind("127.0.0.1:0")
    async with serving(App(), listener):
        pass
    assert listener.fileno() == -1


async def test_nobody_is_let_in_after_the_end() -> None:
    listener = bind("127.0.0.1:0")
    host, _, port = address_of(listener).rpartition(":")
    async with serving(App(), listener):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_an_answer_under_way_is_finished() -> None:
    app, listener = App(), bind("127.0.0.1:0")
    url = f"http://{address_of(listener)}/"
    async with httpx.AsyncClient(trust_env=False) as http:
        async with serving(app, listener):
            answer = asyncio.create_task(http.get(url))
            await app.asked.wait()
            asyncio.get_running_loop().call_later(0.01, app.go_on.set)
        assert (await answer).text == "done"


async def test_who_is_connected_and_asks_nothing_is_not_waited_for() -> None:
    app, listener = App(), bind("127.0.0.1:0")
    app.go_on.set()
    async with httpx.AsyncClient(trust_env=False) as http:
        async with serving(app, listener):
            answer = await http.get(f"http://{address_of(listener)}/")
        assert answer.status_code == 200


async def test_answers_carry_the_time() -> None:
    app, listener = App(), bind("127.0.0.1:0")
    app.go_on.set()
    async with httpx.AsyncClient(trust_env=False) as http, serving(app, listener):
        answer = await http.get(f"http://{address_of(listener)}/")
    assert answer.headers["date"].endswith("GMT")
