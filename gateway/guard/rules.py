"""The guards of a deployment: when something is noticed, and what is done about it.

The usual values are far beyond what an agent at work does, and raise an alarm without touching a
call; what holds one up is stated in so many words. Limits of a policy are counted beside them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.notation import Duration

Then = Literal["alarm", "throttle", "suspend"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Burst(_Model):
    """More than `most` within `window` raise an alarm.

    window  seconds, written `10m`
    then    `throttle`: what comes next is refused until the window is over; `suspend`: the agent is
            suspended until a person resumes it
    """

    most: Count
    window: Duration
    then: Then = "alarm"


class Circuit(_Model):
    """So many failures in a row of one server for one agent, and it is left alone for a while.

    pause  seconds after which one call may try again, written `10s`
    """

    failures: Count = 5
    pause: Duration = 10


class Guards(_Model):
    """What is watched; a guard that is null watches nothing.

    denials    of one agent, whatever it was denied
    repeats    of one call that may change something, with the same arguments, by one agent and user
    first_use  the first call of a tool by an agent raises an alarm
    running    calls of one agent that are at servers at the same time
    sessions   open sessions that one agent has asked for by itself
    questions  requests for approval of one agent that wait for people; runs wait for their turn
    """

    denials: Burst | None = Burst.model_validate({"most": 300, "window": "1m"})
    repeats: Burst | None = Burst.model_validate({"most": 100, "window": "10m"})
    first_use: Literal["alarm", "off"] = "off"
    running: Count = 256
    sessions: Count = 1000
    questions: Count = 50
    circuit: Circuit | None = Circuit()
