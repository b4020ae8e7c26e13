import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.diagnostics import Level, begin_request, configure
from gateway.redaction import REDACTED, WITHHELD, Redaction

PLANTED = "Planted-7f3a"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), structlog.get_config())
    yield
    logging.captureWarnings(capture=False)
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    structlog.configure(**before[2])
    structlog.contextvars.clear_contextvars()


def said(level: Level = "info") -> "Heard":
    heard = Heard()
    configure(level=level, redaction=Redaction([PLANTED]), stream=heard)
    return heard


class Heard(io.StringIO):
    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def test_an_event_is_one_json_object_a_line() -> None:
    heard = said()
    structlog.get_logger("gateway.gate").info("call.denied", rule="pay-small")
    (line,) = heard.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call.denied",
        "rule": "pay-small",
        "level": "info",
        "logger": "gateway.gate",
    }


def test_a_line_cannot_be_forged() -> None:
    heard = said()
    structlog.get_logger().info("tool.left_out", tool='x"}\n{"event": "forged\x1b[2J\u2028\ud800')
    assert len(heard.getvalue().splitlines()) == 1
    assert heard.getvalue().isascii()


def test_events_below_the_level_are_not_said() -> None:
    heard = said("warning")
    structlog.get_logger().info("link.up")
    structlog.get_logger().warning("link.down")
    assert [line["event"] for line in heard.lines] == ["link.down"]


def test_loggers_made_before_obey_too() -> None:
    early = structlog.get_logger("early")
    heard = said()
    early.info("first")
    again = said()
    early.info("second")
    assert [line["event"] for line in heard.lines] == ["first"]
    assert [line["event"] for line in again.lines] == ["second"]


async def test_each_task_names_its_own_request() -> None:
    heard = said()

    async def serve(request: str) -> None:
        begin_request(request)
        await asyncio.sleep(0)
        structlog.get_logger().info("done")

    await asyncio.gather(*(asyncio.create_task(serve(f"r{n}")) for n in range(3)))
    structlog.get_logger().info("done")
    assert [line.get("request") for line in heard.lines] == ["r0", "r1", "r2", None]


@pytest.mark.parametrize(
    "members",
    [
        {"why": f"upstream said {PLANTED}"},
        {"why": f"Bearer {JWT}"},
        {"token": JWT},
        {"args": {"note": JWT}},
        {"nested": [{"password": JWT}]},
        {JWT: 1},
        {"error": ValueError(JWT)},
        {"raw": JWT.encode()},
    ],
)
def test_no_planted_secret_is_said(members: dict[str, Any]) -> None:
    heard = said()
    structlog.get_logger().info("tried", **members)
    structlog.get_logger().info(f"tried {PLANTED} {JWT}")
    assert len(heard.lines) == 2
    assert PLANTED not in heard.getvalue()
    assert JWT not in heard.getvalue()


def test_an_exception_is_said_without_its_words() -> None:
    heard = said()
    error = ValueError(f"args were {{'to': '{JWT}'}}")
    structlog.get_logger().error("face.failed", exc_info=error)
    (line,) = heard.lines
    assert line["level"] == "error"
    assert line["error"]["type"] == "builtins.ValueError"
    assert "args were" not in heard.getvalue()


def test_other_libraries_speak_through_the_same_chain() -> None:
    heard = said("debug")
    logging.getLogger("mcp.server").warning("handler for %r raised", JWT)
    (line,) = heard.lines
    assert line["logger"] == "mcp.server"
    assert line["text"] == "handler for %r raised"
    assert line["place"].startswith("test_diagnostics:")


@pytest.mark.parametrize("name", ["sqlalchemy.engine", "mcp.client", "httpx", "asyncio"])
def test_what_a_library_has_filled_in_is_withheld(name: str) -> None:
    heard = said()
    message = f"Message was: {{'to': '{PLANTED}-account'}}"
    logging.getLogger(name).error(message)
    assert heard.lines[0]["text"] == WITHHELD


def test_a_library_is_not_heard_below_warning() -> None:
    heard = said("debug")
    logging.getLogger("sqlalchemy.engine").info("INSERT INTO state VALUES (...)")
    assert heard.lines == []


def test_what_the_server_says_of_itself_is_shown() -> None:
    heard = said()
    logging.getLogger("uvicorn.error").error("cannot bind %s (token=%s)", "127.0.0.1:7300", JWT)
    assert heard.lines[0]["text"] == f"cannot bind 127.0.0.1:7300 ({REDACTED}"


def test_an_exception_of_a_library_is_said_without_its_words() -> None:
    heard = said()
    logging.getLogger("uvicorn.error").error("Exception in ASGI app", exc_info=RuntimeError(JWT))
    assert heard.lines[0]["error"]["type"] == "builtins.RuntimeError"
    assert JWT not in heard.getvalue()


def test_levels_between_the_known_ones_are_heard() -> None:
    heard = said()
    logging.getLogger("other").log(35, "odd %s", "x")
    assert heard.lines[0]["level"] == "warning"


def test_python_warnings_come_as_lines_too() -> None:
    heard = said()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("old", DeprecationWarning, "x.py", 1)
    assert "DeprecationWarning" in heard.lines[0]["text"]


@pytest.mark.parametrize("failure", [BrokenPipeError(), ValueError("closed"), OSError(28, "full")])
def test_a_stream_that_is_gone_breaks_nothing(failure: Exception) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise failure

    configure(level="info", redaction=Redaction(), stream=Gone())
    structlog.get_logger().error("outcome.lost")
    logging.getLogger("uvicorn").error("worse")


def test_a_message_that_cannot_be_made_breaks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    said()
    logging.getLogger("uvicorn").error("%d", "no number")
    assert json.loads(capsys.readouterr().err) == {"event": "diagnostics.failed"}
