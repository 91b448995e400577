"""What the maps of the tests show."""

from __future__ import annotations

import psycopg


def texts(connection: psycopg.Connection, rows: int = 300) -> None:
    """Texts in two groups, far from each other, and one text that a page must not take for HTML."""
    connection.execute(
        "CREATE TABLE texts (id int PRIMARY KEY, body text, kind text, size real,"
        " embedding vector(8), embedding_of uuid)"
    )
    connection.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        " VALUES ('texts', 'embedding', 'stand-in-small', 'body', 8)"
    )
    connection.execute("SELECT setseed(0.5)")
    connection.execute(
        "INSERT INTO texts SELECT i, 'text ' || i, CASE WHEN i %% 2 = 0 THEN 'even' ELSE 'odd' END,"
        " i / 7.0, (SELECT array_agg(CASE WHEN d = i %% 2 + 1 THEN 3 ELSE 0 END + random())"
        " FROM generate_series(1, 8) AS d)::vector FROM generate_series(1, %s) AS i",
        (rows,),
    )
    connection.execute(
        "UPDATE texts SET body = %s WHERE id = 1", ("</script><b>{data} {title}</b> <!-- &amp;",)
    )
