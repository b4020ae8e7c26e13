"""Secret hashes: what is kept of a client's secret, written `$scrypt$ln=14,r=8,p=1$salt$hash`.

Secrets are at least `MIN_SECRET` characters long and meant to be random, so that guessing fails
by itself; scrypt (RFC 7914) is the second line, for the day when a hash is read by others.
"""

import hmac
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import scrypt
from typing import Self

from gateway.identity.errors import HashInvalid, SecretWeak

MIN_SECRET, MAX_SECRET = 32, 512
"""Characters of a secret."""

SALT_BYTES = 16

_HASH_BYTES = 32
_BLOCK = 8
_TEXT = re.compile(r"\$scrypt\$ln=(1[4-7]),r=8,p=([1-4])\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})")


@dataclass(frozen=True, slots=True)
class SecretHash:
    """A salted hash, and the work that computing it takes: memory of 2**`log_n` KiB."""

    log_n: int
    parallel: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, secret: str, salt: bytes, *, log_n: int = 14, parallel: int = 1) -> Self:
        """Hash a secret with a fresh random salt of `SALT_BYTES`.

        Raises SecretWeak when it is shorter than `MIN_SECRET`, or longer than `MAX_SECRET`.
        """
        if not MIN_SECRET <= len(secret) <= MAX_SECRET:
            raise SecretWeak(f"a secret has {MIN_SECRET} to {MAX_SECRET} characters")
        return cls(log_n, parallel, salt, _scrypt(secret, salt, log_n, parallel))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises HashInvalid for another format, or less work than is accepted.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise HashInvalid("expected $scrypt$ln=14..17,r=8,p=1..4$salt$hash")
        salt, digest = (b64decode(part + "=" * (-len(part) % 4)) for part in found.group(3, 4))
        return cls(int(found[1]), int(found[2]), salt, digest)

    def __str__(self) -> str:
        salt, digest = (b64encode(part).rstrip(b"=").decode() for part in (self.salt, self.digest))
        return f"$scrypt$ln={self.log_n},r={_BLOCK},p={self.parallel}${salt}${digest}"

    def matches(self, secret: str) -> bool:
        """Tell whether `secret` is the one; takes the same time for every answer.

        Computes for some 40 ms: not to be called where an event loop runs.
        """
        computed = _scrypt(secret[:MAX_SECRET], self.salt, self.log_n, self.parallel)
        return hmac.compare_digest(computed, self.digest) and len(secret) <= MAX_SECRET


def _scrypt(secret: str, salt: bytes, log_n: int, parallel: int) -> bytes:
    return scrypt(
        secret.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=1 << log_n,
        r=_BLOCK,
        p=parallel,
        maxmem=(1 << log_n) * _BLOCK * 128 * 2,
        dklen=_HASH_BYTES,
    )
