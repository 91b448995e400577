"""What a test needs and the machine lacks: a skip for a newcomer, a failure in CI.

ROWVEC_TEST_WITHOUT names what may be missing in CI all the same, separated by commas: browser,
models, mount, pgbouncer, ray, docs, promtool, systemd, postgres15, postgres16, postgres17.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str, why: str) -> NoReturn:
    """Skips the test, or fails it where CI is set and ROWVEC_TEST_WITHOUT does not name `what`."""
    allowed = os.environ.get("ROWVEC_TEST_WITHOUT", "").split(",")
    if os.environ.get("CI") and what not in allowed:
        pytest.fail(f"{why}; where CI is set, only ROWVEC_TEST_WITHOUT={what} lets it be missing")
    pytest.skip(why)
