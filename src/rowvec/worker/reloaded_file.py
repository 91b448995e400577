"""A file that is read again when it changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from rowvec.errors import ConfigError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ReloadedFile(Generic[T]):
    """What `read` makes of the file as it is now.

    Raises ConfigError where it cannot be read at the start; later such a file changes nothing.
    """

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self._path = path
        self._read = read
        self._seen = self._identity()
        self._made = read(path)

    def get(self) -> T:
        """The content of the file, or its last valid content."""
        identity = self._identity()
        if identity != self._seen:
            self._seen = identity
            try:
                self._made = self._read(self._path)
                logger.info("%s has changed, and holds from now on", self._path)
            except ConfigError as exc:
                logger.warning("%s: what was read before still holds", exc)
        return self._made

    def _identity(self) -> tuple[int, int, int] | None:
        """Changes with the file; None where there is none."""
        try:
            found = os.stat(self._path)  # noqa: PTH116  # at every login, and twice as fast
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
