"""The page of settings: everything effective, nothing secret."""

import pytest

from console.settings.page import HIDDEN, values
from gateway.settings import Settings
from tests.harness.console import Person
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANTED = "planted-5f0c9d7be1"


def read(**more: object) -> dict[str, tuple[str, bool]]:
    settings = Settings.model_validate(
        {"apiVersion": "passavant/v1", "kind": "Gateway", "policy": ["x.yaml"], **more}
    )
    return {path: (text, is_stated) for path, text, is_stated in values(settings)}


async def test_a_value_says_where_it_is_from() -> None:
    found = read(public_url="http://127.0.0.1:7999")
    assert found["public_url"] == ("http://127.0.0.1:7999", True)
    assert found["operators_url"] == ("http://localhost:7301", False)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            {"servers": {"a": {"command": ["/bin/x", f"--key={PLANTED}"]}}}, id="in-a-command"
        ),
        pytest.param(
            {"servers": {"a": {"command": ["/bin/x"], "env": {"KEY": PLANTED}}}}, id="in-env"
        ),
        pytest.param(
            {"servers": {"a": {"url": f"https://me:{PLANTED}@up.example/"}}}, id="in-an-address"
        ),
        pytest.param(
            {"servers": {"a": {"url": f"https://up.example/?key={PLANTED}"}}}, id="in-a-query"
        ),
    ],
)
async def test_what_could_be_a_secret_is_not_shown(more: dict[str, object]) -> None:
    found = read(**more)
    assert not [path for path, (text, _) in found.items() if PLANTED in text]
    assert HIDDEN in {text for text, _ in found.values()}


async def test_a_reference_is_shown() -> None:
    found = read(servers={"a": {"command": ["/bin/x"], "env": {"KEY": {"secret": "env:KEY"}}}})
    assert "env:KEY" in {text for text, _ in found.values()}


async def test_the_page_shows_no_key_of_an_operator(gateway: Running, vera: Person) -> None:
    page = (await vera.get("/settings")).text
    assert "gw.example/log" in page
    for name, key in gateway.keys.items():
        assert name in page
        assert key not in page
