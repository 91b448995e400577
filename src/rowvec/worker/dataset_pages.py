"""Datasets that are being read, each by a process of its own, page after page."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from rowvec.config import engine_environment
from rowvec.datasets.listing import DatasetListing
from rowvec.errors import BackendFailed, InvalidRequest, Overloaded, from_sqlstate
from rowvec.protocol.request import Page, Request
from rowvec.worker.dataset_reader import LENGTH, OK

PAGE_ROWS = 1000
PAGE_BYTES = 1_000_000

# A client that asks for no page for this long has gone; another page opens the dataset again.
IDLE_SECONDS = 60.0

MAX_OPEN = 4


@dataclass(eq=False)
class _Reader:
    """One open dataset. `position` rows of it were given."""

    what: tuple[Any, ...]
    position: int
    process: asyncio.subprocess.Process
    busy: bool = False
    last_use: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = None


class Datasets:
    """Gives pages of listed datasets; holds few open, and none for clients that left."""

    def __init__(
        self,
        listing: DatasetListing,
        *,
        max_open: int = MAX_OPEN,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._listing = listing
        self._max_open = max_open
        self._idle_seconds = idle_seconds
        self._readers: dict[str, _Reader] = {}
        self._starting = 0
        self._ending: set[asyncio.Task[int]] = set()

    @property
    def open(self) -> int:
        """Datasets that are open."""
        return len(self._readers)

    async def page(self, request: Request) -> list[bytes]:
        """The next rows as JSON, the columns before the first; none after the last.

        Raises NotAllowed for what is not listed, Overloaded where too many are being read, or what
        kept the dataset from being read.
        """
        spec = self._listing.find(request.model)
        page = request.page
        assert page is not None
        unknown = sorted(set(request.kwargs) - {"split"})
        if unknown:
            raise InvalidRequest(
                f"unknown kwargs: {', '.join(name[:50] for name in unknown[:5])}",
                hint="load_dataset knows: split",
            )
        split = request.kwargs.get("split")
        if not isinstance(split, str | None):
            raise InvalidRequest("split must be the name of a split")
        what = (spec.name, page.subset, split, page.limit)
        reader = self._readers.get(page.cursor)
        if reader is not None and (
            reader.busy or reader.what != what or reader.position != page.offset
        ):
            self._drop(page.cursor)
            reader = None
        if reader is None:
            asked = {
                "spec": asdict(spec), "subset": page.subset, "split": split,
                "offset": page.offset, "limit": page.limit,
            }  # fmt: skip
            reader = await self._opened(page.cursor, what, page.offset, asked)
        return await self._read(page, reader)

    async def close(self) -> None:
        """Ends every process."""
        for cursor in list(self._readers):
            self._drop(cursor)
        await asyncio.gather(*self._ending)

    async def _opened(
        self, cursor: str, what: tuple[Any, ...], offset: int, asked: dict[str, Any]
    ) -> _Reader:
        if len(self._readers) + self._starting >= self._max_open:
            idle = [c for c, reader in self._readers.items() if not reader.busy]
            if not idle:
                raise Overloaded(
                    f"the worker reads {self._max_open} datasets already", hint="try again later"
                )
            self._drop(min(idle, key=lambda c: self._readers[c].last_use))
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rowvec.worker.dataset_reader",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env={
                    **engine_environment(1),
                    "HF_DATASETS_OFFLINE": "1",
                    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
                },
            )  # fmt: skip
        finally:
            self._starting -= 1
        assert process.stdin is not None
        process.stdin.write(orjson.dumps(asked, default=str) + b"\n")
        reader = self._readers[cursor] = _Reader(what, offset, process)
        return reader

    async def _read(self, page: Page, reader: _Reader) -> list[bytes]:
        reader.busy = True
        if reader.timer is not None:
            reader.timer.cancel()
        keeps = False
        try:
            rows = await _ask(reader.process)
            count = len(rows) - (1 if page.offset == 0 else 0)
            reader.position += count
            keeps = count > 0 and (page.limit is None or reader.position < page.limit)
            return rows
        finally:
            # Also where the client left, or the data could not be read.
            reader.busy = False
            reader.last_use = time.monotonic()
            if self._readers.get(page.cursor) is reader:
                if keeps:
                    reader.timer = _later(self._idle_seconds, lambda: self._drop(page.cursor))
                else:
                    self._drop(page.cursor)

    def _drop(self, cursor: str) -> None:
        reader = self._readers.pop(cursor)
        if reader.timer is not None:
            reader.timer.cancel()
        if reader.process.returncode is None:
            reader.process.kill()
        task = asyncio.get_running_loop().create_task(reader.process.wait())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _ask(process: asyncio.subprocess.Process) -> list[bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"%d %d\n" % (PAGE_BYTES, PAGE_ROWS))
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        status = await process.stdout.readexactly(1)
        text = await process.stdout.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as exc:
        raise BackendFailed(
            "the process that read the dataset ended", hint="the worker's log may say why"
        ) from exc
    if status != OK:
        said = orjson.loads(text)
        raise from_sqlstate(said["sqlstate"], said["message"], said["hint"])
    return text.split(b"\n") if text else []


def _later(seconds: float, run: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, run)
