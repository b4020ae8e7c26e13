"""The operators' API as the commands use it: one client, one credential, errors as exit codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.errors import Exit, stop
from gateway.errors import GatewayError
from gateway.identity import private_files

ADDRESS_FILE = "address.json"
KEY_FILE = "operator.key"
TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running gateway listens; `dev` and `serve` leave it in their home."""

    agents: str
    operators: str

    @classmethod
    def read(cls, home: Path) -> "Address":
        """Read what the gateway of this home wrote at its start, or end the command."""
        try:
            found = json.loads((home / ADDRESS_FILE).read_bytes())
            return cls(str(found["agents"]), str(found["operators"]))
        except (OSError, ValueError, KeyError, TypeError):
            stop(f"no gateway is running with home {home}: start `passavant dev` or pass --home")

    def write(self, home: Path) -> None:
        """Leave the address for commands that are given the same home."""
        text = json.dumps({"agents": self.agents, "operators": self.operators})
        (home / ADDRESS_FILE).write_text(text)


class Operators:
    """Requests to the operators' API with the key of this home."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, **query: str | int | None) -> Any:  # noqa: ANN401 - JSON
        """The parsed answer to a GET."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._answer("GET", path, params=given)

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The parsed answer to a POST."""
        return self._answer("POST", path, json=body if body is not None else {})

    def text(self, path: str) -> str:
        """An answer that is not JSON."""
        return self._request("GET", path).text

    def _answer(self, method: str, path: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        return self._request(method, path, **request).json()

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            stop(f"the gateway does not answer ({type(error).__name__})")
        if not answer.is_success:
            stop(*_complaint(answer))
        return answer


@contextmanager
def operators(home: Path) -> Iterator[Operators]:
    """A client for the gateway of this home, with the operator's key that lies there."""
    address = Address.read(home)
    try:
        key = private_files.read(home / KEY_FILE).decode().strip()
    except GatewayError as error:
        stop(str(error), Exit.AUTHENTICATION)
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(
        base_url=f"http://{address.operators}", headers=headers, timeout=TIMEOUT_S, trust_env=False
    ) as http:
        yield Operators(http)


def _complaint(answer: httpx.Response) -> tuple[str, Exit]:
    try:
        problem = answer.json()
        text = f"{problem['code']}: {problem['detail']}"
        text = "\n".join([text, *problem.get("findings", [])])
    except (ValueError, KeyError, TypeError):
        text = f"the gateway answered {answer.status_code}"
    code = {401: Exit.AUTHENTICATION, 403: Exit.DENIED}.get(answer.status_code, Exit.FAILED)
    return text, code
