"""What `run rollback` and `session rollback` have in common: an order, and what has come of it."""

import time
from typing import Annotated, Any

import typer

from cli.client import Operators
from cli.errors import Exit
from cli.interrupt import until_stopped
from cli.output import as_card, as_json, as_table, moment

Leave = Annotated[
    bool, typer.Option("--leave", help="Leave the call at which it stopped as it is.")
]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]
Show = Annotated[bool, typer.Option("--show", help="Only say how far it is.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken back.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it has ended, or stops for a person.")]

COLUMNS = ("tool", "state", "undo", "decision", "undone_by", "agent", "hindrance")
LOOK_EVERY_S = 0.5


def taken_back(
    api: Operators,
    place: str,
    *,
    show: bool,
    dry_run: bool,
    leave: bool,
    reason: str,
    wait: bool,
    json: bool,
) -> None:
    """Order what is at `place` unless it is only to be shown, and say how far it is."""
    if dry_run:
        _foretold(api, place, json=json)
        return
    if not show:
        _ordered(api, place, leave=leave, reason=reason)
    _shown(api, place, wait=wait, json=json)


def _foretold(api: Operators, place: str, *, json: bool) -> None:
    """Say what there is to be taken back, the last deed first; nothing is ordered."""
    found = api.get(f"{place}/outlook")
    as_json(found) if json else as_table(found["deeds"], COLUMNS)


def _ordered(api: Operators, place: str, *, leave: bool, reason: str) -> None:
    """Order a rollback, or let one that stopped go on."""
    body: dict[str, Any] = {"leave": leave} | ({"reason": reason} if reason else {})
    api.post(place, body)


def _shown(api: Operators, place: str, *, wait: bool, json: bool) -> None:
    """Say how far a rollback is, at last where it is waited for; ends the command."""
    with until_stopped() as stopping:
        found = api.get(place)
        while wait and found["state"] == "running" and not stopping.asked:
            time.sleep(LOOK_EVERY_S)
            found = api.get(place)
    if json:
        as_json(found)
    else:
        deeds = found.pop("deeds")
        as_card({**found, **_times(found)})
        typer.echo()
        as_table(deeds, COLUMNS)
    raise typer.Exit(Exit.DONE if found["state"] == "ended" else Exit.UNDECIDED)


def _times(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if found[name] is None else moment(found[name]) for name in ("started", "ended")
    }
