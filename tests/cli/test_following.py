"""Following a run across what breaks off, against a server that breaks off where it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer

from cli import following
from cli.client import Operators, Target
from cli.following import Event, follow
from cli.interrupt import Stopping

STEP = 'id: 7\nevent: step\ndata: {"path": "1:draft", "status": "done"}\n\n'
GOES_ON = 'event: run\ndata: {"state": "running"}\n\n'
ENDED = 'event: run\ndata: {"state": "ended", "result": "done"}\n\n'


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its parts, and breaks off there."""

    daemon_threads = True

    def __init__(self, parts: list[str | int], *, hold: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.parts, self.hold = parts, hold
        self.heard: list[str | None] = []
        self.let_go = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.heard.append(self.headers["last-event-id"])
        part = self.server.parts.pop(0)
        if isinstance(part, int):
            self.send_error(part)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(part.encode())
        self.wfile.flush()
        if self.server.hold:
            self.server.let_go.wait(20)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def serving(*parts: str | int, hold: bool = False) -> Iterator[Server]:
    server = Server(list(parts), hold=hold)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(following, "AGAIN_S", 0.01)
    file = tmp_path / "operator.key"
    file.write_text("key")
    file.chmod(0o600)
    return file


def api(server: Server, key: Path) -> Operators:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return Operators(Target(key.parent, url, key))


def test_what_broke_off_goes_on_behind_what_was_heard(key: Path) -> None:
    with serving(STEP, "retry: 1\n\n", ENDED) as server, closing(api(server, key)) as found:
        events = list(follow(found, "r", Stopping()))
    assert server.heard == ["", "7", "7"]
    assert [event.kind for event in events] == ["step", "run"]


def test_half_an_event_is_none(key: Path) -> None:
    half = STEP.partition("status")[0]
    with serving(half, STEP, ENDED) as server, closing(api(server, key)) as found:
        events = list(follow(found, "r", Stopping()))
    assert server.heard == ["", "", "7"]
    assert [event.kind for event in events] == ["step", "run"]


def test_a_refusal_is_not_asked_again(key: Path) -> None:
    with (
        serving(404) as server,
        closing(api(server, key)) as found,
        pytest.raises(typer.Exit),
    ):
        list(follow(found, "r", Stopping()))
    assert len(server.heard) == 1


def test_a_gateway_that_stays_away_is_given_up(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_AWAY_S", 0.03)
    with serving() as server:
        gone = api(server, key)
    with closing(gone), pytest.raises(typer.Exit):
        list(follow(gone, "r", Stopping()))


def test_somebody_who_has_seen_enough_need_not_wait_for_the_next_event(key: Path) -> None:
    stopping = Stopping()
    heard: list[Event] = []
    with serving(GOES_ON, hold=True) as server, closing(api(server, key)) as found:
        for event in follow(found, "r", stopping):
            heard.append(event)
            stopping.ask()  # as the signal does, which comes in the middle of a read
    assert [json.loads(json.dumps(event.data)) for event in heard] == [{"state": "running"}]
    assert len(server.heard) == 1
