"""From a stage into a table by key: what is new is inserted, what differs updated, no row else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from rowvec.db.connection import database_errors


class Stage:
    """Rows that were copied into a temporary table, each with its number from 1."""

    def __init__(
        self,
        connection: psycopg.Connection,
        name: tuple[str, ...],
        number: str,
        key: Sequence[str],
    ) -> None:
        self._connection = connection
        self._names: dict[str, sql.Composable] = {
            "stage": sql.Identifier(*name),
            "number": sql.Identifier(number),
            "key": sql.SQL(", ").join(map(sql.Identifier, key)),
            "no_key": sql.SQL(" OR ").join(
                sql.SQL("{} IS NULL").format(sql.Identifier(column)) for column in key
            ),
        }
        self._key = tuple(key)

    def first_without_key(self) -> int | None:
        """The number of the first row whose key is NULL."""
        found: int | None = self._all(
            "SELECT pg_catalog.min({number}) FROM {stage} WHERE {no_key}"
        )[0][0]
        return found

    def drop_without_key(self) -> int:
        """Removes those, and tells how many."""
        return self._run("DELETE FROM {stage} WHERE {no_key}")

    def first_repeated(self) -> tuple[int, int] | None:
        """The numbers of two rows with the same key."""
        rows = self._all(
            "SELECT pg_catalog.min({number}), pg_catalog.max({number}) FROM {stage}"
            " GROUP BY {key} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
            " ORDER BY 1 LIMIT 1"
        )
        return rows[0] if rows else None

    def drop_repeated(self) -> int:
        """Keeps the last row of each key; tells how many went."""
        return self._run(
            "DELETE FROM {stage} AS s USING (SELECT {number}, pg_catalog.row_number()"
            " OVER (PARTITION BY {key} ORDER BY {number} DESC) AS nth FROM {stage}) AS r"
            " WHERE r.{number} OPERATOR(pg_catalog.=) s.{number}"
            " AND r.nth OPERATOR(pg_catalog.>) 1"
        )

    def merge(self, target: tuple[str, ...], columns: dict[str, str]) -> tuple[int, int]:
        """Inserts and updates the target's rows, in key order; how many of each.

        `columns` with their types. A row that is the same already is not written again. Raises
        DatabaseError, 42P10 where the target has no unique index on the key.
        """
        others = [name for name in columns if name not in self._key]
        update: sql.Composable = sql.SQL("DO NOTHING")
        if others:
            # As they are stored, which every type has: what equality is, its operators would say.
            update = sql.SQL("DO UPDATE SET {} WHERE {} OPERATOR(pg_catalog.*<>) {}").format(
                sql.SQL(", ").join(
                    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others
                ),
                _record("t", others),
                _record("excluded", others),
            )
        found = self._all(
            "WITH written AS (INSERT INTO {target} AS t ({columns})"
            " SELECT {columns} FROM {stage} ORDER BY {key}"
            " ON CONFLICT ({key}) {update} RETURNING"
            " t.xmax OPERATOR(pg_catalog.=) 0 AS is_new)"
            " SELECT pg_catalog.count(*) FILTER (WHERE is_new),"
            " pg_catalog.count(*) FILTER (WHERE NOT is_new) FROM written",
            target=sql.Identifier(*target),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            update=update,
        )
        inserted, updated = found[0]
        return int(inserted), int(updated)

    def _all(self, statement: str, **names: sql.Composable) -> list[tuple[Any, ...]]:
        with database_errors():
            return self._connection.execute(self._composed(statement, names)).fetchall()

    def _run(self, statement: str) -> int:
        with database_errors():
            return self._connection.execute(self._composed(statement, {})).rowcount

    def _composed(self, statement: str, names: dict[str, sql.Composable]) -> sql.Composed:
        # The statements are the literals above.
        return sql.SQL(statement).format(**self._names, **names)


def _record(table: str, names: Sequence[str]) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier(table, name) for name in names)
    return sql.SQL("ROW({})::pg_catalog.record").format(columns)
