"""`passavant audit export`: whole or not at all, never to a terminal, over nobody's file."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer

from audit.note import Verifier
from audit.proof import Proof
from cli import taking
from cli.client import Broken
from tests.cli.deployment import Deployment


def test_lines_go_to_whoever_reads_them(desk: Deployment) -> None:
    ran = desk.run("audit", "export", "kind:start")
    assert ran.exit_code == 0, ran.output
    head, *found, end = map(json.loads, ran.stdout.splitlines())
    assert (head["export"], head["query"]) == ("passavant/v1", "kind:start")
    assert {each["entry"]["kind"] for each in found} == {"start"}
    assert end["entries"] == len(found)
    (recorded, *_) = desk.read("audit", "search", "kind:audit.exported")["entries"]
    assert recorded["body"]["form"] == "jsonl"


def test_a_file_proves_itself(desk: Deployment, tmp_path: Path) -> None:
    out = tmp_path / "entries.jsonl"
    ran = desk.run("audit", "export", "kind:start", "--as", "jsonl-proofs", "--out", str(out))
    assert (ran.exit_code, ran.stdout) == (0, "")
    verifier = Verifier.parse(desk.run("audit", "vkey").stdout.strip())
    head, *found, _ = map(json.loads, out.read_text().splitlines())
    assert found
    for each in found:
        proven = Proof.parse(each["proof"]).verify(bytes.fromhex(each["leaf"]), verifier)
        assert proven.size == head["size"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_table_is_taken_as_it_is(desk: Deployment, tmp_path: Path) -> None:
    out = tmp_path / "entries.csv"
    assert desk.run("audit", "export", "--as", "csv", "--out", str(out)).exit_code == 0
    rows = list(csv.reader(io.StringIO(out.read_bytes().decode(), newline="")))
    assert (rows[0][0], rows[-1][0]) == ("index", "end")
    assert len(rows) > 3


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param(["colour:red"], 1, "audit.query-invalid", id="no-such-qualifier"),
        pytest.param(["--as", "xlsx"], 2, "xlsx", id="no-such-form"),
        pytest.param(["--key-file", "none"], 4, "no operator's key", id="no-key"),
        pytest.param(["--out", "none/x"], 1, "No such file", id="no-such-folder"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    desk: Deployment, args: list[str], code: int, said: str
) -> None:
    ran = desk.run("audit", "export", *args)
    assert (ran.exit_code, said in ran.output) == (code, True), ran.output


def test_a_file_that_is_there_is_not_replaced(desk: Deployment, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.write_text("mine")
    ran = desk.run("audit", "export", "--out", str(out))
    assert (ran.exit_code, out.read_text()) == (2, "mine")


def test_what_another_export_is_writing_is_left_to_it(desk: Deployment, tmp_path: Path) -> None:
    part = tmp_path / "mine.part"
    part.write_text("theirs")
    ran = desk.run("audit", "export", "--out", str(tmp_path / "mine"))
    assert (ran.exit_code, part.read_text()) == (1, "theirs")


# -- what comes


class Api:
    """The one request, with an answer that a test writes."""

    def __init__(self, *parts: bytes, breaks: bool = False) -> None:
        self._parts, self._breaks = parts, breaks

    @contextmanager
    def download(self, path: str, body: dict[str, str]) -> Iterator[Iterator[bytes]]:
        assert (path, body) == ("/api/audit/export", {"q": "x", "form": body["form"]})
        yield self._given()

    def _given(self) -> Iterator[bytes]:
        yield from self._parts
        if self._breaks:
            raise Broken("ReadError")


END = b'{"end":true,"entries":1,"more":false,"behind":0}\n'
TABLE = b'"index","time"\r\n"0","x"\r\n'
TABLE_END = b'"end","1 entries","checkpoint","a\nb"\r\n'


def taken(api: Any, form: str, out: Path) -> str:  # noqa: ANN401 - the double
    return taking.take(api, "x", form, out)


@pytest.mark.parametrize(
    ("parts", "form"),
    [
        pytest.param([b"{}\n", END], "jsonl", id="lines"),
        pytest.param([bytes([each]) for each in b"{}\n" + END], "jsonl", id="byte-by-byte"),
        pytest.param([b"x" * 40_000, b"\n", END], "jsonl-proofs", id="long"),
        pytest.param([TABLE, TABLE_END], "csv", id="table"),
    ],
)
def test_what_is_whole_is_kept(tmp_path: Path, parts: list[bytes], form: str) -> None:
    out = tmp_path / "x"
    assert taken(Api(*parts), form, out) == ""
    assert out.read_bytes() == b"".join(parts)


@pytest.mark.parametrize(
    ("parts", "form"),
    [
        pytest.param([], "jsonl", id="nothing"),
        pytest.param([b"{}\n"], "jsonl", id="no-end"),
        pytest.param([b"{}\n", END[:-1]], "jsonl", id="end-cut-off"),
        pytest.param([b'{"entry":"', END[:-2] + b'"}\n'], "jsonl", id="end-within-an-entry"),
        pytest.param([TABLE], "csv", id="no-end-of-a-table"),
        pytest.param([TABLE, TABLE_END[:-2]], "csv", id="end-of-a-table-cut-off"),
        pytest.param([TABLE, b'"0","\r\n""end"",""x"\r\n'], "csv", id="end-within-a-cell"),
        pytest.param([END], "csv", id="another-form"),
    ],
)
@pytest.mark.parametrize("breaks", [False, True], ids=["ends", "breaks"])
def test_what_is_cut_off_leaves_no_file(
    tmp_path: Path, parts: list[bytes], form: str, breaks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        taken(Api(*parts, breaks=breaks), form, tmp_path / "x")
    assert "cut off" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("end", "form", "said"),
    [
        pytest.param(END.replace(b"false", b"true"), "jsonl", "there are more", id="more"),
        pytest.param(END.replace(b'"behind":0', b'"behind":7'), "jsonl", "7 entries", id="behind"),
        pytest.param(
            TABLE_END.replace(b"1 entries", b"1 entries, there are more"),
            "csv",
            "there are more",
            id="more-of-a-table",
        ),
    ],
)
def test_what_is_not_all_says_so(tmp_path: Path, end: bytes, form: str, said: str) -> None:
    out = tmp_path / "x"
    before = TABLE if form == "csv" else b"{}\n"
    assert said in taken(Api(before, end), form, out)
    assert out.exists()


def test_nothing_is_shown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.taking.sys.stdout.isatty", lambda: True)
    with pytest.raises(typer.Exit) as ended:
        taking.take(Api(b"\x1b[31m"), "x", "jsonl", None)  # type: ignore[arg-type]  # a double
    assert ended.value.exit_code == 2
    assert capsys.readouterr().out == ""
