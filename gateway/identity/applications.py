"""Applications: programs on people's own machines that act as an agent for whoever logs in.

An editor, a desktop assistant. Such a program can keep no secret (RFC 8252, section 8.5), so it
proves nothing about itself: what counts is that a person, logged in, agreed to it, and that the
answer can only be fetched where an operator said. Which agent of the policy it is, an operator
says too; an application never is an agent of its own making.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.identity import names, scopes
from gateway.identity.errors import NameInvalid, RedirectRefused, ScopeInvalid
from gateway.identity.redirects import Redirect
from gateway.identity.scopes import ALL, Scopes


@dataclass(frozen=True, slots=True)
class Application:
    """One registered application.

    id         its client id, which operators chose and people are shown
    agent      the agent that it acts as
    redirects  where people may be sent back to
    scopes     the most it may ask for; policy decides on each call besides
    """

    id: str
    agent: str
    redirects: tuple[Redirect, ...]
    scopes: Scopes = ALL

    def redirect(self, asked: str) -> Redirect | None:
        """The registered address that covers the one that is asked for."""
        return next((each for each in self.redirects if each.covers(asked)), None)


class Applications:
    """Every application, by its client id."""

    def __init__(self, *applications: Application) -> None:
        self._applications = {each.id: each for each in applications}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._applications)

    def get(self, client_id: str | None) -> Application | None:
        """The application of that id; None when there is none."""
        return None if client_id is None else self._applications.get(client_id)


NONE = Applications()
"""Where no application is registered."""


def _name(text: str) -> str:
    try:
        return names.agent(text)
    except NameInvalid as error:
        raise ValueError(str(error)) from error


def _redirect(text: str) -> str:
    try:
        return Redirect.parse(text).uri
    except RedirectRefused as error:
        raise ValueError(str(error)) from error


def _tools(patterns: list[str]) -> list[str]:
    try:
        scopes.parse(" ".join(patterns))
    except ScopeInvalid as error:
        raise ValueError(str(error)) from error
    return patterns


ApplicationName = Annotated[str, AfterValidator(_name)]


class ApplicationSpec(BaseModel):
    """An application as the deployment declares it.

    agent          the agent of the policy that it acts as
    redirect_uris  exactly where people may be sent back to
    tools          the most it may ask for
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    agent: Annotated[str, AfterValidator(_name)]
    redirect_uris: list[Annotated[str, AfterValidator(_redirect)]] = Field(min_length=1)
    tools: Annotated[list[str], AfterValidator(_tools)] = Field(
        default_factory=lambda: list(ALL), min_length=1
    )


def declared(specs: Mapping[str, ApplicationSpec]) -> Applications:
    """The applications of a deployment."""
    return Applications(
        *(
            Application(
                name,
                spec.agent,
                tuple(Redirect(uri) for uri in spec.redirect_uris),
                scopes.parse(" ".join(spec.tools)),
            )
            for name, spec in specs.items()
        )
    )
