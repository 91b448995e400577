"""Addresses as settings and requests have them, and whether one is this machine."""

from __future__ import annotations

import re
from ipaddress import ip_address

from rowvec.errors import ConfigError

# A header Host: an address of IPv6 in brackets, or a name, and a port.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z._-]+))(?::\d{1,5})?", re.IGNORECASE)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [V6]:PORT; raises ConfigError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(
            f"cannot listen on {address!r}", hint="give HOST:PORT, or an absolute folder"
        )
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine and nothing beyond it."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def name_in(header: str) -> str:
    """The name or address of a header Host, empty where it is none."""
    found = _HOST.fullmatch(header)
    return "" if found is None else found[1] or found[2]
