"""An authenticator in software: makes passkeys, and signs with them whatever it is told to.

authenticator = Authenticator("localhost", "http://localhost:9")
made = authenticator.create(challenge, user=b"ana")     # what a page sends to register
answer = authenticator.get(challenge)                   # what a page sends to log in

Everything that a forger could change is a parameter.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from audit.assertion import Assertion, PasskeyKey

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, CREDENTIAL, EXTENSIONS = 1, 4, 8, 16, 64, 128

Private = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey


def make_key(algorithm: str) -> Private:
    """A new key for one algorithm."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate()
    assert algorithm == "RS256"
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@dataclass
class Authenticator:
    """One passkey, in the hands of one person.

    count  how often it has signed; None: it does not count
    """

    rp_id: str
    origin: str
    private: Private = field(default_factory=lambda: make_key("ES256"))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    count: int | None = 0

    @property
    def key(self) -> PasskeyKey:
        return PasskeyKey.of(self.private.public_key())

    @property
    def name(self) -> str:
        """Its id, as entries and pages spell it."""
        return b64(self.id)

    def sign(self, data: bytes) -> bytes:
        """A signature of this passkey over anything."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self.private.sign(data, ec.ECDSA(SHA256()))
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, PKCS1v15(), SHA256())
        return self.private.sign(data)

    def data(
        self, *, flags: int = PRESENT | VERIFIED, rp_id: str | None = None, more: bytes = b""
    ) -> bytes:
        """Authenticator data, with the count raised by one."""
        if self.count is not None:
            self.count += 1
        name = sha256((rp_id or self.rp_id).encode()).digest()
        return name + bytes([flags]) + (self.count or 0).to_bytes(4, "big") + more

    def client_data(self, challenge: bytes, ceremony: str, /, **changes: object) -> bytes:
        """What an honest browser writes, with members changed; None leaves one out."""
        said: dict[str, object] = {
            "type": ceremony,
            "challenge": b64(challenge),
            "origin": self.origin,
            "crossOrigin": False,
            **changes,
        }
        kept = {name: value for name, value in said.items() if value is not None}
        return json.dumps(kept, separators=(",", ":")).encode()

    def assertion(
        self,
        challenge: bytes,
        /,
        *,
        flags: int = PRESENT | VERIFIED,
        rp_id: str | None = None,
        more: bytes = b"",
        **changes: object,
    ) -> Assertion:
        """Sign a challenge."""
        said = self.client_data(challenge, str(changes.pop("type", "webauthn.get")), **changes)
        data = self.data(flags=flags, rp_id=rp_id, more=more)
        return Assertion(said, data, self.sign(data + sha256(said).digest()))

    def get(self, challenge: bytes, /, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as `assertion`
        """What a page sends to log in."""
        return {"passkey": self.name, **self.assertion(challenge, **changes).to_json()}

    def create(
        self,
        challenge: bytes,
        /,
        *,
        flags: int = PRESENT | VERIFIED | CREDENTIAL,
        rp_id: str | None = None,
        fmt: str = "none",
        statement: dict[str, Any] | None = None,
        cose: dict[int, Any] | None = None,
        **changes: object,
    ) -> dict[str, Any]:
        """What a page sends to register."""
        said = self.client_data(challenge, str(changes.pop("type", "webauthn.create")), **changes)
        key = cbor2.dumps(self.cose() if cose is None else cose)
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + key
        data = self.data(flags=flags, rp_id=rp_id, more=credential if flags & CREDENTIAL else b"")
        attestation = {"fmt": fmt, "attStmt": statement or {}, "authData": data}
        return {
            "passkey": self.name,
            "client_data": b64(said),
            "attestation": b64(cbor2.dumps(attestation)),
        }

    def cose(self) -> dict[int, Any]:
        """Its public key as authenticators write keys (RFC 9053)."""
        public = self.private.public_key()
        if isinstance(public, ec.EllipticCurvePublicKey):
            at = public.public_numbers()
            return {1: 2, 3: -7, -1: 1, -2: at.x.to_bytes(32, "big"), -3: at.y.to_bytes(32, "big")}
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\x01\x00\x01"}
        return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
