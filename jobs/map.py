"""Maps an embedding's rows: what `rowvec map` runs, and `python -m rowvec.jobs.map`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rowvec.config import Settings
from rowvec.explore.map.run import MapRequest, MapResult, make_map
from rowvec.job_runner import check_schema, print_result, result_of
from rowvec.progress import LoggedProgress, Progress


def run(settings: Settings, request: MapRequest, progress: Progress) -> MapResult:
    """Places, stores and draws; killed, it leaves what an earlier run stored."""
    check_schema(settings)
    return asyncio.run(make_map(settings, request, progress))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.map", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("--embedding", help="which one, where the table has several")
    parser.add_argument("--method", choices=["pca", "umap"], default="pca")
    parser.add_argument("--output", type=Path, help="map.html or map.png")
    arguments = parser.parse_args()
    print_result(
        result_of(
            lambda: run(Settings.build(), MapRequest(**vars(arguments)), LoggedProgress("map"))
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
