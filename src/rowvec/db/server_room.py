"""What is left on the server for a job: connections, and room on the disk."""

from __future__ import annotations

from dataclasses import dataclass

from rowvec.db.queries import query
from rowvec.db.session import Session


@dataclass(frozen=True)
class ServerRoom:
    """Connections that are free; where the data lie, None where this role may not know it.

    `is_local`: the server may be on this machine.
    """

    connections: int
    data_directory: str | None
    is_local: bool


async def server_room(session: Session) -> ServerRoom:
    """Asks the server."""
    (found,) = await session.dicts(query("server_room"))
    return ServerRoom(**found)
