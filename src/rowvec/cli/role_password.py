"""The file with the password of a role that a command makes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from rowvec.config import read_secret
from rowvec.errors import ConfigError


def role_password(file: Path | None) -> SecretStr | None:
    """The password in the file, which is made where it is not there; None without a file."""
    if file is None:
        return None
    if not file.exists():
        _write(file)
    return read_secret(file)


def _write(file: Path) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise ConfigError(f"cannot make {file}: {exc.strerror}") from exc
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{secrets.token_urlsafe(24)}\n")
