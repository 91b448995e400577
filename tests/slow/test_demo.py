"""`rowvec demo` on the whole library."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.demo import PROMISED_SECONDS, run, tables


@pytest.mark.timeout(3 * PROMISED_SECONDS)
def test_all_of_the_library_in_under_three_minutes(folder: Path) -> None:
    """The promise of `make demo`; the machine must have nothing else to do."""
    home = folder / "whole-demo"
    began = time.monotonic()
    done = run("demo", "--data", home)
    seconds = time.monotonic() - began
    run("down", "--data", home)
    assert done.returncode == 0, done.stderr
    arguments, directory, strings = tables(done.stdout)
    assert "argparse." in arguments
    assert "tempfile." in directory
    assert "difflib." in strings
    assert seconds < PROMISED_SECONDS
