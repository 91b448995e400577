"""The passwords that the worker accepts: the lines of its password file, read anew when it changes.

Two lines let a password be changed with nobody refused: while clients move from the old one to the
new one, both are right.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from rowvec.config import read_secrets
from rowvec.errors import ConfigError
from rowvec.protocol.scram import Verifier

logger = logging.getLogger(__name__)

# Deriving keys takes milliseconds for each, by design.
_MOST = 8


class Passwords:
    """What one file says. Raises ConfigError where it cannot be read at the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One salt for all: it is sent before the client shows which password it has.
        self._salt = secrets.token_bytes(16)
        self._read_from = self._identity()
        self._verifiers = self._read()

    def verifiers(self) -> Sequence[Verifier]:
        """The passwords that are right now. A file that cannot be read changes nothing."""
        try:
            identity = self._identity()
            if identity != self._read_from:
                self._read_from = identity
                self._verifiers = self._read()
                logger.info("%d passwords are accepted from now on", len(self._verifiers))
        except ConfigError as exc:
            logger.warning("the passwords stay as they were: %s", exc)
        return self._verifiers

    def _read(self) -> list[Verifier]:
        passwords = read_secrets(self._path)
        if len(passwords) > _MOST:
            raise ConfigError(f"{self._path} has more than {_MOST} passwords")
        return [Verifier.of(each.get_secret_value(), salt=self._salt) for each in passwords]

    def _identity(self) -> tuple[int, int, int] | None:
        """Changes with the file; None where there is none."""
        try:
            found = os.stat(self._path)  # noqa: PTH116  # at every login
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
