"""The passwords that the worker accepts: the lines of its password file, reread when it changes.

Two lines let a password be changed without refusing a client: while clients move from the old one
to the new one, both are right.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from rowvec.config import read_secrets
from rowvec.errors import ConfigError
from rowvec.protocol.scram import Verifier
from rowvec.worker.reloaded_file import ReloadedFile

# Deriving keys takes milliseconds for each, by design.
_MOST = 8


class Passwords:
    """What one file says. Raises ConfigError where it cannot be read at the start."""

    def __init__(self, path: Path) -> None:
        # One salt for all: it is sent before the client shows which password it has.
        self._salt = secrets.token_bytes(16)
        self._file = ReloadedFile(path, self._read)

    def verifiers(self) -> Sequence[Verifier]:
        """The passwords that are right now. A file that cannot be read changes nothing."""
        return self._file.get()

    def _read(self, path: Path) -> list[Verifier]:
        passwords = read_secrets(path)
        if len(passwords) > _MOST:
            raise ConfigError(f"{path} has more than {_MOST} passwords")
        return [Verifier.of(each.get_secret_value(), salt=self._salt) for each in passwords]
