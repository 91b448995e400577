"""The map by UMAP."""

from __future__ import annotations

import asyncio

import numpy as np
import psycopg
import pytest

from rowvec.config import Settings
from rowvec.explore.map.run import MapRequest, make_map
from rowvec.progress import LoggedProgress
from support.maps import texts
from support.postgres import Database


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_umap_parts_the_groups(database: Database, connection: psycopg.Connection) -> None:
    """In this process and slow: it compiles itself for a minute before it begins."""
    texts(connection, 200)
    settings = Settings.build(dsn=database.dsn)
    result = asyncio.run(
        make_map(settings, MapRequest("texts", method="umap"), LoggedProgress("map"))
    )
    assert result.method == "umap"
    found = connection.execute("SELECT kind, x, y FROM texts JOIN texts_map USING (id)").fetchall()
    even, odd = (
        np.array([place for name, *place in found if name == kind]) for kind in ("even", "odd")
    )
    spread = max(np.linalg.norm(group - group.mean(axis=0), axis=1).max() for group in (even, odd))
    assert np.linalg.norm(even.mean(axis=0) - odd.mean(axis=0)) > spread
