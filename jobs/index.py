"""Indexes an embedding column: what `rowvec index` runs, and `python -m rowvec.jobs.index`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import get_args

from rowvec.config import Settings
from rowvec.db.default_setting import Scope
from rowvec.db.index_form import Storage
from rowvec.index.build import build_index
from rowvec.index.index_progress import IndexProgress, LoggedIndexProgress
from rowvec.index.kinds import KINDS
from rowvec.index.request import IndexRequest, IndexResult
from rowvec.job_runner import check_schema, print_result, result_of


def run(settings: Settings, request: IndexRequest, reporter: IndexProgress) -> IndexResult:
    """Builds, measures and stores; Ctrl-C leaves an INVALID index that the next run replaces."""
    check_schema(settings)
    return asyncio.run(build_index(settings, request, reporter))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.index", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("--embedding", help="which one, where the table has several")
    parser.add_argument("--kind", choices=KINDS, help="what fits where not given")
    parser.add_argument("--storage", choices=get_args(Storage), help="what fits where not given")
    parser.add_argument("--lists", type=int, help="lists, of a kind that has them")
    parser.add_argument("--target-recall", type=float, help="recall@10 that search must reach")
    parser.add_argument("--rebuild", action="store_true", help="build anew what stands")
    parser.add_argument("--refresh", action="store_true", help="build anew what no longer fits")
    parser.add_argument(
        "--apply", choices=get_args(Scope), default="database",
        help="whose default the setting becomes, for queries by hand",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="build nothing")
    arguments = parser.parse_args()
    print_result(
        result_of(
            lambda: run(Settings.build(), IndexRequest(**vars(arguments)), LoggedIndexProgress())
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
