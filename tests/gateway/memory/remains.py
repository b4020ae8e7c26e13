"""What of a secret is left in the files of a home, in any plain spelling."""

from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.home import Home

FOLDERS = ("sessions", "spaces")
"""Where the keys of memory are, below `keys`."""


def files_with(home: Path, secret: bytes) -> list[str]:
    """Names of the files below `home` that hold the secret: as it is, in hex, base64 or UTF-16."""
    spellings = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    spellings |= {b64encode(secret).rstrip(b"="), urlsafe_b64encode(secret).rstrip(b"=")}
    if secret.isascii():
        spellings.add(secret.decode().encode("utf-16-le"))
    return [
        str(file.relative_to(home))
        for file in sorted(home.rglob("*"))
        if file.is_file() and any(each in file.read_bytes() for each in spellings)
    ]


def key_files(home: Path) -> list[str]:
    """Names of the files that hold keys of memory; they may be on their way out."""
    return [file.name for folder in FOLDERS for file in (home / "keys" / folder).iterdir()]


def memory_keys(home: Path) -> list[bytes]:
    """The keys that seal memory at this moment, unwrapped, and what they are wrapped as."""
    wrap = AESGCM(Home.at(home).vault_key())
    found = []
    for file in sorted(file for each in FOLDERS for file in (home / "keys" / each).iterdir()):
        wrapped = file.read_bytes()
        found += [wrap.decrypt(wrapped[:12], wrapped[12:], file.name.encode()), wrapped]
    return found
