"""Addresses in conditions: the one host that all readers find in a mail address, URL or name.

What two parsers may read differently has no domain: user-info, encoded hosts, numbers that some
take for IPv4, letters that some map and others refuse (RFC 3986, RFC 5321, IDNA 2008). Names are
answered in lower case and A-labels, without port and final dot; IPv6 in brackets, compressed.
"""

import ipaddress
import re

import idna

from policies.errors import ConditionFailed

MAX_LENGTH = 2_048

# RFC 3986: authority ends at the first of these; its user-info is refused.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(?:[/?#].*)?")
# RFC 5321 dot-string; quoted and internationalised local parts are refused.
_MAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([^@]*)")
_PORT = re.compile(r":([1-9][0-9]{0,4})")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:]{2,39})\](.*)")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# The URL standard takes a host whose last label is one of these for an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# IDNA 2003 and 2008 disagree about these.
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")


def domain(address: str) -> str:
    """The host of `user@host`, `scheme://host:port/...`, `host:port` or `host`.

    Raises ConditionFailed when there is none, or more than one reading.
    """
    if len(address) > MAX_LENGTH:
        raise ConditionFailed(f"an address has at most {MAX_LENGTH} characters")
    if not address.isprintable() or " " in address or "\\" in address:
        raise ConditionFailed("address holds blanks, invisible characters or a backslash")
    if mail := _MAIL.fullmatch(address):
        return _name(mail[1])
    url = _URL.fullmatch(address)
    return _authority(url[1] if url else address)


def _authority(text: str) -> str:
    if "%" in text or "@" in text:
        raise ConditionFailed("host holds user-info or percent-encoding")
    if literal := _IPV6.fullmatch(text):
        _check_port(literal[2])
        return _ipv6(literal[1])
    name, colon, number = text.partition(":")
    _check_port(colon + number)
    return _name(name)


def _check_port(text: str) -> None:
    if not text:
        return
    port = _PORT.fullmatch(text)
    if port is None or int(port[1]) > 65_535:
        raise ConditionFailed("port is not a number from 1 to 65535")


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ConditionFailed("not an IPv6 address") from None
    if address.ipv4_mapped or address.sixtofour or address.teredo:
        raise ConditionFailed("IPv6 address that stands for an IPv4 address")
    return f"[{address.compressed}]"


def _name(text: str) -> str:
    labels = text.removesuffix(".").split(".")
    name = ".".join(map(_label, labels))
    if len(name) > 253:
        raise ConditionFailed("host name has more than 253 characters")
    if _NUMBER.fullmatch(labels[-1].lower()):
        return _ipv4(text)
    return name


def _label(text: str) -> str:
    if not text.isascii():
        return _a_label(text)
    label = text.lower()
    if not _LABEL.fullmatch(label):
        raise ConditionFailed("host name holds something else than letters, digits and hyphens")
    if label[2:4] == "--":
        _check_a_label(label)
    return label


def _a_label(text: str) -> str:
    if _DEVIATIONS.intersection(text):
        raise ConditionFailed("host name that versions of IDNA read differently")
    try:
        return idna.alabel(text).decode()
    except idna.IDNAError:
        raise ConditionFailed("host name is no IDNA 2008 name") from None


def _check_a_label(label: str) -> None:
    try:
        written = idna.ulabel(label)
    except idna.IDNAError:
        raise ConditionFailed("host name holds a broken A-label") from None
    if _a_label(written) != label:
        raise ConditionFailed("host name holds a broken A-label")


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ConditionFailed("number that some read as an IPv4 address") from None
