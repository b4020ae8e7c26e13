"""Registration: what an authenticator answers when it makes a passkey, read and checked.

`webauthn` takes its answer apart; what the browser says of it is read strictly beforehand, by our
own reader. Who made the authenticator is not asked: an attestation names a make, and a refusal for
its make would be the only use of it.
"""

from dataclasses import dataclass

from audit.assertion import PasskeyKey, check_client_data, decode
from audit.errors import AssertionRefused
from gateway.identity.passkeys import Site
from gateway.identity.public_keys import base64url

MAX_ID_BYTES = 512


@dataclass(frozen=True, slots=True)
class Made:
    """A passkey that was made just now.

    id     what its authenticator calls it, in base64url
    count  what it counts so far
    """

    id: str
    key: PasskeyKey
    count: int


def read(client_data: str, attestation: str, *, challenge: bytes, site: Site) -> Made:
    """The passkey that an authenticator made for `challenge`, on a page of `site`.

    client_data, attestation  in base64url: the browser's text, and the `attestationObject`

    Raises AssertionRefused, also when it attests anything, or the person was not verified.
    """
    said, made = decode(client_data), decode(attestation)
    check_client_data(said, "webauthn.create", challenge=challenge, origin=site.origin)
    try:
        return _read(said, made, challenge, site)
    except AssertionRefused:
        raise
    except Exception as error:  # whatever a library makes of a stranger's bytes is a refusal
        raise AssertionRefused("no passkey can be read from the answer") from error


def _read(client_data: bytes, attestation: bytes, challenge: bytes, site: Site) -> Made:
    # Imported here: it takes 80 ms and 6 MiB, and most gateways never register a passkey.
    from webauthn import helpers, verify_registration_response  # noqa: PLC0415
    from webauthn.helpers import structs  # noqa: PLC0415

    parsed = helpers.parse_attestation_object(attestation)
    credential = parsed.auth_data.attested_credential_data
    if parsed.fmt != "none" or credential is None:
        raise AssertionRefused("a passkey is registered without an attestation")
    if not 0 < len(credential.credential_id) <= MAX_ID_BYTES:
        raise AssertionRefused(f"the id of a passkey has 1 to {MAX_ID_BYTES} bytes")
    found = verify_registration_response(
        credential=structs.RegistrationCredential(
            id=base64url(credential.credential_id),
            raw_id=credential.credential_id,
            response=structs.AuthenticatorAttestationResponse(client_data, attestation),
        ),
        expected_challenge=challenge,
        expected_rp_id=site.rp_id,
        expected_origin=site.origin,
        require_user_verification=True,
    )
    decoded = helpers.decode_credential_public_key(found.credential_public_key)
    key = PasskeyKey.of(helpers.decoded_public_key_to_cryptography(decoded))
    return Made(base64url(found.credential_id), key, found.sign_count)
