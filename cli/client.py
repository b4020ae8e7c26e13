"""The operators' API as the commands use it: one client, one credential, errors as exit codes."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, Concatenate, ParamSpec
from urllib.parse import quote

import httpx

from cli.address import Address
from cli.errors import Exit, stop
from cli.interrupt import Stopping
from cli.options import DEFAULT_HOME, Home, KeyFile, Url
from gateway.errors import GatewayError
from gateway.identity import private_files
from gateway.notation import is_loopback

KEY_FILE = "operator.key"
TIMEOUT_S = 90.0
STREAM_S = 35.0

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Target:
    """Which gateway a command is for, and where the key lies that it uses there.

    url  of its operators' listener; None: the gateway that runs with `home`
    """

    home: Path
    url: str | None = None
    key_file: Path | None = None

    def base(self) -> str:
        """The URL of the operators' listener; ends the command where there is none to be used."""
        if self.url is None:
            return f"http://{Address.read(self.home).operators}"
        if not self.url.startswith("https://") and not is_loopback(self.url):
            stop("--url must be https: your key would cross the network in the clear", Exit.USAGE)
        return self.url.rstrip("/")

    def key(self) -> str:
        """The operator's key; ends the command where there is none."""
        if self.url is not None and self.key_file is None:
            stop("--url needs --key-file: the key of a home is no key elsewhere", Exit.USAGE)
        try:
            return private_files.read(self.key_file or self.home / KEY_FILE).decode().strip()
        except (GatewayError, UnicodeDecodeError) as error:
            stop(f"no operator's key: {error}", Exit.AUTHENTICATION)


class Broken(Exception):
    """An answer that goes on has ended too early; asked again it may go on."""


class Operators:
    """Requests to the operators' API of one gateway; nothing is opened before the first."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def get(self, path: str, **query: str | int | None) -> Any:  # noqa: ANN401 - JSON
        """The parsed answer to a GET."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._parsed(self._request("GET", path, params=given))

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The parsed answer to a POST."""
        return self._parsed(self._request("POST", path, json=body if body is not None else {}))

    def text(self, path: str) -> str:
        """An answer that is not JSON."""
        return self._request("GET", path).text

    @contextmanager
    def stream(self, path: str, stopping: Stopping, **headers: str) -> Iterator[Iterator[str]]:
        """The lines of an answer that goes on, until it ends or the user wants no more.

        Raises Broken when the gateway is away, is silent for longer than its beats are apart, or
        ends its answer in the middle; a refusal ends the command.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with self._http.stream("GET", path, headers=given, timeout=STREAM_S) as answer:
                if not answer.is_success:
                    answer.read()
                    stop(*_complaint(answer))
                stopping.cuts(partial(_cut, answer.extensions["network_stream"]))
                yield answer.iter_lines()
        except httpx.HTTPError as error:
            raise Broken(type(error).__name__) from error

    @contextmanager
    def download(self, path: str, body: object) -> Iterator[Iterator[bytes]]:
        """The bytes of a long answer to a POST.

        Raises Broken when it ends too early; a refusal ends the command.
        """
        try:
            with self._http.stream("POST", path, json=body) as answer:
                if not answer.is_success:
                    answer.read()
                    stop(*_complaint(answer))
                yield answer.iter_bytes()
        except httpx.HTTPError as error:
            raise Broken(type(error).__name__) from error

    def agents_url(self) -> str:
        """Where the agents of this gateway call."""
        if self.target.url is None:
            return f"http://{Address.read(self.target.home).agents}"
        return str(self.get("/api/status")["public_url"])

    def close(self) -> None:
        """Close what was opened."""
        if "_http" in self.__dict__:
            self._http.close()

    @cached_property
    def _http(self) -> httpx.Client:
        base, key = self.target.base(), self.target.key()
        headers = {"authorization": f"Bearer {key}"}
        # Nothing of the environment may send the key another way.
        return httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            answer = self._http.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            stop(f"the gateway does not answer ({type(error).__name__})")
        if not answer.is_success:
            stop(*_complaint(answer))
        return answer

    @staticmethod
    def _parsed(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        try:
            return answer.json()
        except ValueError:
            stop("what answers there is no operators' listener of Passavant")


def quoted(name: str) -> str:
    """A name as one part of a path, whatever somebody typed."""
    return quote(name, safe="")


def operated(command: Callable[Concatenate[Operators, P], None]) -> Callable[..., None]:
    """Give a command the options that say which gateway it is for, and hand it a client."""

    @wraps(command)
    def run(home: Path, url: str | None, key_file: Path | None, **given: Any) -> None:  # noqa: ANN401 - the command's own
        with closing(Operators(Target(home, url, key_file))) as api:
            command(api, **given)  # type: ignore[call-arg]  # typer passes them by name

    own = list(signature(command).parameters.values())[1:]
    shown = [*(each.replace(kind=Parameter.KEYWORD_ONLY) for each in own), *_TARGET]
    # typer reads both.
    run.__signature__ = Signature(shown)  # type: ignore[attr-defined]  # any function may have one
    run.__annotations__ = {each.name: each.annotation for each in shown}
    return run


_TARGET = (
    Parameter("home", Parameter.KEYWORD_ONLY, default=DEFAULT_HOME, annotation=Home),
    Parameter("url", Parameter.KEYWORD_ONLY, default=None, annotation=Url),
    Parameter("key_file", Parameter.KEYWORD_ONLY, default=None, annotation=KeyFile),
)


def _cut(stream: Any) -> None:  # noqa: ANN401 - httpcore's, which httpx does not name
    """Let whoever reads find the end of the answer."""
    with suppress(OSError):
        stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _complaint(answer: httpx.Response) -> tuple[str, Exit]:
    try:
        problem = answer.json()
        text = f"{problem['code']}: {problem['detail']}"
        text = "\n".join([text, *problem.get("findings", [])])
    except (ValueError, KeyError, TypeError):
        text = f"the gateway answered {answer.status_code}"
    code = {401: Exit.AUTHENTICATION, 403: Exit.DENIED}.get(answer.status_code, Exit.FAILED)
    return text, code
