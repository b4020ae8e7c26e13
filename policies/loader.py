"""Loading: files in, checked documents out, or every reason why not.

Each file is read strictly, each block by its model, and then the names of the whole set are
resolved. Nothing of a set is usable while one finding of severity error stands.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from policies.document import Policy, PolicyDocument
from policies.errors import PolicyInvalid
from policies.expectations import PolicyTest, TestDocument
from policies.finding import Finding, Position, nearest
from policies.notation import shown
from policies.references import check_references
from policies.register import Part
from policies.schema import keys_at
from policies.source import MAX_BYTES, Source

Model = TypeVar("Model", bound=Part)


def load_policies(paths: Iterable[str | Path]) -> tuple[PolicyDocument, ...]:
    """Read a set of policy files from disk. Raises PolicyInvalid with every finding."""
    return _together((str(path), partial(_read, Path(path))) for path in paths)


def read_policies(contents: Iterable[tuple[str, bytes]]) -> tuple[PolicyDocument, ...]:
    """Read a set of policy files from (name, bytes). Raises PolicyInvalid with every finding."""
    return _together((file, partial(bytes, raw)) for file, raw in contents)


def load_tests(path: str | Path) -> TestDocument:
    """Read a test file from disk. Raises PolicyInvalid with every finding."""
    return read_tests(str(path), _read(Path(path)))


def read_tests(file: str, raw: bytes) -> TestDocument:
    """Read a test file from its bytes. Raises PolicyInvalid with every finding."""
    source = Source.read(file, raw)
    document = TestDocument(_validated(PolicyTest, source), source)
    findings = list(_unresolved_calls(document))
    if findings:
        raise PolicyInvalid(findings)
    return document


def _unresolved_calls(document: TestDocument) -> Iterator[Finding]:
    """Tests that name a call which the file does not hold, or a name that another test has."""
    calls, first = document.content.calls, dict[str, Position]()
    for index, case in enumerate(document.content.tests):
        at = document.source.at("tests", index, "name")
        before = first.setdefault(case.name, at)
        if before is not at:
            yield Finding("policy.duplicate", f"a test of this name stands at {before}", at)
        if isinstance(case.call, str) and case.call not in calls:
            at = document.source.at("tests", index, "call")
            message = f"call {case.call!r} is not among the calls of this file"
            yield Finding("policy.unknown-call", message, at, nearest(case.call, calls))


def _together(files: Iterable[tuple[str, Callable[[], bytes]]]) -> tuple[PolicyDocument, ...]:
    documents: list[PolicyDocument] = []
    findings: list[Finding] = []
    for file, read in files:
        try:
            documents.append(_policy(Source.read(file, read())))
        except PolicyInvalid as error:  # kept, so that one run tells what is wrong in all files
            findings.extend(error.findings)
    if not documents and not findings:
        findings.append(Finding("policy.empty", "no policy file is named", Position("-", 1, 1)))
    # A file that is not understood defines nothing: names of the rest would all seem unknown.
    findings = findings or check_references(documents)
    if findings:
        raise PolicyInvalid(findings)
    return tuple(documents)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        at = Position(str(path), 1, 1)
        why = error.strerror or type(error).__name__
        raise PolicyInvalid([Finding("policy.unreadable", f"cannot be read: {why}", at)]) from error


def _policy(source: Source) -> PolicyDocument:
    return PolicyDocument(_validated(Policy, source), source)


def _validated(model: type[Model], source: Source) -> Model:
    try:
        return model.model_validate(source.value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        findings = [_finding(model, source, detail) for detail in details]
        raise PolicyInvalid(sorted(findings, key=lambda finding: finding.at)) from None


def _finding(model: type[Part], source: Source, detail: ErrorDetails) -> Finding:
    """What Pydantic says, in the words and at the place of the file."""
    # "<list>" and its like tell which alternative was read; they are no part of the file.
    path = tuple(part for part in detail["loc"] if not str(part).startswith("<"))
    code, message = _said(detail)
    if path[-1:] == ("[key]",):
        return Finding(code, message, source.at_key(*path[:-1]))
    if detail["type"] == "extra_forbidden":
        hint = nearest(str(path[-1]), keys_at(model, path[:-1]))
        return Finding(code, message, source.at_key(*path), hint)
    field = detail.get("ctx", {}).get("field")
    at = source.at(*path, field) if field else source.at(*path)
    return Finding(code, message, at, _hint(detail))


def _said(detail: ErrorDetails) -> tuple[str, str]:
    """Code and message."""
    kind, found = detail["type"], shown(detail["input"])
    if kind.startswith("policy."):
        return kind, detail["msg"]
    if kind == "missing":
        return "policy.missing-key", f"the key {detail['loc'][-1]!r} is missing"
    if kind == "extra_forbidden":
        return "policy.unknown-key", f"the key {str(detail['loc'][-1])[:80]!r} is not known here"
    if kind == "literal_error":
        return "policy.not-a-choice", f"found {found}, expected {detail['ctx']['expected']}"
    if kind in _TYPES:
        return "policy.wrong-type", f"found {found}, expected {_TYPES[kind]}"
    return "policy.out-of-range", f"found {found}: {detail['msg'].lower()}"


_TYPES: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
}


def _hint(detail: ErrorDetails) -> str | None:
    value = detail["input"]
    if detail["type"] == "literal_error":
        return nearest(str(value), re.findall(r"'([^']+)'", detail["ctx"]["expected"]))
    if detail["type"] == "string_type" and isinstance(value, bool | int | float | date):
        return "put it in quotes"
    return None
