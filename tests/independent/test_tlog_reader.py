"""The second reader agrees with what others have published."""

import ast
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.independent import tlog_reader

VECTORS = Path(__file__).parents[1] / "vectors"
MERKLE: dict[str, Any] = json.loads((VECTORS / "merkle.json").read_text())
NOTES: dict[str, Any] = json.loads((VECTORS / "notes.json").read_text())
TILES: dict[str, Any] = json.loads((VECTORS / "tiles.json").read_text())
GO = NOTES["go"]

LEAVES = [tlog_reader.leaf_hash(bytes.fromhex(leaf)) for leaf in MERKLE["leaves"]]
ROOTS = [bytes.fromhex(root) for root in MERKLE["roots"]]


def _hashes(path: list[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in path]


def test_it_imports_nothing_of_the_project() -> None:
    tree = ast.parse(Path(tlog_reader.__file__).read_text())
    modules = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {module for module in modules if module.split(".")[0] not in sys.stdlib_module_names}
    assert {module.split(".")[0] for module in foreign} == {"cryptography"}


@pytest.mark.parametrize("size", range(9))
def test_it_computes_the_reference_roots(size: int) -> None:
    assert tlog_reader.tree_hash(LEAVES[:size]) == ROOTS[size]


@pytest.mark.parametrize("case", MERKLE["inclusion"], ids=lambda c: f"{c['index']}-of-{c['size']}")
def test_it_follows_the_reference_inclusion_proofs(case: dict[str, Any]) -> None:
    index, size, path = case["index"], case["size"], _hashes(case["path"])
    assert tlog_reader.root_by_path(LEAVES[index], index, size, path) == ROOTS[size]


@pytest.mark.parametrize("case", MERKLE["consistency"], ids=lambda c: f"{c['old']}-to-{c['new']}")
def test_it_follows_the_reference_consistency_proofs(case: dict[str, Any]) -> None:
    old, new, path = case["old"], case["new"], _hashes(case["path"])
    roots = tlog_reader.roots_by_consistency(old, new, path, ROOTS[old])
    assert roots == (ROOTS[old], ROOTS[new])


@pytest.mark.parametrize("case", TILES["paths"], ids=lambda c: c["path"])
def test_it_writes_the_paths_of_the_specification(case: dict[str, Any]) -> None:
    level = "entries" if case["level"] is None else str(case["level"])
    assert tlog_reader.tile_path(level, case["index"], case["width"]) == case["path"]


def test_it_opens_the_note_that_go_signed() -> None:
    note = (GO["text"] + "\n" + GO["other_signature"] + GO["signature"]).encode()
    assert tlog_reader.open_note(note, GO["vkey"]) == GO["text"]
    assert tlog_reader.open_note(note, GO["other_vkey"]) == GO["text"]


@pytest.mark.parametrize("head", NOTES["checkpoints"]["heads"], ids=lambda h: str(h["size"]))
def test_it_reads_the_heads_of_the_checksum_database(head: dict[str, Any]) -> None:
    text = tlog_reader.open_note(head["note"].encode(), NOTES["checkpoints"]["vkey"])
    read = tlog_reader.parse_checkpoint(text)
    assert (read.origin, read.size) == (NOTES["checkpoints"]["origin"], head["size"])
    assert base64.b64encode(read.root).decode() == head["root"]


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(GO["text"], id="no-signature"),
        pytest.param(GO["text"] + "\n" + GO["other_signature"], id="other-key"),
        pytest.param(GO["text"].lower() + "\n" + GO["signature"], id="other-text"),
        pytest.param(GO["text"] + "\n" + GO["signature"][:-1], id="no-newline"),
        pytest.param("\x01" + GO["text"] + "\n" + GO["signature"], id="control-character"),
        pytest.param(GO["text"] + "\n" + GO["signature"] + "line.\n", id="unexpected-line"),
    ],
)
def test_it_rejects_what_go_rejects(note: str) -> None:
    with pytest.raises(tlog_reader.Rejected):
        tlog_reader.open_note(note.encode(), GO["vkey"])
