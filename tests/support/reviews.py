"""The table that most backfills of the tests fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from support.hashes import row_hash


@dataclass(frozen=True)
class Reviews:
    """The table `reviews` with an embedding; `writes` counts how often a vector was written."""

    connection: psycopg.Connection

    def make(self, rows: int, model: str = "stand-in-small") -> None:
        """So many texts that no other test has, as the worker remembers."""
        self.run("CREATE TABLE reviews (id bigint PRIMARY KEY, body text, writes int DEFAULT 0)")
        self.run(
            "INSERT INTO reviews SELECT i, 'text ' || i || ' of ' || current_database()"
            " FROM generate_series(1, %s) AS i",
            rows,
        )
        self.run(
            "CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END'"
        )
        self.run("SELECT rowvec.create_embedding('reviews', %s, 'body')", model)
        self.run(
            "CREATE TRIGGER count_write BEFORE UPDATE OF embedding ON reviews"
            " FOR EACH ROW EXECUTE FUNCTION count_write()"
        )

    def run(self, statement: str, *parameters: object) -> psycopg.Cursor:
        return self.connection.execute(statement, parameters or None)

    def one(self, statement: str, *parameters: object) -> Any:
        """The only value of a query."""
        row = self.run(statement, *parameters).fetchone()
        assert row is not None
        return row[0]

    def filled(self) -> int:
        """Rows that have a vector."""
        return int(self.one("SELECT count(embedding) FROM reviews"))

    def are_right(
        self, model: str = "stand-in-small", *, table: str = "reviews", text: str = "body"
    ) -> bool:
        """Whether every row has the vector of its text, and rows without a text have none."""
        # `table` and `text` stand in a statement with parameters.
        of = row_hash(self.connection, table.replace("%%", "%")).replace("%", "%%")
        return bool(
            self.one(
                f"WITH r AS MATERIALIZED (SELECT row_number() OVER () AS n, {text} AS t,"
                f" {of} AS wanted, embedding, embedding_of FROM {table}), e AS (SELECT v, n FROM"
                " rowvec.embed_batch(%s, (SELECT array_agg(t ORDER BY n) FROM r))"
                " WITH ORDINALITY AS e(v, n))"
                " SELECT bool_and(r.embedding IS NOT DISTINCT FROM e.v"
                " AND r.embedding_of IS NOT DISTINCT FROM r.wanted)"
                " FROM r LEFT JOIN e USING (n)",
                model,
            )
        )

    def are_written_once(self) -> bool:
        """Whether the vector of every row was written exactly once."""
        return bool(self.one("SELECT bool_and(writes = 1) FROM reviews"))

    def computed(self, model: str) -> int:
        """Texts that the worker has computed with a model since it started."""
        return int(self.one("SELECT texts FROM rowvec.models() WHERE name = %s", model))

    def is_embedding(self) -> bool:
        """Whether a backfill has read what it may and asks Postgres nothing until vectors come."""
        return bool(
            self.one(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
                " AND datname = current_database() AND state = 'idle'"
                " AND clock_timestamp() - state_change > interval '300 ms'"
                " AND EXISTS (SELECT FROM rowvec.shard)"
            )
        )


@pytest.fixture
def reviews(connection: psycopg.Connection) -> Reviews:
    return Reviews(connection)
