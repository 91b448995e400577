"""A process that outlives its starter: remembered by number and birth, ended if it is the same.

A number alone is not enough: after a crash or a restart of a container another process may have it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Remembered:
    """A live process of ours: its number, and what it was started with."""

    pid: int
    fingerprint: str = ""


def remember(pid_file: Path, pid: int, fingerprint: str) -> None:
    """Writes the pid file, whole or not at all: number, birth, fingerprint, a line each."""
    partial = pid_file.with_suffix(".partial")
    partial.write_text(f"{pid}\n{_birth(pid) or ''}\n{fingerprint}\n")
    partial.replace(pid_file)


def recall(pid_file: Path) -> Remembered | None:
    """The process of the pid file if it still lives; a stale or broken file is no process."""
    try:
        number, birth, fingerprint = pid_file.read_text().split("\n")[:3]
        pid = int(number)
    except (OSError, ValueError):
        return None
    return Remembered(pid, fingerprint) if birth and _birth(pid) == birth else None


def listener(path: Path) -> int | None:
    """The process of this user that listens on a unix socket, where the system tells (Linux)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return None
        size = struct.calcsize("3i")
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, user, _ = struct.unpack("3i", credentials)
        return pid if pid and user == os.geteuid() else None


def end(pid: int, grace_seconds: float) -> bool:
    """SIGTERM, and SIGKILL after the grace; True if it went by itself."""
    birth = _birth(pid)
    if birth is None:
        return True
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, grace_seconds)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return number == signal.SIGTERM
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if _birth(pid) != birth:
                return number == signal.SIGTERM
            time.sleep(_POLL_SECONDS)
    return False


def _birth(pid: int) -> str | None:
    """When the process began, as the system counts; None if it is gone or only a zombie.

    Linux counts ticks since the boot, so the boot's own id belongs to it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        said = subprocess.run(
            ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
            check=False, capture_output=True, text=True,
        ).stdout.split(maxsplit=1)  # fmt: skip
        return None if not said or said[0].startswith("Z") else said[-1].strip()
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; what follows it does not.
    fields = status.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state in "ZX" else f"{boot} {start}"
