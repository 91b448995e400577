"""Progress of a long job on a terminal: a bar with rows a second and the time that is left."""

from __future__ import annotations

from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from rowvec.backfill.report import Summary
from rowvec.cli.output import stderr
from rowvec.db.measured import Measured
from rowvec.load.report import LoadResult


class _RateColumn(ProgressColumn):
    """The rate in units per second, once it is known."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(
            "" if rate is None else f"{rate:,.0f} {self._unit}/s", style="progress.data.speed"
        )


def progress_bar(unit: str) -> Progress:
    """A bar on stderr with the count, the rate and the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
        console=stderr(),
        disable=not stderr().is_terminal,
        # Long enough to smooth batches of uneven length.
        speed_estimate_period=60,
    )


class BackfillBar:
    """A backfill's progress as a bar; sentences scroll by above it."""

    def __init__(self, description: str) -> None:
        self._bar = progress_bar("rows")
        self._task = self._bar.add_task(description, total=None, start=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, total: int) -> None:
        """So many rows are waiting."""
        self._bar.update(self._task, total=total)
        self._bar.start_task(self._task)

    def advance(self, summary: Summary) -> None:
        """A batch has been committed."""
        self._bar.update(self._task, completed=summary.handled)

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        self._bar.console.print(message, markup=False)


class LoadBar:
    """A load's progress: rows and bytes, a bar where it is known how many there are."""

    def __init__(self, description: str, size: int | None) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=stderr(),
            disable=not stderr().is_terminal,
        )
        self._task = self._bar.add_task(description, total=size, rows=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, loaded: LoadResult) -> None:
        """So many rows were sent."""
        self._bar.update(self._task, completed=loaded.bytes, rows=loaded.rows)

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        self._bar.console.print(message, markup=False)


class PhaseBar:
    """The progress of a job that has phases: one bar each."""

    def __init__(self, unit: str) -> None:
        self._bar = progress_bar(unit)
        self._task: TaskID | None = None
        self._name = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def phase(self, name: str, done: int, total: int) -> None:
        """What is being done, and how many of how many are done (0 of 0: unknown)."""
        if name != self._name or self._task is None:
            self._task, self._name = self._bar.add_task(name), name
        self._bar.update(self._task, completed=done, total=total or None)

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        self._bar.console.print(message, markup=False)


class IndexBar(PhaseBar):
    """The progress of a build."""

    def __init__(self) -> None:
        # Of rows or of pages, as the phase counts.
        super().__init__("steps")
        self._settings = 0

    def measured(self, one: Measured) -> None:
        """Another setting; how many there will be depends on what they find."""
        self._settings += one.setting is not None
        self.phase("measuring: settings tried", self._settings, 0)
