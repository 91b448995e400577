"""Where the progress of a build or a tune goes, and that place as lines in the log."""

from __future__ import annotations

import logging
from typing import Protocol

from rowvec.db.measured import Measured
from rowvec.progress import LoggedProgress, Progress

_LOG = logging.getLogger("rowvec.index")


class IndexProgress(Progress, Protocol):
    """Hears of phases, as Postgres counts them, and of what is measured."""

    def measured(self, one: Measured) -> None:
        """Another setting has been measured."""


class LoggedIndexProgress(LoggedProgress):
    """Lines in the log."""

    def __init__(self) -> None:
        super().__init__("index")

    def measured(self, one: Measured) -> None:
        """Another setting has been measured."""
        if one.setting is not None:
            _LOG.debug("%s: recall %.3f, %.2f ms", one.setting, one.recall, one.p50_ms)
