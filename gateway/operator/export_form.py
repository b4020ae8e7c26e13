"""The forms in which entries are taken away; by itself, so that the command line loads no more."""

from typing import Literal

ExportForm = Literal["jsonl", "jsonl-proofs", "csv"]
"""Lines of JSON, the same with a proof in each, or a table; see `gateway.operator.exporting`."""
