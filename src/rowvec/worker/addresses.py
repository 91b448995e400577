"""Addresses as the settings have them."""

from __future__ import annotations

from rowvec.errors import ConfigError


def split_address(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [V6]:PORT; raises ConfigError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(
            f"cannot listen on {address!r}", hint="give HOST:PORT, or an absolute folder"
        )
    return host.strip("[]"), int(port)
