"""Pins: what somebody outside kept of the log, and no rollback or fork can agree with.

A pin file is UTF-8 text. Each pin in it is either a receipt, one line as the gateway hands it out,

    <origin>;<index>;<leaf hash in hex>

or a whole signed checkpoint as it was published. Empty lines between pins and lines that begin
with `#` are skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from audit.entry import Receipt
from audit.errors import MalformedPin

_MARK = "— "  # begins a signature line, with which a note ends


@dataclass(frozen=True, slots=True)
class PinnedCheckpoint:
    """A signed checkpoint that was seen earlier; its signature is checked by the verifier."""

    note: str


Pin: TypeAlias = Receipt | PinnedCheckpoint


def read_pins(text: str) -> tuple[Pin, ...]:
    """Read a pin file. Raises MalformedPin, which names the line."""
    return tuple(_pins(text.split("\n")))


def _pins(lines: list[str]) -> Iterator[Pin]:
    number = 0
    while number < len(lines):
        line = lines[number]
        if not line or line.startswith("#"):
            number += 1
        elif ";" in line:
            yield _read_receipt(line, number)
            number += 1
        else:
            end = _end_of_note(lines, number)
            yield PinnedCheckpoint("\n".join(lines[number:end]) + "\n")
            number = end


def _read_receipt(line: str, number: int) -> Receipt:
    try:
        return Receipt.parse(line)
    except MalformedPin as error:
        raise MalformedPin(f"line {number + 1}: {error}") from error


def _end_of_note(lines: list[str], start: int) -> int:
    """Return the number of the line after the signatures that follow the first blank line."""
    end = start
    while end < len(lines) and lines[end]:
        end += 1
    end = signatures = end + 1
    while end < len(lines) and lines[end].startswith(_MARK):
        end += 1
    if end == signatures or signatures > len(lines):
        raise MalformedPin(
            f"line {start + 1}: neither a receipt nor the start of a signed checkpoint"
        )
    return end
