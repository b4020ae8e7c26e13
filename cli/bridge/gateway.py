"""The gateway's side of the bridge: each message is one request, sent once.

What the gateway certainly did not act on is said again: with a fresh nonce, token or set of
mirrored headers, or after a handshake made anew where a restart forgot it. Everything else that
goes wrong is an error of that one message: nothing is sent again that may have acted.
"""

from dataclasses import dataclass

import httpx

from audit.canonical import Json
from cli.bridge import frames, mirror
from cli.bridge.credential import Credential, NoToken
from cli.bridge.frames import FAILED, MAX_BYTES, Frame, failure
from gateway.errors import NotUnderstood
from gateway.links import jsonrpc

MOST_PAGES = 64

_TRIES = 4  # a nonce, a token, a handshake or headers, and what was meant
_NOT_MIRRORED = -32020
_INITIALIZE = "initialize"
_FIRST_WITH_HEADER = "2025-06-18"
_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages go.

    url     to send to
    stated  the same as the gateway calls itself, which proofs of possession are about
    """

    url: str
    stated: str


@dataclass(frozen=True, slots=True)
class _Handshake:
    """How a session of the revisions before 2026-07-28 was begun, and what was agreed on."""

    opening: Frame
    session: str
    version: str


class Gateway:
    """One endpoint of a gateway, for one client."""

    def __init__(self, endpoint: Endpoint, credential: Credential, http: httpx.AsyncClient) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._http = http
        self._handshake: _Handshake | None = None
        self._marks: mirror.Marks | None = None

    async def ask(self, frame: Frame) -> bytes:
        """The line that answers a message; b"" for a notification."""
        try:
            response = await self._sent(frame)
            return b"" if frame.id is None else _line(response, frame.id)
        except httpx.HTTPError as error:
            said = f"the gateway does not answer ({type(error).__name__})"
        except NotUnderstood as error:
            said = f"the gateway answered what cannot be read: {error}"
        except NoToken:
            said = "the gateway issues no token; see what the bridge said"
        return b"" if frame.id is None else failure(frame.id, FAILED, said)

    async def _sent(self, frame: Frame) -> httpx.Response:
        """The answer, after whatever the gateway asked for first."""
        if frame.method == "tools/call" and self._marks is None:
            await self._learn(frame)
        response = await self._send(frame)
        for _ in range(_TRIES - 1):
            if not await self._mended(frame, response):
                break
            response = await self._send(frame)
        if frame.method == _INITIALIZE and response.is_success:
            self._begin(frame, response)
        return response

    async def _send(self, frame: Frame) -> httpx.Response:
        proven = await self._credential.headers("POST", self._endpoint.stated)
        fixed = {"content-type": "application/json", "accept": "application/json"}
        told = {**fixed, **self._era(frame), **proven}
        response = await self._http.post(self._endpoint.url, content=frame.raw, headers=told)
        self._credential.heard(response.headers.get("dpop-nonce"))
        return response

    def _era(self, frame: Frame) -> dict[str, str]:
        version = mirror.stated_version(frame)
        if version is not None:
            return mirror.headers(frame, version, self._marks or {})
        if self._handshake is None or frame.method == _INITIALIZE:
            return {}
        told = {"mcp-session-id": self._handshake.session}
        if self._handshake.version >= _FIRST_WITH_HEADER:
            told["mcp-protocol-version"] = self._handshake.version
        return told

    # -- what the gateway asks for before it acts

    async def _mended(self, frame: Frame, response: httpx.Response) -> bool:
        """Do what a refusal asks for; whether the message is to be sent again."""
        if response.status_code == httpx.codes.UNAUTHORIZED:
            if "use_dpop_nonce" not in response.headers.get("www-authenticate", ""):
                self._credential.refused()
            return True
        if response.is_success:
            return False
        error = _error(response)
        if error.get("code") == _NOT_MIRRORED:
            before, self._marks = self._marks, None
            await self._learn(frame)
            return self._marks != before
        data = error.get("data")
        is_forgotten = isinstance(data, dict) and data.get("code") == "request.session"
        return is_forgotten and await self._greet_again()

    async def _learn(self, frame: Frame) -> None:
        """List the tools, whose schemas say what of a call is repeated in headers."""
        version = mirror.stated_version(frame)
        if version is None:
            return
        self._marks, cursor = {}, None
        for _ in range(MOST_PAGES):
            asked = mirror.listing(frame, cursor)
            response = await self._sent(asked)
            if not response.is_success:
                return
            marks, cursor = mirror.read_marks(_result(response))
            self._marks = {**self._marks, **marks}
            if cursor is None:
                return

    async def _greet_again(self) -> bool:
        if self._handshake is None:
            return False
        opening, self._handshake = self._handshake.opening, None
        if not (await self._sent(opening)).is_success:
            return False
        await self._send(Frame(_INITIALIZED, "notifications/initialized", None, {}))
        return True

    def _begin(self, opening: Frame, response: httpx.Response) -> None:
        session = response.headers.get("mcp-session-id")
        agreed = _result(response).get("protocolVersion")
        if session is not None and isinstance(agreed, str):
            self._handshake = _Handshake(opening, session, agreed)


def _line(response: httpx.Response, asked: frames.Id) -> bytes:
    """What the client is told: the answer, or what the gateway says of why there is none."""
    kind = response.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return frames.answer(response.content, asked)
    problem = _object(response)
    detail, code = problem.get("detail"), problem.get("code")
    said = detail if isinstance(detail, str) else f"HTTP {response.status_code}"
    return failure(asked, FAILED, said, code if isinstance(code, str) else None)


def _object(response: httpx.Response) -> dict[str, Json]:
    try:
        value = jsonrpc.read(response.content, max_bytes=MAX_BYTES)
    except NotUnderstood:
        return {}
    return value if isinstance(value, dict) else {}


def _result(response: httpx.Response) -> dict[str, Json]:
    result = _object(response).get("result")
    return result if isinstance(result, dict) else {}


def _error(response: httpx.Response) -> dict[str, Json]:
    error = _object(response).get("error")
    return error if isinstance(error, dict) else {}
