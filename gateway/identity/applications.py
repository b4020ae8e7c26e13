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

from gateway.errors import AddressRefused
from gateway.identity import names, scopes
from gateway.identity.errors import NameInvalid, RedirectRefused, ScopeInvalid
from gateway.identity.redirects import Redirect
from gateway.identity.scopes import ALL, Scopes
from gateway.links.address import Destination


@dataclass(frozen=True, slots=True)
class Application:
    """One registered application.

    id         its client id, which operators chose and people are shown: a name, or the address
               of a document in which it says itself where people may be sent back to
    agent      the agent that it acts as
    redirects  where people may be sent back to
    scopes     the most it may ask for; policy decides on each call besides
    """

    id: str
    agent: str
    redirects: tuple[Redirect, ...] = ()
    scopes: Scopes = ALL

    @property
    def is_a_document(self) -> bool:
        """Whether it speaks for itself, at the address that is its client id."""
        return is_address(self.id)

    def redirect(self, asked: str) -> Redirect | None:
        """The registered address that covers the one that is asked for."""
        return next((each for each in self.redirects if each.covers(asked)), None)


def is_address(client_id: str) -> bool:
    """Whether a client id is the address of a document, and no name."""
    return client_id.startswith(("https://", "http://"))


class Applications:
    """Every application, by its client id."""

    def __init__(self, *applications: Application) -> None:
        self._applications = {each.id: each for each in applications}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._applications)

    @property
    def any_document(self) -> bool:
        """Whether any speaks for itself."""
        return any(each.is_a_document for each in self._applications.values())

    def get(self, client_id: str | None) -> Application | None:
        """The application of that id; None when there is none."""
        return None if client_id is None else self._applications.get(client_id)


NONE = Applications()
"""Where no application is registered."""


def _id(text: str) -> str:
    return _document(text) if is_address(text) else _name(text)


def _document(text: str) -> str:
    try:
        destination = Destination.parse(text)
    except AddressRefused as error:
        raise ValueError(str(error)) from error
    if not destination.secure and not destination.is_here:
        raise ValueError("a document of an application is reached by https, or on this machine")
    if destination.target == "/" or "?" in text or "/." in text:
        raise ValueError("a document of an application has a plain path of its own")
    return text


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


ApplicationId = Annotated[str, AfterValidator(_id)]


class ApplicationSpec(BaseModel):
    """An application as the deployment declares it.

    agent          the agent of the policy that it acts as
    redirect_uris  exactly where people may be sent back to; not of one that says so itself
    tools          the most it may ask for
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    agent: Annotated[str, AfterValidator(_name)]
    redirect_uris: list[Annotated[str, AfterValidator(_redirect)]] = Field(default_factory=list)
    tools: Annotated[list[str], AfterValidator(_tools)] = Field(
        default_factory=lambda: list(ALL), min_length=1
    )


def check_redirects(specs: Mapping[str, ApplicationSpec]) -> None:
    """Raise ValueError for an application that is sent nowhere, or in two ways."""
    for name, spec in specs.items():
        if is_address(name) == bool(spec.redirect_uris):
            raise ValueError(
                f"{name}: redirect_uris are for an application with a name, and needed"
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
