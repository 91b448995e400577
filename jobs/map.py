"""Maps an embedding's rows: what `rowvec map` runs, and `python -m rowvec.jobs.map`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import orjson

from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn
from rowvec.db.schema import require_head
from rowvec.errors import RowvecError
from rowvec.explore.map.run import MapRequest, MapResult, make_map
from rowvec.explore.phases import LogPhases, Phases


def run(settings: Settings, request: MapRequest, phases: Phases) -> MapResult:
    """Places, stores and draws; killed, it leaves what an earlier run stored."""
    with connect(resolve_dsn(settings)) as connection:
        require_head(connection)
    return asyncio.run(make_map(settings, request, phases))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.map", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("--embedding", help="which one, where the table has several")
    parser.add_argument("--method", choices=["pca", "umap"], default="pca")
    parser.add_argument("--output", type=Path, help="map.html or map.png")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        result = run(Settings.build(), MapRequest(**vars(arguments)), LogPhases())
    except RowvecError as exc:
        sys.exit(f"error: {exc}")
    sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
