"""`rowvec demo`, and what it prints."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.places import ROWVEC, clean_environment

# What the demo promises, on two cores and after the installation.
PROMISED_SECONDS = 180


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command from another folder, and waits for as long as a demo may take."""
    return subprocess.run(
        [ROWVEC, *arguments],
        check=False, capture_output=True, text=True, cwd="/", env=clean_environment(),
        timeout=2 * PROMISED_SECONDS,
    )  # fmt: skip


def tables(output: str) -> list[str]:
    """What stands below the head of each printed table, up to the time it took."""
    return re.findall(r"─ *\n(.*?)\n *\n? +\d+ ms", output, flags=re.DOTALL)
