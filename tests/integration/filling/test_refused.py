"""A row that the database refuses is a failed row: it costs no other its vector, whoever fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from rowvec.errors import DatabaseError
from support.backfills import Fill
from support.commands import StartRowvec
from support.postgres import Database, refused
from support.reviews import Reviews
from support.waiting import eventually

ROWS = 40
SECRET = "a word of the row"


@dataclass(frozen=True)
class Refusal:
    """Statements after which rows are refused; `sqlstate` and `keys` say how, and which."""

    statements: str
    sqlstate: str
    keys: tuple[int, ...] = (7, 30)


def trigger(body: str, when: str = "BEFORE UPDATE", options: str = "") -> str:
    """A trigger of the table with this body."""
    constraint = "CONSTRAINT" if options else ""
    return (
        f"CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE {constraint} TRIGGER act {when} ON reviews {options}"
        " FOR EACH ROW EXECUTE FUNCTION act()"
    )


ON_BAD = "IF NEW.id IN (7, 30) AND NEW.embedding_of IS NOT NULL THEN {} END IF; RETURN NEW;"
PUT_OFF = "DEFERRABLE INITIALLY DEFERRED"
DONE = "CASE WHEN id IN (7, 30) AND embedding_of IS NOT NULL THEN {} END"

WRITTEN = {
    "check": Refusal(
        "UPDATE reviews SET writes = -1 WHERE id IN (7, 30);"
        "ALTER TABLE reviews ADD CONSTRAINT positive CHECK (writes >= 0) NOT VALID",
        "23514",
    ),
    "trigger": Refusal(trigger(ON_BAD.format("RAISE '%', NEW.body;")), "P0001"),
    "unique": Refusal(
        f"CREATE UNIQUE INDEX one ON reviews (({DONE.format('1')}))", "23505", keys=(30,)
    ),
    "exclusion": Refusal(
        f"ALTER TABLE reviews ADD EXCLUDE USING btree (({DONE.format('1')}) WITH =)",
        "23P01",
        keys=(30,),
    ),
    "generated column": Refusal(
        f"ALTER TABLE reviews ADD g int GENERATED ALWAYS AS ({DONE.format('1 / (id - id)')})"
        " STORED",
        "22012",
    ),
    "index": Refusal(f"CREATE INDEX ON reviews (({DONE.format('body::int')}))", "22P02"),
    "domain": Refusal(
        "CREATE DOMAIN few AS int CHECK (VALUE < 5); ALTER TABLE reviews ADD g few"
        f" GENERATED ALWAYS AS ({DONE.format('id::int')}) STORED",
        "23514",
    ),
    "too long": Refusal(
        "ALTER TABLE reviews ADD short varchar(3);"
        + trigger(ON_BAD.format("NEW.short := NEW.body;")),
        "22001",
    ),
    "not null": Refusal(trigger(ON_BAD.format("NEW.id := NULL;")), "23502"),
    "key put off": Refusal(
        "CREATE TABLE others (id int PRIMARY KEY); ALTER TABLE reviews ADD other int"
        " REFERENCES others DEFERRABLE INITIALLY DEFERRED;"
        + trigger(ON_BAD.format("NEW.other := NEW.id;")),
        "23503",
    ),
    "trigger put off": Refusal(
        trigger(ON_BAD.format("RAISE '%', NEW.body;"), "AFTER UPDATE", PUT_OFF),
        "P0001",
    ),
    "a word that search does not know": Refusal(
        trigger(ON_BAD.format("PERFORM nothing(NEW.body);")), "42883"
    ),
    "a text that changes": Refusal(
        trigger(ON_BAD.format("NEW.body := NEW.body || '.';")), "27000"
    ),
    "a text that changes afterwards": Refusal(
        trigger(
            "IF NEW.id IN (7, 30) AND OLD.body = NEW.body THEN"
            " UPDATE reviews SET body = body || '.' WHERE id = NEW.id; END IF; RETURN NULL;",
            "AFTER UPDATE",
        ),
        "27000",
    ),
    "work undone": Refusal(trigger(ON_BAD.format("NEW.embedding_of := NULL;")), "27000"),
    "work left out": Refusal(trigger(ON_BAD.format("RETURN NULL;")), "27000"),
}  # fmt: skip

READ = {
    "input": Refusal(
        "SELECT rowvec.alter_embedding('reviews', input => $$(body::json) ->> 'text'$$)", "22P02"
    ),
    "input, a zero": Refusal(
        "ALTER TABLE reviews ADD j json; UPDATE reviews SET j = json_build_object('text', body);"
        """UPDATE reviews SET j = '{"text": "\\u0000"}' WHERE id IN (7, 30);"""
        "SELECT rowvec.alter_embedding('reviews', input => $$j ->> 'text'$$)",
        "22P05",
    ),
    "filter": Refusal(
        "SELECT rowvec.alter_embedding('reviews', filter => $$length(body::json ->> 'text') > 0$$)",
        "22P02",
    ),
}

FillBy = Callable[[], None]
WAYS = [
    ("job", "column"),
    ("job", "table"),
    ("call", "column"),
    ("sync", "column"),
    ("sync", "table"),
]


@pytest.fixture(params=WAYS, ids=" ".join)
def destination(request: pytest.FixtureRequest, reviews: Reviews) -> str:
    """Where the vectors of `reviews` go; its texts are JSON, two of them none."""
    destination = str(request.param[1])
    reviews.run("CREATE TABLE reviews (id bigint PRIMARY KEY, body text, writes int DEFAULT 0)")
    reviews.run(
        "INSERT INTO reviews SELECT i, format('{\"text\": \"%%s\"}', concat('text ', i,"
        " current_database())) FROM generate_series(1, %s) AS i",
        ROWS,
    )
    reviews.run("UPDATE reviews SET body = %s || id WHERE id IN (7, 30)", SECRET)
    reviews.run(
        "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body', destination => %s)",
        destination,
    )
    return destination


@pytest.fixture
def fill_by(
    *,
    request: pytest.FixtureRequest,
    destination: str,  # noqa: ARG001
    reviews: Reviews,
    fill: Fill,
    database: Database,
    start_rowvec: StartRowvec,
) -> FillBy:
    """Fills `reviews` until every row is marked or has failed."""
    way = request.node.callspec.params["destination"][0]

    def is_through() -> bool:
        return bool(
            reviews.one(
                "SELECT bool_and(embedding_of IS NOT NULL OR EXISTS (SELECT FROM rowvec.failure"
                " WHERE key = to_jsonb(id))) FROM reviews"
            )
        )

    def run() -> None:
        if way == "job":
            fill("reviews", commit_rows=20)
        elif way == "call":
            reviews.run("CALL rowvec.backfill('reviews', commit_rows => 20)")
        else:
            start_rowvec("sync", "--dsn", database.dsn)
            eventually(is_through)

    return run


def failures(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT key, kind, sqlstate FROM rowvec.failure ORDER BY key"
    ).fetchall()


def filled(reviews: Reviews, destination: str) -> set[int]:
    """The rows that have what they are to have."""
    statement = {
        "column": "SELECT id FROM reviews WHERE embedding IS NOT NULL",
        "table": "SELECT id FROM reviews_embedding",
    }
    return {row[0] for row in reviews.run(statement[destination]).fetchall()}


@pytest.mark.parametrize("refusal", WRITTEN.values(), ids=WRITTEN)
def test_what_is_refused_of_a_row_costs_that_row(
    *, reviews: Reviews, destination: str, fill_by: FillBy, refusal: Refusal
) -> None:
    reviews.connection.execute(refusal.statements.encode())
    fill_by()
    assert failures(reviews.connection) == [
        (key, "database", refusal.sqlstate) for key in refusal.keys
    ]
    assert filled(reviews, destination) == {*range(1, ROWS + 1)} - {*refusal.keys}
    messages = reviews.one("SELECT string_agg(message, ' ') FROM rowvec.failure")
    assert SECRET not in messages
    assert ('constraint "positive"' in messages) == ("positive" in refusal.statements)


@pytest.mark.parametrize("refusal", READ.values(), ids=READ)
def test_an_input_that_raises_costs_its_row(
    *, reviews: Reviews, destination: str, fill_by: FillBy, refusal: Refusal
) -> None:
    reviews.connection.execute(refusal.statements.encode())
    fill_by()
    assert failures(reviews.connection) == [
        (key, "database", refusal.sqlstate) for key in refusal.keys
    ]
    assert filled(reviews, destination) == {*range(1, ROWS + 1)} - {*refusal.keys}
    assert SECRET not in reviews.one("SELECT string_agg(message, ' ') FROM rowvec.failure")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03"])
def test_a_row_that_others_are_in_the_way_of_stays_pending(
    *, reviews: Reviews, destination: str, fill: Fill, sqlstate: str
) -> None:
    reviews.connection.execute(trigger(ON_BAD.format(f"RAISE SQLSTATE '{sqlstate}';")).encode())
    if destination == "column":
        reviews.run("CALL rowvec.backfill('reviews')")
        assert filled(reviews, destination) == {*range(1, ROWS + 1)} - {7, 30}
    fill("reviews")
    assert filled(reviews, destination) == {*range(1, ROWS + 1)} - {7, 30}
    assert failures(reviews.connection) == []


def test_the_application_writes_rows_whose_input_raises(reviews: Reviews, fill: Fill) -> None:
    """The index on pending rows evaluates the input, and is there from the first job on."""
    reviews.make(500)
    reviews.run("UPDATE reviews SET body = to_json(body)::text")
    reviews.run("UPDATE reviews SET body = 'no JSON' WHERE id = 250")
    reviews.run("SELECT rowvec.alter_embedding('reviews', input => 'body::json #>> ''{}''')")
    assert fill("reviews").written == 499
    assert reviews.one("SELECT array_agg(key) FROM rowvec.failure") == [250]
    reviews.run("INSERT INTO reviews VALUES (501, 'none either')")
    reviews.run("UPDATE reviews SET body = 'nor this' WHERE id = 1")
    reviews.run("UPDATE reviews SET writes = 0 WHERE id = 250")
    assert fill("reviews").failed == 2
    assert reviews.one("SELECT count(*) FROM rowvec.search('reviews', 'text', k => 501)") == 499
    for statement in (
        "SELECT count(*) FROM rowvec.search('reviews', 'text', method => 'hybrid')",
        "SELECT rows - pending FROM rowvec.status",
        "SELECT count(*) FROM rowvec.verify('reviews', sample => 500)",
    ):
        assert reviews.one(statement) > 0
    assert [row[0] for row in reviews.run("SELECT key FROM rowvec.truncated('reviews')")] == []
    reviews.run("UPDATE reviews SET body = '\"good\"' WHERE id IN (1, 250, 501)")
    assert fill("reviews").written == 3
    assert reviews.one("SELECT count(*) FROM rowvec.failure") == 0


def test_rows_of_a_child_of_the_source_have_no_chunks(reviews: Reviews, fill: Fill) -> None:
    """No key of the source is theirs, which the foreign key of the chunks asks for."""
    reviews.run("CREATE TABLE reviews (id bigint PRIMARY KEY, body text)")
    reviews.run("CREATE TABLE old_reviews () INHERITS (reviews)")
    reviews.run("INSERT INTO reviews SELECT i, 'text ' || i FROM generate_series(1, 20) AS i")
    reviews.run("INSERT INTO old_reviews SELECT i, 'old ' || i FROM generate_series(21, 23) AS i")
    reviews.run(
        "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body',"
        " destination => 'table')"
    )
    summary = fill("reviews")
    assert (summary.written, summary.failed) == (20, 3)
    assert failures(reviews.connection) == [(key, "database", "23503") for key in (21, 22, 23)]
    assert fill("reviews").failed == 0


@pytest.mark.parametrize("destination", ["column", "table"])
def test_what_is_no_rows_fault_ends_the_job(reviews: Reviews, fill: Fill, destination: str) -> None:
    """A write of no row is refused as well, so no row is set aside for it."""
    reviews.run("CREATE TABLE reviews (id bigint PRIMARY KEY, body text)")
    reviews.run("INSERT INTO reviews SELECT i, 'text ' || i FROM generate_series(1, 20) AS i")
    reviews.run(
        "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body', destination => %s)",
        destination,
    )
    reviews.connection.execute(
        b"CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS"
        b" $$ BEGIN RAISE 'closed for the night' USING ERRCODE = '55000'; END $$;"
        b"CREATE TRIGGER closed BEFORE UPDATE ON reviews EXECUTE FUNCTION closed()"
    )
    # What a trigger says may be the text of a row: its kind is passed on.
    with pytest.raises(DatabaseError, match="55000"):
        fill("reviews")
    if destination == "column":
        with refused("55000", "closed for the night"):
            reviews.run("CALL rowvec.backfill('reviews')")
    assert reviews.one("SELECT count(*) FROM rowvec.failure") == 0


def test_what_the_database_refused_is_tried_again_by_itself(reviews: Reviews, fill: Fill) -> None:
    """Another column of the row, or the constraint, may be other by then; its text is not."""
    reviews.make(3)
    reviews.run("UPDATE reviews SET writes = -5 WHERE id = 2")
    reviews.run("ALTER TABLE reviews ADD CHECK (writes >= 0) NOT VALID")
    assert fill("reviews").failed == 1
    reviews.run("UPDATE reviews SET writes = 0 WHERE id = 2")
    assert fill("reviews").written == 0
    reviews.run("UPDATE rowvec.failure SET next_attempt_at = now(), attempts = 90")
    assert fill("reviews").written == 1
