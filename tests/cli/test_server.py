"""`passavant server`: what upstreams offer is accepted as it was reviewed."""

import time
from pathlib import Path

import pytest

from tests.cli.deployment import READY_S, Deployment

CLERK = ("--agent", "clerk")


def test_what_a_server_offers_is_accepted_by_the_digest_of_what_was_reviewed(
    tmp_path: Path,
) -> None:
    deployment = Deployment.write(tmp_path).with_operator()
    with deployment.served():
        denied = deployment.run("call", "desk.say", *CLERK)
        assert denied.exit_code == 3
        deployment.accept()
        stale = deployment.run("server", "accept", "desk", "--digest", "0" * 64)
        assert stale.exit_code == 1
        assert "server.review" in stale.stderr
        assert deployment.run("call", "desk.say", *CLERK).exit_code == 0
        (accepted,) = deployment.read("audit", "search", "kind:server.accepted")["entries"]
        assert accepted["body"]["by"].endswith("ana")


def test_a_hostile_description_is_reviewed_inert(tmp_path: Path) -> None:
    deployment = Deployment.write(tmp_path).with_operator()
    with deployment.served():
        deadline = time.monotonic() + READY_S
        while not deployment.read("server", "list")[0]["waiting"]:
            assert time.monotonic() < deadline
        ran = deployment.run("server", "review", "desk")
    assert "new tool say" in ran.stdout
    assert all(char.isprintable() or char == "\n" for char in ran.stdout)
    assert not any(line.startswith("ok ") for line in ran.stdout.splitlines())


@pytest.mark.parametrize("verb", ["show", "review", "accept"])
def test_a_server_that_is_not_configured_is_unknown(verb: str, desk: Deployment) -> None:
    digest = ["--digest", "0" * 64] if verb == "accept" else []
    ran = desk.run("server", verb, "nowhere", *digest)
    assert ran.exit_code == 1
    assert "operator.unknown" in ran.stderr
