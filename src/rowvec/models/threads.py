"""How many threads a forward pass gets: what the machine grants this process, not what it has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def granted_threads(asked: int | None = None, *, cgroup: Path = _CGROUP) -> int:
    """`asked`, else the processors of the affinity mask, at most those that a container may use.

    A limit of 1.5 processors gives 2: a thread too many waits, one too few leaves half unused.
    """
    if asked is not None:
        return asked
    # Systems without affinity masks (macOS) have no control groups either.
    mask = getattr(os, "sched_getaffinity", None)
    processors = (os.cpu_count() or 1) if mask is None else len(mask(0))
    quota = _quota(cgroup)
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Processors that the control group grants, of version 2 or 1; None where it sets no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if not limit.isdigit() or not period.isdigit() or int(period) == 0:
        return None
    return int(limit) / int(period)
