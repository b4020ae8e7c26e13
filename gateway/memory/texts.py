"""Texts: what items hold, sealed under keys of the places where they belong.

A place has keys of its own, in files of their own, wrapped (`audit.sealed`): those of sessions in
a folder that belongs into no backup, those of spaces in another. The ciphertext lies in the log,
which is never rewritten; what is forgotten is forgotten with its key.
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

    def __init__(self, recorder: Recorder, *, sessions: Vault, spaces: Vault) -> None:
        self._recorder = recorder
        self._sessions = sessions
        self._spaces = spaces
        self._keys: dict[Place, dict[str, str]] = {}  # of items that were looked at
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0

    def seal(self, place: Place, item_id: str, key: str, text: str) -> tuple[Sealed, Sealed]:
        """Key and text of an item to be. Raises OSError."""
        vault = self._vault(place)
        sealed_key = vault.seal(place.subject, _key_id(item_id), key.encode())
        return sealed_key, vault.seal(place.subject, item_id, text.encode())

    def key(self, item: Item) -> str:
        """The key under which an item is kept. Raises MemoryRefused, as `text` does."""
        known = self._keys.setdefault(item.place, {})
        key = known.get(item.id)
        if key is None:
            key = known[item.id] = self._opened(item.place, _key_id(item.id), item.key)
        return key

    def knows(self, item: Item) -> bool:
        """Whether its key was opened before."""
        return item.id in self._keys.get(item.place, {})

    def text(self, item: Item) -> str:
        """The text of an item.

        Raises MemoryRefused when it is not what was written, or its key is destroyed.
        """
        payload = self._held.get(item.id)
        if payload is None:
            payload = self._read(item)
        return self._opened(item.place, item.id, Sealed(item.commit, item.length, payload))

    def destroy(self, place: Place, *, but: Iterable[Item] = ()) -> int:
        """Destroy the keys of a place that none of these items needs; how many. Raises OSError."""
        stay = {item.id for item in but}
        known = self._keys.pop(place, {})
        if stay:
            self._keys[place] = {each: key for each, key in known.items() if each in stay}
        return self._vault(place).erase(place.subject, but=stay)

    def destroy_all(self, *, but: Iterable[Item]) -> int:
        """Destroy all keys that none of these items needs; how many. Raises OSError."""
        kept: dict[Vault, list[tuple[str, str]]] = {self._sessions: [], self._spaces: []}
        for item in but:
            kept[self._vault(item.place)].append((item.place.subject, item.id))
        return sum(vault.erase_all(but=needed) for vault, needed in kept.items())

    def _vault(self, place: Place) -> Vault:
        return self._sessions if place.of == "session" else self._spaces

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

    def _opened(self, place: Place, sealed_id: str, sealed: Sealed) -> str:
        try:
            return self._vault(place).open_payload(sealed_id, sealed).decode()
        except AuditError as error:
            raise _unreadable() from error


def _key_id(item_id: str) -> str:
    return f"{item_id}/key"


def _unreadable() -> MemoryRefused:
    return MemoryRefused("What is kept there is not as it was written, and is not given out.")
