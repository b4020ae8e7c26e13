"""Stops: the named reasons for which a run, or a branch of it, ends early.

denied      a rule, a limit of the policy or a person said no
refused     the call was wrong in itself
failed      the other side says that it failed, or answered what makes no sense
unknown     a call was sent, and whether it acted cannot be told
unavailable a part that is needed is away, also after further attempts
exhausted   the lease of the run, or a bound of the pattern, is used up
cancelled   a person stopped the run, or enough other branches had succeeded
tripped     a guardrail of the flow says stop
"""

from typing import Literal, get_args

from gateway.runs.run import Json

Reason = Literal[
    "denied", "refused", "failed", "unknown", "unavailable", "exhausted", "cancelled", "tripped"
]
REASONS: tuple[str, ...] = get_args(Reason)


class Stopped(Exception):
    """A node ended early; no error of the program.

    at      the path of the step that says so
    detail  a sentence for a person; never a value of the run
    code    the stable code behind it, where there is one
    """

    def __init__(self, reason: Reason, detail: str, *, at: str, code: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail, self.at, self.code = detail, at, code

    def to_json(self) -> dict[str, Json]:
        """The stop as a value of the run."""
        return {"reason": self.reason, "detail": self.detail, "at": self.at, "code": self.code}

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> "Stopped":
        """The inverse of `to_json`."""
        reason = str(value["reason"])
        assert reason in REASONS, "written by to_json"
        code = value["code"]
        return cls(
            reason,  # type: ignore[arg-type]  # one of them, as just checked
            str(value["detail"]),
            at=str(value["at"]),
            code=code if isinstance(code, str) else None,
        )
