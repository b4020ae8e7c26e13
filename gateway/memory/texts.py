"""Texts: what items hold, sealed under keys of the places where they belong.

A place has keys of its own, in files of their own, wrapped (`audit.sealed`), in a folder that is
in no backup. The ciphertext lies in the log, which is never rewritten; what is forgotten is
forgotten with its key.
"""

from collections.abc import Iterable

from audit.errors import AuditError
from audit.sealed import Sealed, Vault
from gateway.errors import MemoryRefused
from gateway.memory.item import Item
from gateway.memory.place import Place
from gateway.recorder import Recorder

MOST_CACHED = 32 << 20
"""Bytes of ciphertext that are held, so that not every read goes to the disk."""


class Texts:
    """Seals, opens, and destroys keys. `text` and whatever destroys may block."""

    def __init__(self, recorder: Recorder, vault: Vault) -> None:
        self._recorder = recorder
        self._vault = vault
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0

    def seal(self, place: Place, item_id: str, key: str, text: str) -> tuple[Sealed, Sealed]:
        """Key and text of an item to be. Raises OSError."""
        sealed_key = self._vault.seal(place.subject, _key_id(item_id), key.encode())
        return sealed_key, self._vault.seal(place.subject, item_id, text.encode())

    def key(self, item: Item) -> str:
        """The key under which an item is kept. Raises MemoryRefused, as `text` does."""
        return self._opened(_key_id(item.id), item.key)

    def text(self, item: Item) -> str:
        """The text of an item.

        Raises MemoryRefused when it is not what was written, or its key is destroyed.
        """
        payload = self._held.get(item.id)
        if payload is None:
            payload = self._read(item)
        return self._opened(item.id, Sealed(item.commit, item.length, payload))

    def destroy(self, place: Place, *, but: Iterable[Item] = ()) -> int:
        """Destroy the keys of a place that none of these items needs; how many. Raises OSError."""
        return self._vault.erase(place.subject, but=(item.id for item in but))

    def destroy_all(self, *, but: Iterable[Item]) -> int:
        """Destroy all keys that none of these items needs; how many. Raises OSError."""
        return self._vault.erase_all(but=((item.place.subject, item.id) for item in but))

    def _read(self, item: Item) -> bytes:
        try:
            payload = self._recorder.entry(item.index).sealed or b""
        except (AuditError, OSError) as error:
            raise _unreadable() from error
        if self._held_bytes + len(payload) > MOST_CACHED:
            self._held.clear()
            self._held_bytes = 0
        self._held[item.id] = payload
        self._held_bytes += len(payload)
        return payload

    def _opened(self, sealed_id: str, sealed: Sealed) -> str:
        try:
            return self._vault.open_payload(sealed_id, sealed).decode()
        except AuditError as error:
            raise _unreadable() from error


def _key_id(item_id: str) -> str:
    return f"{item_id}/key"


def _unreadable() -> MemoryRefused:
    return MemoryRefused("What is kept there is not as it was written, and is not given out.")
