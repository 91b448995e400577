"""Plans of all functions that search, on Postgres 18; tests/majors has the older ones."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from rowvec.embedded.postgres import PostgresCluster
from support.plans import CALLS, FORMS, database_of_vectors, index_of, plan_by_hand, reads_the_index


@pytest.fixture(scope="module")
def vectors(cluster: PostgresCluster) -> Iterator[psycopg.Connection]:
    with database_of_vectors(cluster) as connection:
        yield connection


@pytest.fixture(scope="module", params=FORMS)
def indexed(
    request: pytest.FixtureRequest, vectors: psycopg.Connection
) -> Iterator[psycopg.Connection]:
    """The same with one form of index."""
    with index_of(request.param, vectors):
        yield vectors


@pytest.mark.parametrize("call", CALLS)
def test_every_search_reads_the_index(indexed: psycopg.Connection, call: str) -> None:
    assert reads_the_index(indexed, call)


def test_by_hand_the_index_is_read_too(indexed: psycopg.Connection) -> None:
    assert "Index Scan using items_embedding_idx" in plan_by_hand(indexed)
