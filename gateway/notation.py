"""Notation: how durations, addresses and URLs are written in a deployment file."""

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
)
_USUAL_PORT = {"http": "80", "https": "443"}
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LEAST_INTERVAL_MS = 100


def milliseconds(text: str) -> int:
    """A duration as written in files (`15m`, `1s`, `250ms`), in milliseconds. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration such as 15m, 10s or 250ms")
    return int(found["number"]) * _UNIT_MS[found["unit"]]


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else, whatever a resolver says."""
    found = _URL.match(url)
    host = "" if found is None else found["host"].strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _whole_seconds(text: str) -> str:
    if milliseconds(text) % 1000:
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return text


def _life(text: str) -> str:
    if not milliseconds(_whole_seconds(text)):
        raise ValueError("a token must live for a second at least")
    return text


def _interval(text: str) -> str:
    if milliseconds(text) < _LEAST_INTERVAL_MS:
        raise ValueError(f"{text!r} is shorter than {_LEAST_INTERVAL_MS}ms")
    return text


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:7300")
    return text


def _url(text: str) -> str:
    found = _URL.fullmatch(text)
    if found is None or int(found["port"] or 0) > 65_535:
        raise ValueError(f"{text!r} is no http(s) URL of a host in lower case, without a path")
    if found["port"] == _USUAL_PORT[found["scheme"]]:
        raise ValueError(f"{text!r} names the usual port, which no client sends: leave it out")
    return text


WholeSeconds = Annotated[str, AfterValidator(_whole_seconds)]
Life = Annotated[str, AfterValidator(_life)]
Interval = Annotated[str, AfterValidator(_interval)]
Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]
