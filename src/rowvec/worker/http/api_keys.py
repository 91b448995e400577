"""The keys that HTTP clients show, one a line of a file; a changed file holds at once."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from rowvec.errors import AuthenticationError, ConfigError, reason
from rowvec.worker.reloaded_file import ReloadedFile


class ApiKeys:
    """Knows digests of the keys only. Raises ConfigError where the file has none."""

    def __init__(self, path: Path) -> None:
        self._file = ReloadedFile(path, _read)

    def check(self, authorization: str | None) -> None:
        """Raises AuthenticationError unless the header is `Bearer` and one of the keys."""
        scheme, _, key = (authorization or "").partition(" ")
        shown = _digest(key.strip())
        # Every key is compared, whichever matches: time tells nothing.
        matches = [hmac.compare_digest(shown, digest) for digest in self._file.get()]
        if scheme.lower() != "bearer" or not any(matches):
            raise AuthenticationError(
                "no valid API key was sent" if authorization else "an API key is needed",
                hint="send the header Authorization: Bearer KEY",
            )


def _read(path: Path) -> list[bytes]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the API keys in {path}: {reason(exc)}") from exc
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not keys:
        raise ConfigError(f"the file of API keys {path} has none", hint="one key a line")
    return [_digest(key) for key in keys]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
