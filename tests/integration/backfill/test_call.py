"""CALL rowvec.backfill: fills, commits as it goes, clears, guards, leaves bad rows alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.postgres import Database, refused
from support.waiting import eventually

DONE = (
    "SELECT bool_and(embedding IS NOT DISTINCT FROM "
    "(SELECT v FROM rowvec.embed_batch('{model}', ARRAY[body]) AS v)) FROM notes"
)


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        # Columns with the names that the statements of backfill use themselves.
        connection.execute(
            "CREATE TABLE notes (key int PRIMARY KEY, body text, k text, t text, h text, o1 text, "
            "message text DEFAULT 'm', embedding_id int, input_hash int, q text, b text, f text)"
        )
        connection.execute(
            "INSERT INTO notes SELECT g, 'note ' || g FROM generate_series(1, 100) AS g"
        )
        yield connection


def define(conn: psycopg.Connection, model: str = "stand-in-small", body: str = "body") -> None:
    conn.execute("SELECT rowvec.create_embedding('notes', %s, %s)", (model, body))


def one(conn: psycopg.Connection, statement: str) -> Any:
    row = conn.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_fills_every_row(conn: psycopg.Connection) -> None:
    define(conn)
    notices: list[str | None] = []
    conn.add_notice_handler(lambda d: notices.append(d.message_primary))
    conn.execute("CALL rowvec.backfill('notes', commit_rows => 7)")
    assert one(conn, DONE.format(model="stand-in-small"))
    assert one(conn, "SELECT pending FROM rowvec.status") == 0
    assert notices == ["100 rows written, 0 failed"]


def test_only_what_is_pending(conn: psycopg.Connection) -> None:
    define(conn)
    conn.execute("CALL rowvec.backfill('notes')")
    texts = "SELECT texts FROM rowvec.models() WHERE name = 'stand-in-small'"
    before = one(conn, texts)
    conn.execute("UPDATE notes SET k = 'no part of the input'")
    conn.execute("UPDATE notes SET body = 'another ' || key || random() WHERE key <= 3")
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, texts) == before + 3
    assert one(conn, DONE.format(model="stand-in-small"))


def test_a_row_without_text_loses_its_vector(conn: psycopg.Connection) -> None:
    define(conn)
    conn.execute("CALL rowvec.backfill('notes')")
    conn.execute("UPDATE notes SET body = NULL WHERE key = 5")
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT count(*) FROM notes WHERE embedding IS NULL") == 1
    assert one(conn, "SELECT count(*) FROM notes WHERE embedding_of IS NULL") == 1
    assert one(conn, "SELECT pending FROM rowvec.status") == 0


def test_every_column_name_of_ours_may_be_theirs(conn: psycopg.Connection) -> None:
    define(conn, body="body || message || coalesce(k || t || h || o1 || q || b || f, '')")
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(
        conn,
        "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body || 'm')) FROM notes",
    )


def test_bad_rows_stand_alone(conn: psycopg.Connection) -> None:
    """They are recorded and left alone until their text changes; all others are filled."""
    define(conn, "refusing")
    conn.execute("UPDATE notes SET body = 'refuse me ' || key WHERE key IN (3, 4, 90)")
    conn.execute("CALL rowvec.backfill('notes', commit_rows => 20)")
    failures = "SELECT key, sqlstate, message, attempts FROM rowvec.failure ORDER BY key"
    found = conn.execute(failures).fetchall()
    assert [row[0] for row in found] == [3, 4, 90]
    assert {(row[1], row[3]) for row in found} == {("22023", 1)}
    assert "refuse me" not in found[0][2]
    assert one(conn, "SELECT count(embedding) FROM notes") == 97
    assert conn.execute("SELECT pending, failed FROM rowvec.status").fetchone() == (3, 3)

    texts = "SELECT texts FROM rowvec.models() WHERE name = 'refusing'"
    before = one(conn, texts)
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, texts) == before
    assert conn.execute(failures).fetchall() == found

    conn.execute("UPDATE notes SET body = 'fine now' WHERE key = 4")
    conn.execute("UPDATE notes SET body = 'refuse me again' WHERE key = 90")
    conn.execute("CALL rowvec.backfill('notes')")
    assert conn.execute(failures).fetchall() == [
        (3, *found[0][1:]),
        (90, *found[2][1:]),
    ]
    assert one(conn, "SELECT embedding IS NOT NULL FROM notes WHERE key = 4")


def test_too_long_is_a_failure_where_that_was_asked_for(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE notes SET body = repeat('word ', 50) WHERE key = 1")
    conn.execute(
        "SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body', on_truncate => 'error')"
    )
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT sqlstate FROM rowvec.failure") == "22001"


def test_an_error_that_is_no_rows_fault_ends_it(conn: psycopg.Connection) -> None:
    define(conn)
    conn.execute("UPDATE rowvec.embedding SET model = 'gone'")
    with refused("42501", "'gone'"):
        conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT count(*) FROM rowvec.failure") == 0


def test_a_text_that_the_worker_names_is_left_out_at_once(conn: psycopg.Connection) -> None:
    """Not by halving, which asks seven times for the others of a hundred."""
    define(conn, "refusing")
    conn.execute("UPDATE notes SET body = 'refuse me' WHERE key = 60")
    answered = "SELECT requests FROM rowvec.models() WHERE name = 'refusing'"
    before = one(conn, answered)
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, answered) == before + 2
    assert one(conn, "SELECT count(*) FROM notes WHERE embedding IS NULL") == 1
    message = "the stand-in refuses this text, as models.toml tells it to"
    assert one(conn, "SELECT message FROM rowvec.failure") == message


def test_refused_in_a_transaction(conn: psycopg.Connection) -> None:
    define(conn)
    for _ in range(2):
        with refused("25001", "cannot run inside a transaction"), conn.transaction():
            conn.execute("CALL rowvec.backfill('notes')")
    with refused("25001"):
        conn.execute(
            "DO $$ BEGIN PERFORM 1; BEGIN CALL rowvec.backfill('notes'); "
            "EXCEPTION WHEN division_by_zero THEN NULL; END; END $$"
        )
    assert one(conn, "SELECT count(embedding) FROM notes") == 0


def test_either_protocol(conn: psycopg.Connection) -> None:
    """With parameters psycopg speaks the extended protocol, without them the simple one."""
    define(conn)
    conn.execute("CALL rowvec.backfill(%s, commit_rows => %s)", ("notes", 30))
    assert one(conn, "SELECT pending FROM rowvec.status") == 0


def test_commit_rows(conn: psycopg.Connection) -> None:
    define(conn)
    with refused("22023", "commit_rows"):
        conn.execute("CALL rowvec.backfill('notes', commit_rows => 0)")


def test_stopped_in_the_middle_keeps_what_it_committed(
    database: Database, conn: psycopg.Connection
) -> None:
    define(conn, "slow", "'stopped ' || body")
    with database.connect() as watcher:

        def stop() -> None:
            eventually(lambda: one(watcher, "SELECT count(embedding) FROM notes") >= 10)
            conn.cancel()

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute("CALL rowvec.backfill('notes', commit_rows => 5)")
        stopper.join()
        there = one(watcher, "SELECT count(embedding) FROM notes")
        assert 10 <= there < 100
        assert there % 5 == 0
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT pending FROM rowvec.status") == 0


def test_two_at_once_and_writes_meanwhile(database: Database, conn: psycopg.Connection) -> None:
    """Once quiet, every live row's vector is that of its text, and there are no others."""
    define(conn)

    def fill() -> None:
        with database.connect() as connection:
            connection.execute("CALL rowvec.backfill('notes', commit_rows => 3)")

    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(30):
        conn.execute("UPDATE notes SET body = body || ' changed' WHERE key = %s", (n * 3 + 1,))
        conn.execute("DELETE FROM notes WHERE key = %s", (n * 3 + 2,))
        conn.execute("INSERT INTO notes VALUES (%s, 'new')", (1000 + n,))
    for thread in threads:
        thread.join()
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, DONE.format(model="stand-in-small"))
    assert one(conn, "SELECT pending FROM rowvec.status") == 0


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("a int, b text, PRIMARY KEY (b, a)", "SELECT g % 3, 'k''\"' || g, 'text ' || g"),
        ("a uuid PRIMARY KEY", "SELECT gen_random_uuid(), 'text ' || g"),
        ("a timestamptz PRIMARY KEY", "SELECT now() + g * interval '1.234567 s', 'text ' || g"),
        ("a numeric PRIMARY KEY", "SELECT g / 7.0, 'text ' || g"),
        ("a float8 PRIMARY KEY", "SELECT sqrt(g), 'text ' || g"),
        ("a bytea PRIMARY KEY", "SELECT sha256(g::text::bytea), 'text ' || g"),
        ("a varchar(5) PRIMARY KEY", "SELECT 'v' || g, 'text ' || g"),
        ("a bool, b date, PRIMARY KEY (a, b)", "SELECT g > 9, date '2020-01-01' + g, 'text ' || g"),
    ],
)  # fmt: skip
def test_any_key(conn: psycopg.Connection, key: str, values: str) -> None:
    """Every row once, in batches that end anywhere."""
    first, _, rest = key.partition(" PRIMARY KEY")
    table = f"{first} PRIMARY KEY{rest}, body text" if "(" not in rest else f"{key}, body text"
    conn.execute(f"CREATE TABLE keyed ({table})")
    conn.execute(f"INSERT INTO keyed {values} FROM generate_series(1, 23) AS g")
    conn.execute("SELECT rowvec.create_embedding('keyed', 'stand-in-small', 'body')")
    conn.execute("CALL rowvec.backfill('keyed', commit_rows => 4)")
    assert one(conn, "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM keyed")
    found = conn.execute("SELECT key FROM rowvec.search('keyed', 'text 7', 3)").fetchone()
    assert found is not None
    similar = conn.execute(
        "SELECT count(*) FROM rowvec.similar('keyed', %s, 100)",
        (psycopg.types.json.Jsonb(found[0]),),
    ).fetchone()
    assert similar == (22,)


def test_partitions(conn: psycopg.Connection) -> None:
    conn.execute(
        "CREATE TABLE parted (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);"
        "CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (20);"
        "CREATE TABLE parted2 PARTITION OF parted FOR VALUES FROM (20) TO (99);"
        "INSERT INTO parted SELECT g, 'text ' || g FROM generate_series(1, 50) AS g"
    )
    conn.execute("SELECT rowvec.create_embedding('parted', 'stand-in-small', 'body')")
    conn.execute("CALL rowvec.backfill('parted', commit_rows => 7)")
    status = "SELECT rows, pending FROM rowvec.status"
    assert conn.execute(status).fetchone() == (50, 0)
    conn.execute("UPDATE parted SET id = 70 WHERE id = 7")
    assert conn.execute(status).fetchone() == (50, 0)


def test_filter(conn: psycopg.Connection) -> None:
    """Rows outside the filter take no part; those that leave it are searched no more."""
    conn.execute(
        "SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body', filter => 'key > 90')"
    )
    conn.execute("CALL rowvec.backfill('notes')")
    assert one(conn, "SELECT count(embedding) FROM notes") == 10
    assert conn.execute("SELECT rows, pending FROM rowvec.status").fetchone() == (10, 0)
    conn.execute("UPDATE notes SET key = -key WHERE key = 91")
    assert one(conn, "SELECT count(*) FROM rowvec.search('notes', 'x', 100)") == 9


def test_changed_definition_takes_the_batch_back(
    database: Database, conn: psycopg.Connection
) -> None:
    define(conn, "slow", "'changed meanwhile ' || body")
    pid = conn.info.backend_pid
    with database.connect() as other:

        def change() -> None:
            waits = f"SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}"
            eventually(lambda: one(other, waits) == "PgSleep")
            other.execute("UPDATE rowvec.embedding SET version = version + 1")

        changer = threading.Thread(target=change)
        changer.start()
        with refused("40001", "changed or dropped", "again"):
            conn.execute("CALL rowvec.backfill('notes')")
        changer.join()
    assert one(conn, "SELECT count(embedding) FROM notes") == 0


def test_it_knows_which_texts_were_cut(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE long (id int PRIMARY KEY, body text)")
    conn.execute("INSERT INTO long SELECT i, repeat('word ', i) FROM generate_series(14, 18) AS i")
    conn.execute("SELECT rowvec.create_embedding('long', 'stand-in-small', 'body')")
    conn.execute("CALL rowvec.backfill('long')")
    listed = "SELECT key, tokens, lost FROM rowvec.truncated('long')"
    assert conn.execute(listed).fetchall() == [(18, 18, 2), (17, 17, 1)]
    conn.execute("UPDATE long SET body = 'short' WHERE id = 18")
    conn.execute("CALL rowvec.backfill('long')")
    assert conn.execute(listed).fetchall() == [(17, 17, 1)]


def test_it_says_that_it_does_not_cut(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE long (id int PRIMARY KEY, body text)")
    for name, options in (("a", "on_truncate => 'mean'"), ("b", "destination => 'table'")):
        conn.execute(
            "SELECT rowvec.create_embedding('long', 'stand-in-small', 'body',"
            f" name => '{name}', {options})"
        )
        with refused("0A000", "cuts none into chunks", "rowvec backfill"):
            conn.execute(f"CALL rowvec.backfill('long', '{name}')")
