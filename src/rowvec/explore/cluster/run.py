"""Clusters the rows of a source by their vectors, names the clusters, and stores both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowvec.config import Settings
from rowvec.db.cluster_rows import CentralRow, ClusterRows
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.owner import AsOwner
from rowvec.db.session import Session, open_session
from rowvec.db.vectors import Vectors
from rowvec.errors import InvalidRequest
from rowvec.explore.cluster.kmeans import KMeans, Reservoir
from rowvec.explore.cluster.words import GroupWords
from rowvec.explore.one_thread import one_thread
from rowvec.explore.unit_vectors import UnitVectors
from rowvec.progress import Progress

_APPLICATION = "rowvec cluster"

_MAX_MEAN_PASSES = 20
# Centroids that moved less than this (a mean of squares, at length 1) have settled.
_SETTLED = 1e-5

_CENTRAL_ROWS = 5
_CENTRAL_CHARACTERS = 300
_WORDS = 10
_WORDS_OF_A_NAME = 3
_SAMPLED_TEXTS = 20_000
_FEWEST_SAMPLED_TEXTS = 50
_SAMPLED_CHARACTERS = 2_000


@dataclass(frozen=True)
class ClusterRequest:
    """What to cluster: a table's name as written in SQL, the embedding, its default where None."""

    source: str
    clusters: int
    embedding: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Cluster:
    """One cluster; the largest has number 1. `summary` is a language model's, if one was asked."""

    cluster: int
    rows: int
    name: str
    words: list[str]
    summary: str | None
    central: list[CentralRow]


@dataclass(frozen=True)
class ClusterResult:
    """What was found, and the tables it is stored in."""

    source: str
    embedding: str
    rows: int
    table: str
    centroids: str
    clusters: list[Cluster]


# Gives a cluster its name and summary, from its words and its most central rows.
Summarise = Callable[[Cluster], Cluster]


async def cluster(
    settings: Settings,
    request: ClusterRequest,
    progress: Progress,
    summarise: Summarise | None = None,
) -> ClusterResult:
    """Assigns every row that has a vector, and replaces what an earlier run stored.

    Raises InvalidRequest where there are fewer vectors than clusters, DatabaseError as Postgres
    gives it. Nothing is stored before all is known but the names.
    """
    dsn = resolve_dsn(settings)
    async with open_session(dsn, _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        owner = await AsOwner.of(session, definition)
        vectors = await Vectors.of(owner, definition)
        source = UnitVectors(vectors, await vectors.count(), progress)
        if source.rows < request.clusters:
            raise InvalidRequest(
                f"{source.rows:,} rows of {definition.table} have a vector in {definition.name},"
                f" too few for {request.clusters:,} clusters",
                hint=f"run `rowvec backfill {request.source}` first, or ask for fewer",
            )
        with one_thread():
            kmeans = await _fit(source, request, definition.dimensions)
            sizes = await _sort(source, kmeans)
            table, centroids = await _tables(session, definition, vectors.column.type)
            async with open_session(dsn, _APPLICATION) as writing:
                await _store(source, kmeans, table, await AsOwner.of(writing, definition))
        progress.phase("naming the clusters", 0, 0)
        found = await _describe(ClusterRows(owner, definition, table), sizes)
        if summarise is not None:
            found = [_summarised(one, summarise, progress, len(found)) for one in found]
        await _store_centroids(owner, centroids, vectors.column.type, kmeans, found)
    return ClusterResult(
        source=definition.table,
        embedding=definition.name,
        rows=source.rows,
        table=table.table,
        centroids=centroids.table,
        clusters=found,
    )


async def _fit(source: UnitVectors, request: ClusterRequest, dimensions: int) -> KMeans:
    sample = Reservoir.for_clusters(request.clusters, dimensions, source.rows, request.seed)
    async for batch in source.batches("sampling"):
        sample.add(batch.vectors)
    kmeans = KMeans(request.clusters, request.seed)
    source.progress.phase("finding where to begin", 0, 0)
    kmeans.begin(sample.rows())
    for number in range(1, _MAX_MEAN_PASSES + 1):
        means = kmeans.mean()
        async for batch in source.batches(f"pass {number}"):
            means.add(batch.vectors)
        if means.move() < _SETTLED:
            break
    return kmeans


async def _sort(source: UnitVectors, kmeans: KMeans) -> NDArray[np.int64]:
    """Puts the largest cluster first and leaves out those without a row; gives their sizes."""
    sizes = np.zeros(len(kmeans.centroids), np.int64)
    async for batch in source.batches("counting"):
        sizes += np.bincount(kmeans.assign(batch.vectors).labels, minlength=len(sizes))
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    kmeans.centroids = kmeans.centroids[order]
    return sizes[order]


async def _tables(
    session: Session, definition: Definition, vector: str
) -> tuple[DerivedTable, DerivedTable]:
    table = await DerivedTable.make(
        session, definition, "cluster", "cluster int NOT NULL, distance real NOT NULL", keyed=True
    )
    centroids = await DerivedTable.make(
        session,
        definition,
        "centroid",
        "cluster int PRIMARY KEY, name text NOT NULL, summary text, words text[] NOT NULL,"
        f" rows bigint NOT NULL, centroid {vector} NOT NULL",
        keyed=False,
    )
    return table, centroids


async def _store(
    source: UnitVectors, kmeans: KMeans, table: DerivedTable, writing: AsOwner
) -> None:
    async with table.replacing(writing, {"cluster": "int", "distance": "real"}) as copy:
        async for batch in source.batches("storing"):
            nearest = kmeans.assign(batch.vectors)
            pairs = zip(nearest.labels.tolist(), nearest.distances.tolist(), strict=True)
            for key, (label, distance) in zip(batch.keys, pairs, strict=True):
                await copy.write_row((*key, label + 1, distance))


async def _describe(rows: ClusterRows, sizes: NDArray[np.int64]) -> list[Cluster]:
    counted = GroupWords()
    share = max(_FEWEST_SAMPLED_TEXTS, _SAMPLED_TEXTS // len(sizes))
    async for label, text in rows.sample(share, _SAMPLED_CHARACTERS):
        counted.add(label, text)
    words = counted.distinctive(_WORDS, await rows.stop_words(counted.all_words()))
    central = await rows.central(_CENTRAL_ROWS, _CENTRAL_CHARACTERS)
    return [
        Cluster(
            cluster=number,
            rows=size,
            name=", ".join(words.get(number, [])[:_WORDS_OF_A_NAME]) or f"cluster {number}",
            words=words.get(number, []),
            summary=None,
            central=[row for row in central if row.cluster == number],
        )
        for number, size in enumerate(sizes.tolist(), start=1)
    ]


def _summarised(one: Cluster, summarise: Summarise, progress: Progress, total: int) -> Cluster:
    progress.phase("asking the language model", one.cluster - 1, total)
    return summarise(one)


async def _store_centroids(
    owner: AsOwner,
    centroids: DerivedTable,
    vector: str,
    kmeans: KMeans,
    found: Sequence[Cluster],
) -> None:
    rows = (
        (one.cluster, one.name, one.summary, one.words, one.rows, str(centroid.tolist()))
        for one, centroid in zip(found, kmeans.centroids, strict=True)
    )
    columns = {
        "cluster": "int",
        "name": "text",
        "summary": "text",
        "words": "text[]",
        "rows": "bigint",
        "centroid": vector,
    }
    await centroids.replace(owner, columns, rows)
