"""`passavant key`: the keys of tokens are listed and changed; tokens that are out stay good."""

from pathlib import Path

from tests.cli.deployment import Deployment


def test_a_new_key_signs_and_the_one_before_still_verifies(tmp_path: Path) -> None:
    deployment = Deployment.write(tmp_path).with_operator()
    with deployment.served():
        (before,) = [row for row in deployment.read("key", "list") if row["use"] == "tokens"]
        made = deployment.read("key", "rotate")
        rows = [row for row in deployment.read("key", "list") if row["use"] == "tokens"]
        assert [(row["id"], row["state"]) for row in rows] == [
            (made["id"], "signs"),
            (before["id"], "verifies"),
        ]
        (entry,) = deployment.read("audit", "search", "kind:key.rotated")["entries"]
        assert entry["body"]["replaces"] == before["id"]
        assert "signs" in deployment.run("key", "rotate").stderr
