from pathlib import Path

import pytest

import gateway
from gateway.store import code


def package(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rooms.py").write_text(text)
    return folder


def test_it_is_the_same_for_the_same_sources() -> None:
    assert code.digest() == code.digest()


@pytest.mark.parametrize("name", ["audit", "policies", "gateway"])
def test_a_changed_source_of_any_package_that_folds_changes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = getattr(code, name)
    monkeypatch.setattr(module, "__path__", [str(package(tmp_path, "A = 1"))])
    before = code.digest()
    package(tmp_path, "A = 2")
    changed = code.digest()
    package(tmp_path / "inner", "A = 2")
    assert len({before, changed, code.digest()}) == 3


def test_a_process_is_of_the_code_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = code.of_this_process()
    monkeypatch.setattr(gateway, "__path__", [str(package(tmp_path, "A = 1"))])
    assert code.digest() != began
    assert code.of_this_process() == began
