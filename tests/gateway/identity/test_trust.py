"""Which issuers a deployment may name, and how."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.deployment import load
from gateway.settings import Identity

CORP = {"issuer": "https://id.acme.example", "audience": "passavant"}
CLUSTER = {
    "issuer": "https://kubernetes.default.svc",
    "jwks_file": "jwks.json",
    "audience": "passavant",
    "subjects": {"system:serviceaccount:agents:clerk": "clerk"},
}
CONSOLE = {"oidc": {**CORP, "audience": "console"}, "roles": {"approver": ["finance"]}}


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in members.items() if each != name}


def test_people_workloads_and_operators_have_issuers_of_their_own() -> None:
    identity = Identity.model_validate(
        {
            "users": {"corp": {"oidc": CORP}},
            "workloads": {"cluster": {"jwt": CLUSTER}},
            "operators": CONSOLE,
        }
    )
    assert identity.workload_agents == {"clerk"}
    assert identity.operators is not None


def test_the_keys_of_workloads_are_found_from_the_folder_of_the_deployment(tmp_path: Path) -> None:
    file = tmp_path / "passavant.yaml"
    identity = json.dumps({"workloads": {"cluster": {"jwt": CLUSTER}}})
    file.write_text(
        f"apiVersion: passavant/v1\nkind: Gateway\npolicy: [a.yaml]\nidentity: {identity}\n"
    )
    found = load(file).identity.workloads["cluster"].jwt.jwks_file
    assert found == tmp_path / "jwks.json"


@pytest.mark.parametrize(
    ("identity", "complaint"),
    [
        pytest.param({"users": {"Corp": {"oidc": CORP}}}, "no name for an issuer", id="name"),
        pytest.param({"users": {"agent": {"oidc": CORP}}}, "no name for an issuer", id="agent"),
        pytest.param(
            {"users": {"corp": {"oidc": {**CORP, "issuer": "http://id.acme.example"}}}},
            "reached by https",
            id="plain-http",
        ),
        pytest.param(
            {"users": {"corp": {"oidc": {**CORP, "issuer": "https://u:p@id.acme.example"}}}},
            "user, password",
            id="password-in-the-address",
        ),
        pytest.param(
            {"users": {"corp": {"oidc": {**CORP, "issuer": "https://id.acme.example?a=b"}}}},
            "no query",
            id="query",
        ),
        pytest.param(
            {"users": {"corp": {"oidc": {**CORP, "jwks_url": "http://id.acme.example/k"}}}},
            "reached by https",
            id="keys-over-plain-http",
        ),
        pytest.param(
            {"users": {"corp": {"oidc": without(CORP, "audience")}}}, "required", id="no-audience"
        ),
        pytest.param(
            {"users": {"corp": {"oidc": {**CORP, "algorithms": ["none"]}}}},
            "not permitted",
            id="algorithms-are-not-configured",
        ),
        pytest.param(
            {"users": {"corp": {"oidc": CORP}}, "operators": {**CONSOLE, "oidc": CORP}},
            "trusted twice",
            id="users-and-operators",
        ),
        pytest.param(
            {
                "users": {"corp": {"oidc": CORP}},
                "workloads": {"c": {"jwt": {**CLUSTER, "issuer": CORP["issuer"]}}},
            },
            "trusted twice",
            id="users-and-workloads",
        ),
        pytest.param(
            {
                "users": {
                    "corp": {"oidc": CORP},
                    "partner": {"oidc": {**CORP, "issuer": "https://id.partner.example"}},
                }
            },
            "two issuers of users state groups",
            id="two-with-groups",
        ),
        pytest.param(
            {"workloads": {"c": {"jwt": without(CLUSTER, "jwks_file")}}},
            "either jwks_url or jwks_file",
            id="no-keys",
        ),
        pytest.param(
            {"workloads": {"c": {"jwt": {**CLUSTER, "subjects": {}}}}}, "at least 1", id="nobody"
        ),
        pytest.param(
            {"workloads": {"c": {"jwt": {**CLUSTER, "subjects": {"a": "Clerk"}}}}},
            "no name for an agent",
            id="no-agent",
        ),
        pytest.param(
            {"operators": {**CONSOLE, "roles": {"root": ["finance"]}}}, "Input should", id="role"
        ),
        pytest.param({"operators": {**CONSOLE, "roles": {}}}, "at least 1", id="no-roles"),
        pytest.param(
            {"operators": {**CONSOLE, "oidc": {**CONSOLE["oidc"], "client_secret": "hunter2"}}},  # type: ignore[dict-item]  # a map
            "pattern",
            id="secret-in-the-file",
        ),
    ],
)
def test_a_trust_that_could_be_abused_is_refused(identity: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Identity.model_validate(identity)
