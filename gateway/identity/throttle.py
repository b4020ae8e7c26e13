"""A throttle: how often something may be tried within a time, by key, in bounded memory."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network


@dataclass(slots=True)
class _Window:
    began: int
    used: int = 0


class Throttle:
    """Allows `attempts` per key in each window of `window_s` seconds.

    max_keys  keys that are counted; beyond it the oldest window is forgotten
    """

    def __init__(self, *, attempts: int, window_s: int, max_keys: int = 4096) -> None:
        self._attempts = attempts
        self._window_s = window_s
        self._max_keys = max_keys
        self._windows: dict[str, _Window] = {}  # oldest first

    def charge(self, key: str, now_s: int) -> int:
        """Count one attempt; 0 when it is allowed, else the seconds to wait.

        Attempts are counted before they are made, so that many at once are counted too.
        """
        window = self._windows.get(key)
        if window is None or now_s >= window.began + self._window_s:
            window = self._open(key, now_s)
        if window.used >= self._attempts:
            return max(1, window.began + self._window_s - now_s)
        window.used += 1
        return 0

    def forgive(self, key: str) -> None:
        """Take one attempt back: it succeeded."""
        window = self._windows.get(key)
        if window is not None and window.used:
            window.used -= 1

    def _open(self, key: str, now_s: int) -> _Window:
        self._windows.pop(key, None)
        while len(self._windows) >= self._max_keys:
            del self._windows[next(iter(self._windows))]
        window = self._windows[key] = _Window(now_s)
        return window


def network(source: str) -> str:
    """Whom to count a peer address (`127.0.0.1:41022`) as: its host; for IPv6 the /64 around it.

    Whoever has one IPv6 address has the 2**64 beside it.
    """
    host = source.rpartition(":")[0].strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), 64), strict=False))
