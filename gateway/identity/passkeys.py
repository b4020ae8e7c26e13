"""Passkeys: which operator has which, by the log.

A passkey is a key pair that never leaves a device, which signs only for the site that it was made
for and only after its owner has proven to be there. Of each the log has the public half, so that
what it signed can be checked again for as long as there is the log (`audit.assertion`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Self, cast
from urllib.parse import urlsplit

from audit.assertion import Assertion, PasskeyKey, check, has_grown
from audit.canonical import Json
from audit.errors import AssertionRefused

REGISTERED, REMOVED = "passkey.registered", "passkey.removed"

PROVIDER = "oidc:"
"""How the way of a log-in begins at which a provider said who somebody is."""

MAX_EACH = 10
"""Passkeys of one operator."""


@dataclass(frozen=True, slots=True)
class Site:
    """What passkeys are made for.

    rp_id   the host of the operators' listener: a name, since an address can have none
    origin  of its pages
    """

    rp_id: str
    origin: str

    @classmethod
    def of(cls, url: str) -> Self | None:
        """The site at this origin; None where it is an address."""
        host = urlsplit(url).hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return cls(host, url)
        return None


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey.

    id        what its authenticator calls it, in base64url
    operator  whose it is
    label     what its owner calls it
    rp_id     what it was made for
    count     how often it said it had signed, when it was last used
    made      second of its registration
    """

    id: str
    operator: str
    label: str
    key: PasskeyKey
    rp_id: str
    count: int
    made: int

    def check(self, assertion: Assertion, challenge: bytes, site: Site) -> int:
        """Check that it signed `challenge` on a page of `site`; what it counts now.

        Raises AssertionRefused.
        """
        count = check(
            assertion, challenge=challenge, key=self.key, rp_id=self.rp_id, origin=site.origin
        )
        if not has_grown(self.count, count):
            raise AssertionRefused("its count went back: somebody may have copied this passkey")
        return count

    def to_json(self) -> dict[str, Json]:
        """The members of its row."""
        return {
            "passkey": self.id,
            "operator": self.operator,
            "label": self.label,
            "key": str(self.key),
            "rp_id": self.rp_id,
            "count": self.count,
            "made": self.made,
        }


@dataclass(frozen=True, slots=True)
class Vouched:
    """What the provider said of an operator at their last log-in there, and in which second."""

    groups: frozenset[str]
    at: int


class Passkeys:
    """The passkeys that stand, and what is known of their owners; a room of the state.

    changed  keys whose row is no longer as last stored
    """

    def __init__(self) -> None:
        self._passkeys: dict[str, Passkey] = {}
        self._vouched: dict[str, Vouched] = {}
        self.changed: set[str] = set()

    def get(self, passkey: str) -> Passkey | None:
        """The passkey of that id."""
        return self._passkeys.get(passkey)

    def all(self) -> tuple[Passkey, ...]:
        """Every passkey, oldest first."""
        return tuple(sorted(self._passkeys.values(), key=lambda each: (each.made, each.id)))

    def of(self, operator: str) -> tuple[Passkey, ...]:
        """The passkeys of one operator, oldest first."""
        return tuple(each for each in self.all() if each.operator == operator)

    def vouched(self, operator: str) -> Vouched | None:
        """What the provider last said of an operator."""
        return self._vouched.get(operator)

    # -- entries

    def registered(self, body: Mapping[str, Json]) -> None:
        """Entry `passkey.registered`. Of two with one id the first stands."""
        passkey = cast("str", body["passkey"])
        if passkey not in self._passkeys:
            made = cast("int", body["ts"]) // 1_000_000
            self._passkeys[passkey] = _read({**body, "made": made})
            self.changed.add(f"passkey {passkey}")

    def removed(self, body: Mapping[str, Json]) -> None:
        """Entry `passkey.removed`."""
        self._drop(cast("str", body["passkey"]))

    def logged_in(self, body: Mapping[str, Json]) -> None:
        """Entry `operator.login`: a count that has grown, or news of the provider."""
        name = cast("str", body["operator"])
        if "passkey" in body:
            self._used(body)
        if cast("str", body["by"]).startswith(PROVIDER):
            groups = frozenset(cast("list[str]", body["groups"]))
            self._vouched[name] = Vouched(groups, cast("int", body["ts"]) // 1_000_000)
            self.changed.add(f"operator {name}")

    def signed(self, body: Mapping[str, Json]) -> None:
        """Entry `approval.decided`: a count that has grown, where the answer was signed."""
        signed = cast("Mapping[str, Json] | None", body.get("signed"))
        if signed is not None:
            self._used(signed)

    def begun_anew(self, body: Mapping[str, Json]) -> None:
        """Entry `operator.invited` or `operator.removed`: what they had before is over."""
        name = cast("str", body["operator"])
        for passkey in self.of(name):
            self._drop(passkey.id)
        self._vouched.pop(name, None)
        self.changed.add(f"operator {name}")

    # -- the view

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of a passkey or an operator; None when there is nothing to keep."""
        kind, _, name = key.partition(" ")
        if kind == "passkey":
            found = self._passkeys.get(name)
            return None if found is None else found.to_json()
        vouched = self._vouched.get(name)
        if vouched is None:
            return None
        return {"groups": list[Json](sorted(vouched.groups)), "at": vouched.at}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        kind, _, name = key.partition(" ")
        if kind == "passkey":
            self._passkeys[name] = _read(row)
        else:
            groups = frozenset(cast("list[str]", row["groups"]))
            self._vouched[name] = Vouched(groups, cast("int", row["at"]))

    def _used(self, said: Mapping[str, Json]) -> None:
        used = self._passkeys.get(cast("str", said["passkey"]))
        if used is not None:
            count = max(used.count, cast("int", said["count"]))  # of two at once, whichever order
            self._passkeys[used.id] = replace(used, count=count)
            self.changed.add(f"passkey {used.id}")

    def _drop(self, passkey: str) -> None:
        self._passkeys.pop(passkey, None)
        self.changed.add(f"passkey {passkey}")


def _read(row: Mapping[str, Json]) -> Passkey:
    return Passkey(
        id=cast("str", row["passkey"]),
        operator=cast("str", row["operator"]),
        label=cast("str", row["label"]),
        key=PasskeyKey.read(cast("str", row["key"])),
        rp_id=cast("str", row["rp_id"]),
        count=cast("int", row["count"]),
        made=cast("int", row["made"]),
    )
