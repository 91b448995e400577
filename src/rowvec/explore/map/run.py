"""Places the rows of a source in the plane by their vectors, stores the places and draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.map_points import MapPoints
from rowvec.db.owner import AsOwner
from rowvec.db.session import open_session
from rowvec.db.vectors import Matrix, Vectors, normalised
from rowvec.errors import ConfigError, InvalidRequest
from rowvec.explore.map import html, picture
from rowvec.explore.map.coloring import coloring
from rowvec.explore.map.neighbours import nearest
from rowvec.explore.map.points import MAX_POINTS, Points, characters_for
from rowvec.explore.map.reduce import PrincipalComponents, Umap
from rowvec.explore.one_thread import one_thread
from rowvec.explore.unit_vectors import UnitVectors
from rowvec.progress import Progress

_APPLICATION = "rowvec map"
_SUFFIXES = (".html", ".png")
# Full vectors of the shown points are kept for their neighbours up to this; else components are.
_VECTOR_BYTES = 64 << 20

Method = Literal["pca", "umap"]


@dataclass(frozen=True)
class MapRequest:
    """What to map: a table's name as written in SQL, the embedding, its default where None.

    `colors` are names of columns; clusters colour it too, where there are any. `output` is a file
    that ends in .html or .png.
    """

    source: str
    embedding: str | None = None
    method: Method = "pca"
    output: Path | None = None
    colors: tuple[str, ...] = ()
    points: int = MAX_POINTS


@dataclass(frozen=True)
class MapResult:
    """The table with the places, and the file, if one was asked for, with so many of the rows."""

    source: str
    embedding: str
    method: str
    rows: int
    table: str
    output: str | None
    shown: int


async def make_map(settings: Settings, request: MapRequest, progress: Progress) -> MapResult:
    """Places every row that has a vector, and replaces what an earlier run stored.

    Raises ConfigError for another kind of file, InvalidRequest where there are fewer than three
    vectors, DatabaseError as Postgres gives it.
    """
    output = request.output
    if output is not None and output.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"{output} is neither a .html nor a .png", hint="name it map.html")
    dsn = resolve_dsn(settings)
    async with open_session(dsn, _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        owner = await AsOwner.of(session, definition)
        vectors = await Vectors.of(owner, definition)
        rows = await vectors.count()
        if rows < 3:
            raise InvalidRequest(
                f"{rows} rows of {definition.table} have a vector in {definition.name}, too few"
                " for a map",
                hint=f"run `rowvec backfill {request.source}` first",
            )
        source = UnitVectors(vectors, rows, progress)
        shown = 0
        with one_thread():
            components = PrincipalComponents(definition.dimensions)
            umap = await _learn(source, components, request.method)
            table = await DerivedTable.make(
                session, definition, "map", "x real NOT NULL, y real NOT NULL", keyed=True
            )
            async with open_session(dsn, _APPLICATION) as writing:
                writer = await AsOwner.of(writing, definition)
                await _store(source, components, umap, table, writer)
            if output is not None:
                drawing = _Drawing(definition, owner, vectors, table, components, rows, progress)
                points = await drawing.read(request)
                shown = len(points.keys)
                drawing.write(points, request.method, output)
    return MapResult(
        source=definition.table,
        embedding=definition.name,
        method=request.method,
        rows=rows,
        table=table.table,
        output=None if output is None else str(output),
        shown=shown,
    )


async def _learn(
    source: UnitVectors, components: PrincipalComponents, method: Method
) -> Umap | None:
    """Principal components of all rows, and what UMAP makes of a sample of them."""
    umap = Umap(source.rows) if method == "umap" else None
    async for batch in source.batches("principal components"):
        components.learn(batch.vectors)
    components.finish()
    if umap is not None:
        sample, at = [], 0
        async for batch in source.batches("sampling"):
            sample.append(components.transform(batch.vectors)[-at % umap.step :: umap.step])
            at += len(batch.vectors)
        source.progress.phase("UMAP", 0, 0)
        umap.learn(np.concatenate(sample))
    return umap


async def _store(
    source: UnitVectors,
    components: PrincipalComponents,
    umap: Umap | None,
    table: DerivedTable,
    writing: AsOwner,
) -> None:
    async with table.replacing(writing, {"x": "real", "y": "real"}) as copy:
        async for batch in source.batches("placing"):
            found = components.transform(batch.vectors)
            places = found[:, :2] if umap is None else umap.place(found)
            for key, place in zip(batch.keys, places.tolist(), strict=True):
                await copy.write_row((*key, *place))


@dataclass(frozen=True)
class _Drawing:
    """Reads the points back, with their texts and colours, and draws them."""

    definition: Definition
    owner: AsOwner
    vectors: Vectors
    table: DerivedTable
    components: PrincipalComponents
    rows: int
    progress: Progress

    def write(self, points: Points, method: Method, output: Path) -> None:
        """Writes the file."""
        shown = len(points.keys)
        title = f"{self.definition.table}: a map of its rows"
        means = {"pca": "principal components", "umap": "UMAP"}[method]
        facts = f"{self.rows:,} rows, {means} of {self.definition.model}"
        if shown < self.rows:
            facts = f"a random sample of {shown:,} out of {facts}"
            self.progress.say(f"{output} shows a random sample of {shown:,} of {self.rows:,} rows")
        if output.suffix.lower() == ".png":
            picture.draw(points, title, facts, str(output))
        else:
            with output.open("wb") as file:
                file.writelines(html.page(points, title, facts))

    async def read(self, request: MapRequest) -> Points:
        """The points, at most as many as were asked for."""
        session = self.owner.session
        clusters = await DerivedTable.find(session, self.definition, "cluster")
        centroids = await DerivedTable.find(session, self.definition, "centroid")
        both = None if clusters is None or centroids is None else (clusters, centroids)
        column = self.vectors.column
        reader = MapPoints(self.definition, column, self.table, request.colors, both)
        shown = min(self.rows, request.points)
        keeps_vectors = 4 * self.definition.dimensions * shown <= _VECTOR_BYTES
        names = [*request.colors, *(["cluster"] if both else [])]
        places: list[tuple[float, float]] = []
        keys: list[Any] = []
        texts: list[str] = []
        values: list[list[Any]] = [[] for _ in names]
        near: list[Matrix] = []
        characters = characters_for(shown)
        async for batch in reader.read(self.owner, shown, characters + 1):
            full = normalised(column.matrix([row.vector for row in batch]))
            near.append(full if keeps_vectors else self.components.transform(full))
            for row in batch:
                places.append((row.x, row.y))
                keys.append(row.key)
                texts.append(_line(row.text, characters))
                for of_one, value in zip(values, row.colors, strict=True):
                    of_one.append(value)
            self.progress.phase("reading texts", len(keys), shown)
        self.progress.phase("finding similar rows", 0, 0)
        x, y = np.array(places, np.float32).T
        return Points(
            x=x,
            y=y,
            keys=keys,
            texts=texts,
            colorings=[coloring(name, each) for name, each in zip(names, values, strict=True)],
            neighbours=nearest(np.concatenate(near)),
        )


def _line(text: str, characters: int) -> str:
    """The text on one line; an ellipsis says that there is more of it."""
    return " ".join(text[:characters].split()) + ("…" if len(text) > characters else "")
