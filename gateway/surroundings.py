"""What only the program around the gateway knows, and how it was started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from audit.files import Files, OsFiles
from audit.log import microseconds
from gateway.redaction import Redaction
from gateway.runs.service import Orchestration

Mode = Literal["dev", "serve"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only the program around the gateway knows: nothing below reads it by itself.

    environ        the process's environment, for `env:` references and PATH
    accept_policy  digest of a policy that may come into force at this start although another one
                   was last active; None: none
    new_fleet      belong to the fleet of the database that is configured, although it was another
                   before or its database is gone
    clock          microseconds since 1970; may jump, the gateway's time does not run backwards
    disk           what the log is written to
    redaction      what diagnostics pass; knows the secrets of this process
    console_code   what logs the first administrator in with a browser, once; for `dev` only
    orchestration  runs flows over this gateway; None: there are none
    show_code      brings a code before the eyes of the one person of a development gateway, who
                   says with it that it is them; for `dev` only
    """

    environ: Mapping[str, str]
    accept_policy: str | None = None
    new_fleet: bool = False
    clock: Callable[[], int] = microseconds
    disk: Files = field(default_factory=OsFiles)
    redaction: Redaction = field(default_factory=Redaction)
    console_code: str | None = None
    orchestration: Orchestration | None = None
    show_code: Callable[[str], None] | None = None
