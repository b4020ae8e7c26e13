"""What a client signs with: keys of both kinds, JWTs of any content, and forgeries."""

import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.identity.public_keys import PublicKey


def base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Key:
    """A private key, and what its owner shows of it."""

    private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def ed25519(cls) -> "Key":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def p256(cls) -> "Key":
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def algorithm(self) -> str:
        return "EdDSA" if isinstance(self.private, Ed25519PrivateKey) else "ES256"

    @property
    def jwk(self) -> dict[str, Any]:
        if isinstance(self.private, Ed25519PrivateKey):
            raw = self.private.public_key().public_bytes_raw()
            return {"kty": "OKP", "crv": "Ed25519", "x": base64(raw)}
        numbers = self.private.public_key().public_numbers()
        x, y = (base64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    @property
    def pem(self) -> bytes:
        """The private key, for a program that signs by itself."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> PublicKey:
        return PublicKey.of_jwk(self.jwk)

    def signature(self, text: bytes) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(text)
        r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jwt(self, header: object, claims: object) -> str:
        """A JWT of any header and claims, signed with this key."""
        text = f"{base64(compact(header))}.{base64(compact(claims))}"
        return f"{text}.{base64(self.signature(text.encode()))}"


def with_hmac(header: object, claims: object, secret: bytes) -> str:
    """A JWT whose "key" is a text that everybody knows."""
    text = f"{base64(compact(header))}.{base64(compact(claims))}"
    return f"{text}.{base64(hmac.digest(secret, text.encode(), 'sha256'))}"


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
