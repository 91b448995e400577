"""A change of case is a change of the text, also to a column whose collation sees none."""

from __future__ import annotations

import psycopg
import pytest

from support.postgres import Database


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
def test_a_collation_hides_no_change_of_case(database: Database, *, is_before: bool) -> None:
    with database.connect() as conn:
        try:
            conn.execute(
                "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',"
                " deterministic = false)"
            )
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this server is built without ICU, and so has no such collation")
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 20) AS i")
        change = "ALTER TABLE notes ALTER body TYPE text COLLATE any_case"
        if is_before:
            conn.execute(change)
        conn.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
        conn.execute("CALL rowvec.backfill('notes')")
        if not is_before:
            conn.execute(change)
        conn.execute("UPDATE notes SET body = upper(body) WHERE id <= 3")
        assert conn.execute("SELECT pending FROM rowvec.status").fetchone() == (3,)
        conn.execute("CALL rowvec.backfill('notes')")
        assert conn.execute(
            "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM notes"
        ).fetchone() == (True,)
