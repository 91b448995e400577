"""A crew of processes on this machine: started, listened to, started again when killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import orjson

from rowvec.backfill.crew.crew import Crew, close, share, together
from rowvec.backfill.report import Reporter, Summary
from rowvec.backfill.run import BackfillRequest
from rowvec.config import Settings, child_environment
from rowvec.errors import BackendFailed
from rowvec.filling.outcome import FailedRow
from rowvec.filling.patience import sleep_unless

_INTERRUPTED = 130
# A process that is killed again and again would be started without end.
_RESTARTS = 5
_MAX_LINE = 1 << 22
_LOOK_SECONDS = 0.2


async def run_processes(
    settings: Settings,
    request: BackfillRequest,
    crew: Crew,
    reporter: Reporter,
    stop: asyncio.Event,
) -> Summary:
    """Runs the crew to the end, or to the batches in hand on a stop.

    Raises BackendFailed with what the first that failed said; the others end after their batch.
    """
    each_settings, each_request = share(settings, request, crew.workers)
    board = _Board(reporter)
    command = _command(each_request, crew)
    ended = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            hands = [
                group.create_task(_Hand(number, command, each_settings, board, ended).run())
                for number in range(crew.workers)
            ]
            group.create_task(_pass_on(stop, ended, hands))
    except* BackendFailed as failed:
        raise failed.exceptions[0] from None
    total = board.total()
    total.stopped = total.stopped or stop.is_set()
    await close(settings, request, total, reporter)
    return total


def _command(request: BackfillRequest, crew: Crew) -> list[str]:
    given = {"embedding": request.embedding, "limit": request.limit, "engine": crew.engine}
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    module = [sys.executable, "-m", "rowvec.jobs.backfill"]
    return [*module, *options, "--part-of-crew", "--", request.source]


async def _pass_on(
    stop: asyncio.Event, ended: asyncio.Event, hands: list[asyncio.Task[None]]
) -> None:
    """Tells the hands of a stop; ends with them."""
    while not stop.is_set() and not all(hand.done() for hand in hands):
        await sleep_unless(stop, _LOOK_SECONDS)
    ended.set()


class _Board:
    """What everybody did so far."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._parts: dict[tuple[int, int], Summary] = {}
        self._said: set[str] = set()
        self._has_begun = False

    def note(self, who: tuple[int, int], line: dict[str, Any]) -> None:
        """Takes a line of a process."""
        if "say" in line and line["say"] not in self._said:
            # What all of them report is printed once.
            self._said.add(line["say"])
            self._reporter.say(line["say"])
        if "total" in line and not self._has_begun:
            self._has_begun = True
            self._reporter.begin(line["total"])
        if "summary" in line:
            failures = [FailedRow(**failure) for failure in line["summary"].pop("failures")]
            self._parts[who] = Summary(**line["summary"], failures=failures)
            self._reporter.advance(self.total())

    def total(self) -> Summary:
        return together(self._parts.values())


class _Hand:
    """One place in the crew; who is killed in it is replaced."""

    def __init__(
        self,
        number: int,
        command: list[str],
        settings: Settings,
        board: _Board,
        ended: asyncio.Event,
    ) -> None:
        self._number = number
        self._command = command
        self._environment = child_environment(settings)
        self._board = board
        self._ended = ended

    async def run(self) -> None:
        """Returns when the job is done or was stopped."""
        for life in range(_RESTARTS + 1):
            code, said = await self._live(life)
            # Before it listens to signals, the one that asks it to stop ends it.
            was_asked_to = self._ended.is_set() and code == -signal.SIGINT
            if code in (0, _INTERRUPTED) or was_asked_to:
                return
            if code > 0 or life == _RESTARTS:
                break
            sentence = f"process {self._number + 1} was ended by signal {-code}, starting another"
            self._board.note((self._number, life), {"say": sentence})
        raise BackendFailed(said or f"a process ended with {code}")

    async def _live(self, life: int) -> tuple[int, str]:
        """Runs one process to its end: its exit code, and its error or the last it wrote."""
        process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            # A terminal's Ctrl-C comes to us alone, and from us to them.
            start_new_session=True, limit=_MAX_LINE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        stopping = asyncio.create_task(self._stop(process))
        errors = asyncio.create_task(process.stderr.read())
        error: str | None = None
        try:
            async for line in process.stdout:
                told = orjson.loads(line)
                error = told.get("error", error)
                self._board.note((self._number, life), told)
            lines = (await errors).decode(errors="replace").split("\n")
            said = error or next((e for e in reversed(lines) if e), "")
            return await process.wait(), said
        finally:
            stopping.cancel()
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                await process.wait()

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        await self._ended.wait()
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
