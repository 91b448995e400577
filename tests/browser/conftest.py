"""A browser, and where its pictures are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from support.skips import missing

# Reached by a failure only.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def artifacts(pytestconfig: pytest.Config) -> Path:
    """Where screenshots are kept: test-artifacts/, or what ROWVEC_TEST_ARTIFACTS names."""
    named = os.environ.get("ROWVEC_TEST_ARTIFACTS")
    folder = Path(named) if named else pytestconfig.rootpath / "test-artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# One a module: while it runs, playwright holds the thread's event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium; tests are skipped without one."""
    executable = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if executable is None:
        missing("browser", "there is no Chromium on this machine (apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()
