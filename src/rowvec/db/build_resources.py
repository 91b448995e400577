"""What one build of an index may take of the server: memory and processes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rowvec.db.queries import query
from rowvec.db.session import Session


@dataclass(frozen=True)
class ServerResources:
    """The server as far as this role can see it; None is what it cannot.

    `cache_kb` is effective_cache_size: what its administrator says that there is for data.
    """

    maintenance_kb: int
    cache_kb: int
    max_workers: int
    workers: int
    available_kb: int | None
    processors: int | None

    @property
    def memory_kb(self) -> int:
        """For one build: half of what is there, and never less than maintenance_work_mem."""
        known = [self.cache_kb] if self.available_kb is None else [self.available_kb]
        return max(self.maintenance_kb, min(known) // 2)

    @property
    def parallel_workers(self) -> int:
        """Beside the session itself; as the server is set where its processors cannot be seen."""
        wanted = self.workers if self.processors is None else self.processors - 1
        return max(0, min(wanted, self.max_workers))


async def server_resources(session: Session) -> ServerResources:
    """Asks the server; the machine itself only where this role may read its files."""
    (found,) = await session.dicts(query("build_resources"))
    available = processors = None
    if found.pop("may_read_files"):
        memory = re.search(r"MemAvailable: +(\d+) kB", await _file(session, "/proc/meminfo"))
        available = int(memory[1]) if memory else None
        processors = len(
            re.findall("^processor", await _file(session, "/proc/cpuinfo"), re.MULTILINE)
        )
    return ServerResources(**found, available_kb=available, processors=processors)


async def _file(session: Session, path: str) -> str:
    """A file of the server, its first MB; empty where there is none, as on other systems."""
    content = await session.value("SELECT pg_read_file(%s, 0, 1048576, true)", (path,))
    return str(content or "")
