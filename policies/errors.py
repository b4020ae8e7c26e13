"""Everything the rules may raise.

    PolicyError
    |-- PolicyInvalid       files are refused; carries every finding
    |-- ConditionInvalid    the text of a condition is refused; carries the place in it
    |-- ConditionFailed     a condition has no value for these facts
    |-- NotAmendable        a text is no policy file, or has not what is to be changed
    `-- StarterRefused      the starter policy cannot be written for a path or name

A denial is no error: it is the `Decision` that the rules exist to make.
"""

from collections.abc import Sequence

from policies.finding import Finding


class PolicyError(Exception):
    """Base of every error of this package."""

    code = "policy.error"


class PolicyInvalid(PolicyError):
    """A set of files is refused as a whole; `findings` holds every reason, in file order."""

    code = "policy.invalid"

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


class ConditionInvalid(PolicyError):
    """The text of a condition is outside the language, or does not fit the types it reads.

    code    stable code of the reason
    offset  0-based character in the condition's text where it shows
    hint    how to mend it, when that is known
    """

    code = "policy.condition"

    def __init__(
        self, message: str, *, offset: int, code: str = "policy.condition", hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.offset, self.code, self.hint = message, offset, code, hint


class ConditionFailed(PolicyError):
    """A condition has no value for these facts: a member is missing, or has another type.

    The message names the field and never its value.
    """

    code = "policy.condition-failed"


class NotAmendable(PolicyError):
    """A text in which there is nothing to amend: no policy file, or without that rule."""

    code = "policy.not-amendable"


class StarterRefused(PolicyError):
    """A path or a name that the starter policy cannot be written for."""

    code = "policy.starter"
