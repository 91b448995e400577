"""Clusters an embedding's rows: what `rowvec cluster` runs, and `python -m rowvec.jobs.cluster`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rowvec.config import Settings
from rowvec.explore.cluster.run import ClusterRequest, ClusterResult, Summarise, cluster
from rowvec.job_runner import check_schema, print_result, result_of
from rowvec.progress import LoggedProgress, Progress


def run(
    settings: Settings,
    request: ClusterRequest,
    progress: Progress,
    summarise: Summarise | None = None,
) -> ClusterResult:
    """Clusters and stores; killed, it leaves what an earlier run stored."""
    check_schema(settings)
    return asyncio.run(cluster(settings, request, progress, summarise))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.cluster", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("clusters", type=int, help="how many")
    parser.add_argument("--embedding", help="which one, where the table has several")
    arguments = parser.parse_args()
    print_result(
        result_of(
            lambda: run(
                Settings.build(), ClusterRequest(**vars(arguments)), LoggedProgress("cluster")
            )
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
