"""Connections whose client has not proved yet who it is: how many there may be."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

# Together with the clients that are logged in, fewer than the 1,024 files that most systems allow.
MOST = 384
MOST_OF_ONE_ADDRESS = 256

# A network of IPv6 gives every machine as many addresses as it likes: its prefix is counted.
_IPV6_PREFIX = 64

_CREDENTIALS = struct.Struct("3i")  # process, user, group


@dataclass(eq=False)
class Place:
    """One half-open connection; `drop` ends it, `leave` says that it is half-open no more."""

    address: str
    drop: Callable[[], object]
    leave: Callable[[], None]


class HalfOpen:
    """Places for so many in all, and for so many of one address.

    A newcomer always gets one: who is good logs in within milliseconds. The oldest connection goes
    for it, of the newcomer's own address where that has as many as it may, else of the address that
    has the most.
    """

    def __init__(self, most: int = MOST, most_of_one_address: int = MOST_OF_ONE_ADDRESS) -> None:
        self._most = most
        self._most_of_one_address = most_of_one_address
        # In the order in which they came.
        self._places: dict[str, dict[Place, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, address: str, drop: Callable[[], object]) -> Place:
        """A place of a connection that has come; another connection may be dropped for it."""
        if len(self._places.get(address, ())) >= self._most_of_one_address:
            self._drop_oldest(address)
        elif self._count >= self._most:
            self.drop_oldest()
        place = Place(address, drop, lambda: self._remove(place))
        self._places.setdefault(address, {})[place] = None
        self._count += 1
        return place

    def drop_oldest(self) -> None:
        """Makes room, at the cost of the address that has the most."""
        if self._places:
            self._drop_oldest(max(self._places, key=lambda each: len(self._places[each])))

    def _drop_oldest(self, address: str) -> None:
        oldest = next(iter(self._places[address]))
        self._remove(oldest)
        oldest.drop()

    def _remove(self, place: Place) -> None:
        of_address = self._places.get(place.address, {})
        if place not in of_address:
            return
        del of_address[place]
        self._count -= 1
        if not of_address:
            del self._places[place.address]


def address_of(client: socket.socket) -> str:
    """What is counted as one: a machine, a network of IPv6, a system user of this machine."""
    if client.family == socket.AF_UNIX:
        return _user_of(client)
    try:
        found = ipaddress.ip_address(client.getpeername()[0].partition("%")[0])
    except OSError:
        return "gone"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))


def _user_of(client: socket.socket) -> str:
    option = getattr(socket, "SO_PEERCRED", None)  # Linux has it
    if option is None:
        return "this machine"
    credentials = client.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return f"user {_CREDENTIALS.unpack(credentials)[1]}"
