"""The end of a load by key: from the stage into the table."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from rowvec.db.landing import Existing, Landing, alter_table, existing
from rowvec.db.upsert import Stage
from rowvec.errors import BadRow, DatabaseError, InvalidRequest
from rowvec.load.report import LoadResult, Options

STAGE = ("pg_temp", "rowvec_load")
NUMBER = "rowvec_row"

_NO_UNIQUE_INDEX = "42P10"


@dataclass
class Merge:
    """From the stage into the table `name`, which is made where there is no `target`."""

    connection: psycopg.Connection
    name: tuple[str, ...]
    target: Existing | None
    options: Options
    loaded: LoadResult

    def run(self, key: tuple[str, ...]) -> None:
        """Inserts and updates by key, and counts into `loaded`.

        A row without a key, or with one that another row has, is bad: with `skip_bad` the first is
        left out, and of the others the last one counts. Raises BadRow, DatabaseError.
        """
        staged = existing(self.connection, ".".join(STAGE))
        assert staged is not None
        columns = {name: type_ for name, type_ in staged.columns.items() if name != NUMBER}
        missing = [column for column in key if column not in columns]
        if missing:
            raise InvalidRequest(
                f"no row has the key {', '.join(missing)}", hint=f"columns: {', '.join(columns)}"
            )
        stage = Stage(self.connection, STAGE, NUMBER, key)
        self._check_keys(stage, ", ".join(key))
        self._prepare(columns, key)
        loaded = self.loaded
        try:
            loaded.inserted, loaded.updated = stage.merge(self.name, columns)
        except DatabaseError as exc:
            if exc.code != _NO_UNIQUE_INDEX:
                raise
            raise InvalidRequest(
                f"{loaded.table} has no primary key or unique index on {', '.join(key)}",
                hint="add one, or name the columns of the one it has with --key",
            ) from exc
        loaded.unchanged = loaded.rows - loaded.repeated - loaded.inserted - loaded.updated

    def _prepare(self, columns: dict[str, str], key: tuple[str, ...]) -> None:
        """The table with all columns of the stage."""
        if self.target is None:
            Landing(self.connection, self.name).create(columns, key=key)
        elif self.options.alter:
            there = self.target.columns
            added = {name: type_ for name, type_ in columns.items() if name not in there}
            widened = {
                name: (there[name], type_)
                for name, type_ in columns.items()
                if there.get(name, type_) != type_
            }
            alter_table(self.connection, self.name, added, widened)

    def _check_keys(self, stage: Stage, key: str) -> None:
        if self.options.skip_bad:
            without = stage.drop_without_key()
            self.loaded.rows -= without
            self.loaded.skipped += without
            self.loaded.repeated = stage.drop_repeated()
            return
        number = stage.first_without_key()
        if number is not None:
            raise BadRow(f"row {number} has no {key}", hint="--skip-bad leaves such rows out")
        twice = stage.first_repeated()
        if twice is not None:
            raise BadRow(
                f"rows {twice[0]} and {twice[1]} have the same {key}",
                hint="--skip-bad takes the last row of each key",
            )
