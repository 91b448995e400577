"""No word of a row is in what a job says of an error: messages, logs, failures, progress."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.commands import Rowvec
from support.postgres import Database

SECRET = "Xylophonist"

TABLE = """
CREATE TABLE notes (id int PRIMARY KEY, body text, other text);
CREATE TABLE words (word text PRIMARY KEY);
"""

ROWS = f"INSERT INTO notes (id, body) SELECT i, '{SECRET} ' || i FROM generate_series(1, 3) AS i"

TRIGGER = """
CREATE FUNCTION provoke() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {0};
    RETURN NEW;
END $$;
CREATE TRIGGER provoke BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION provoke();
"""

# What goes wrong when a vector is written.
WRITES = {
    "check": "ALTER TABLE notes ADD CHECK (length(body) < 5) NOT VALID",
    "raise": TRIGGER.format("RAISE EXCEPTION '%', NEW.body"),
    "raise 22": TRIGGER.format("RAISE EXCEPTION USING ERRCODE = '22000', MESSAGE = NEW.body"),
    "raise 42": TRIGGER.format("RAISE EXCEPTION USING ERRCODE = '42704', HINT = NEW.body"),
    "raise own": TRIGGER.format("RAISE EXCEPTION USING ERRCODE = 'AB123', DETAIL = NEW.body"),
    "warn": TRIGGER.format("RAISE WARNING '%', NEW.body"),
    "cast": TRIGGER.format("PERFORM NEW.body::int"),
    "date": TRIGGER.format("PERFORM NEW.body::date"),
    "json": TRIGGER.format("PERFORM NEW.body::json"),
    "array": TRIGGER.format("PERFORM NEW.body::int[]"),
    "pattern": TRIGGER.format("PERFORM 'x' ~ (NEW.body || '(')"),
    "regclass": TRIGGER.format("PERFORM pg_catalog.replace(NEW.body, ' ', '')::regclass"),
    "regtype": TRIGGER.format("PERFORM pg_catalog.replace(NEW.body, ' ', '')::regtype"),
    "setting": TRIGGER.format("PERFORM current_setting(pg_catalog.replace(NEW.body, ' ', ''))"),
    "statement": TRIGGER.format("EXECUTE 'SELECT ' || quote_ident(NEW.body)"),
    "syntax": TRIGGER.format("EXECUTE NEW.body"),
    "not null": TRIGGER.format("NEW.id := NULL"),
    "unique": "CREATE UNIQUE INDEX ON notes (other);"
    + TRIGGER.format("NEW.other := left(NEW.body, 11)"),
    "foreign key": "ALTER TABLE notes ADD FOREIGN KEY (other) REFERENCES words;"
    + TRIGGER.format("NEW.other := NEW.body"),
    "exclusion": "ALTER TABLE notes ADD EXCLUDE USING hash (other WITH =);"
    + TRIGGER.format("NEW.other := left(NEW.body, 11)"),
    "domain": "CREATE DOMAIN short AS text CHECK (length(VALUE) < 5);"
    + TRIGGER.format("PERFORM NEW.body::short"),
    "enum": "CREATE TYPE mood AS ENUM ('good');" + TRIGGER.format("PERFORM NEW.body::mood"),
    "length": "ALTER TABLE notes ADD brief varchar(3);" + TRIGGER.format("NEW.brief := NEW.body"),
}

# What goes wrong when a text is read.
INPUTS = {
    "cast": "(body::int)::text",
    "json": "(body::json) ->> 'text'",
    "function": "said(body)",
}

SAID = """
CREATE FUNCTION said(body text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION 'no: %', body;
END $$
"""


@pytest.fixture
def notes(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        connection.execute(TABLE.encode())
        yield connection


def everything(connection: psycopg.Connection, rowvec: Rowvec, database: Database) -> str:
    """What a backfill says, and what stands in the catalog afterwards."""
    logging.getLogger("rowvec").setLevel(logging.DEBUG)
    plain = rowvec("-v", "backfill", "notes", "--dsn", database.dsn)
    structured = rowvec("backfill", "notes", "--json", "--dsn", database.dsn)
    status = rowvec("status", "--dsn", database.dsn)
    kept: list[Any] = []
    for table in ("failure", "job", "progress", "truncation", "status"):
        kept += connection.execute(f"SELECT * FROM rowvec.{table}".encode()).fetchall()
    parts = [done.stdout + done.stderr for done in (plain, structured, status)]
    return json.dumps([*parts, *kept], default=str)


@pytest.mark.parametrize("kind", WRITES)
def test_what_a_write_meets(
    notes: psycopg.Connection,
    database: Database,
    rowvec: Rowvec,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    notes.execute("SELECT rowvec.create_embedding('notes', 'stand-in', 'body')")
    notes.execute(ROWS.encode())
    notes.execute(WRITES[kind].encode())
    found = everything(notes, rowvec, database)
    # Refused rows are failures; what stops the whole job is an error.
    assert "error" in found.lower() or '"database"' in found or kind == "warn"
    assert SECRET not in found
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", INPUTS)
def test_what_reading_meets(
    notes: psycopg.Connection,
    database: Database,
    rowvec: Rowvec,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    notes.execute(SAID)
    notes.execute("SELECT rowvec.create_embedding('notes', 'stand-in', %s)", (INPUTS[kind],))
    notes.execute(ROWS.encode())
    found = everything(notes, rowvec, database)
    assert "error" in found.lower() or '"database"' in found
    assert SECRET not in found
    assert SECRET not in caplog.text


@pytest.mark.parametrize("condition", ["body::int > 0", "body::date > now()"])
def test_what_a_search_meets(
    notes: psycopg.Connection, database: Database, rowvec: Rowvec, condition: str
) -> None:
    notes.execute("SELECT rowvec.create_embedding('notes', 'stand-in', 'body')")
    notes.execute(ROWS.encode())
    notes.execute("CALL rowvec.backfill('notes')")
    done = rowvec("search", "notes", "word", "--filter", condition, "--dsn", database.dsn)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
