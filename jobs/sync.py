"""Keeps embeddings filled: what `rowvec sync` runs, and `python -m rowvec.jobs.sync`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import DatabaseUnavailable
from rowvec.job_runner import check_schema, result_of, run_until_signal
from rowvec.sync.run import Task, sync


def run(settings: Settings, sources: Sequence[str] | None, say: Callable[[str], None]) -> None:
    """Runs until SIGINT or SIGTERM, and the batch in hand is written; a second one ends at once."""
    try:
        check_schema(settings)
    except DatabaseUnavailable as exc:
        say(f"{exc}: waiting for it")
    run_until_signal(
        lambda stop: sync(Task(settings, sources, lambda: worker_conninfo(settings), say, stop))
    )


def main() -> int:
    """Settings from the environment, what happens to the log."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.sync", description=__doc__)
    parser.add_argument("sources", nargs="*", help="tables, as written in SQL; all where none is")
    arguments = parser.parse_args()
    say = logging.getLogger("rowvec.sync").info
    result_of(lambda: run(Settings.build(), arguments.sources or None, say))
    return 0


if __name__ == "__main__":
    sys.exit(main())
