"""Another password between the database and its worker, with no call refused meanwhile."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection
from pydantic import SecretStr

from rowvec.config import read_secrets
from rowvec.db.connection import database_errors
from rowvec.db.server import ping, set_worker
from rowvec.errors import ConfigError

_GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Rotation:
    """What was done. `may_be_logged` where Postgres's log may have the statement with it."""

    accepted: int
    may_be_logged: bool


def rotate(conn: Connection, password_file: Path, *, keep_old: bool) -> Rotation:
    """Makes a new password the first in the worker's file, then the mapping's.

    The worker accepts both in between, and only the new one afterwards, unless `keep_old`. The
    database calls the worker with the new one before it is kept: where that fails, file and mapping
    are as they were. Sessions that are connected stay connected. Raises ConfigError where the file
    cannot be written, DatabaseError where the worker does not take the new password.
    """
    old = read_secrets(password_file)
    new = SecretStr(secrets.token_urlsafe(32))
    write_secrets(password_file, [new, *old])
    try:
        with database_errors(), conn.transaction():
            quiet = set_worker(conn, {}, new).quiet
            # In the same transaction: if the new password is refused, no session has seen it.
            ping(conn)
    except BaseException:
        write_secrets(password_file, old)
        raise
    if not keep_old:
        # Somebody may have read the mapping just before, and be about to log in.
        time.sleep(_GRACE_SECONDS)
    kept = [new, *old] if keep_old else [new]
    write_secrets(password_file, kept)
    return Rotation(len(kept), may_be_logged=not quiet)


def forget_old(password_file: Path) -> int:
    """Leaves the first password of the file only; gives how many were there before."""
    found = read_secrets(password_file)
    write_secrets(password_file, found[:1])
    return len(found)


def write_secrets(path: Path, passwords: list[SecretStr]) -> None:
    """Replaces the lines of a file, whole or not at all; raises ConfigError.

    Owner and mode stay. A file that is itself a mount, as in a container, cannot be replaced
    and is written over.
    """
    content = "".join(f"{each.get_secret_value()}\n" for each in passwords).encode()
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        found = path.stat()
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), found.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            file.flush()
            os.fsync(file.fileno())
        try:
            partial.replace(path)
        except OSError:
            path.write_bytes(content)
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror or exc}") from exc
    finally:
        partial.unlink(missing_ok=True)
