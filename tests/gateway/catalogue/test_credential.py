from typing import Any

import pytest
from pydantic import ValidationError

from gateway.catalogue.credential import Credential

CLIENT: dict[str, Any] = {"issuer": "https://id.example", "client": "gw", "secret": "env:SECRET"}
KEYED: dict[str, Any] = {
    "issuer": "https://id.example/tenant",
    "client": "gw",
    "private_key_jwt": "file:gw.pem",
    "key_id": "k1",
}
PUBLIC: dict[str, Any] = {"issuer": "https://id.example", "client": "gw"}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"bearer": "keyring:passavant/crm"}, id="bearer"),
        pytest.param({"oauth_client": CLIENT}, id="client"),
        pytest.param({"oauth_client": {**CLIENT, "issuer": "http://127.0.0.1:9"}}, id="here"),
        pytest.param({"oauth_client": {**KEYED, "scope": "a b:c"}}, id="key"),
        pytest.param({"token_exchange": {**KEYED, "audience": "crm"}}, id="exchange"),
        pytest.param({"user_oauth": {**CLIENT, "resource": "https://x.example/mcp"}}, id="users"),
        pytest.param({"user_oauth": {**PUBLIC, "listing": "env:LISTING"}}, id="public-client"),
    ],
)
def test_a_credential_is_of_one_kind(document: Any) -> None:  # noqa: ANN401 - a document
    Credential.model_validate(document)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="none"),
        pytest.param({"bearer": "env:A", "oauth_client": CLIENT}, id="two-kinds"),
        pytest.param({"bearer": "the-secret-itself"}, id="no-reference"),
        pytest.param({"oauth_client": PUBLIC}, id="unproven-client"),
        pytest.param({"user_oauth": PUBLIC}, id="public-without-listing"),
        pytest.param({"token_exchange": PUBLIC}, id="unproven-exchange"),
        pytest.param({"oauth_client": {**CLIENT, **KEYED}}, id="secret-and-key"),
        pytest.param({"oauth_client": {**CLIENT, "key_id": "k1"}}, id="key-id-without-key"),
        pytest.param({"oauth_client": {**CLIENT, "secret": "plain"}}, id="plain-secret"),
        pytest.param({"oauth_client": {**CLIENT, "issuer": "http://id.example"}}, id="plain-http"),
        pytest.param({"oauth_client": {**CLIENT, "issuer": "https://a@id.example"}}, id="user"),
        pytest.param({"oauth_client": {**CLIENT, "issuer": "https://id.example?x"}}, id="query"),
        pytest.param({"oauth_client": {**CLIENT, "client": ""}}, id="no-client"),
        pytest.param({"oauth_client": {**CLIENT, "client": "a\r\nb"}}, id="lines-in-client"),
        pytest.param({"oauth_client": {**CLIENT, "scope": 'a"b'}}, id="scope"),
        pytest.param({"oauth_client": {**CLIENT, "resource": "https://x/#y"}}, id="fragment"),
        pytest.param({"oauth_client": {**CLIENT, "resource": "crm"}}, id="resource-no-url"),
        pytest.param({"oauth_client": {**CLIENT, "audience": "crm"}}, id="audience-elsewhere"),
        pytest.param({"oauth_client": {**CLIENT, "token_endpoint": "https://x"}}, id="unknown"),
    ],
)
def test_what_is_no_credential_is_refused(document: Any) -> None:  # noqa: ANN401 - a document
    with pytest.raises(ValidationError):
        Credential.model_validate(document)
