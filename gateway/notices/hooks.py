"""Webhooks of a deployment: where notices go, what they are of, and with which secret."""

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.errors import AddressRefused
from gateway.links.address import Destination
from gateway.links.credentials import Reference

Event: TypeAlias = Literal[
    "alarm.raised",
    "approval.asked",
    "approval.break-glass",
    "approval.decided",
    "approval.ended",
    "approval.escalated",
    "approval.reviewed",
    "rollback.stopped",
]
EVENTS: tuple[Event, ...] = get_args(Event)
"""Kinds of entries that can be told."""

HookName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


def _url(text: str) -> str:
    try:
        Destination.parse(text)
    except AddressRefused as error:
        raise ValueError(str(error)) from error
    return text


class WebhookSpec(BaseModel):
    """One receiver.

    secret         reference to what notices are signed with: `whsec_` and base64 of 24 to 64 bytes
    allow_private  its name may resolve to an address that is not public
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    url: Annotated[str, AfterValidator(_url)]
    secret: Reference
    events: Annotated[list[Event], Field(min_length=1)] = list(EVENTS)
    allow_private: bool = False

    @property
    def destination(self) -> Destination:
        """The address, taken apart."""
        return Destination.parse(self.url, allow_private=self.allow_private)
