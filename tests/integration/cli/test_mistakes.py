"""Mistakes that people make: each gets a sentence that names the thing, and the next step."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from support.commands import Run, run_in_process
from support.postgres import Database

REVIEWS = """
CREATE TABLE reviews (id int PRIMARY KEY, body text, stars int);
CREATE TABLE plain (id int PRIMARY KEY, body text);
INSERT INTO reviews VALUES (1, 'arrived broken', 1), (2, 'a fine thing', 5), (3, 'dull', 3);
SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body');
"""

FAILED, USAGE = 1, 2

# What is typed, the exit code, and what must be said, in words that are there whatever surrounds
# them.
MISTAKES: dict[str, tuple[list[str], int, str]] = {
    "a table mistyped": (["search", "reveiws", "x"], FAILED, "hint: did you mean reviews?"),
    "a table mistyped, by a job": (["backfill", "reveiws"], FAILED, "hint: did you mean reviews?"),
    "a table that is nowhere": (
        ["plan", "orders"], FAILED,
        'relation "orders" does not exist hint: no table here has a name like it; `rowvec status`',
    ),
    "a table without an embedding": (
        ["search", "plain", "x"], FAILED,
        "public.plain has no embedding hint: rowvec.create_embedding makes one",
    ),
    "an embedding mistyped": (
        ["search", "reviews", "x", "--embedding", "embeding"], FAILED,
        'no embedding named "embeding" hint: did you mean embedding?',
    ),
    "a command mistyped": (["bakcfill", "reviews"], USAGE, "'bakcfill': did you mean backfill?"),
    "an option mistyped": (["search", "reviews", "x", "--filtr", "y"], USAGE, "--filter"),
    "a model mistyped": (
        ["embed", "-m", "standin", "x"], FAILED,
        "no 'standin' hint: did you mean stand-in or stand-in-small?",
    ),
    "a model for ranking that is not listed": (
        ["search", "reviews", "x", "--rerank", "none-such"], FAILED,
        "no 'none-such' hint: listed: stand-in, ",
    ),
    "an empty query": (["search", "reviews", " "], USAGE, "the query is empty: say in words"),
    "an empty question": (
        ["ask", "reviews", "", "--context-only"], USAGE, "the query is empty: say in words",
    ),
    "$1 without its value": (
        ["search", "reviews", "x", "--filter", "stars = $1"], FAILED,
        "there is no parameter $1 hint: --arg gives the values of $1",
    ),
    "a value without its filter": (
        ["search", "reviews", "x", "--arg", "4"], USAGE, "give --filter, too",
    ),
    "a value of another type": (
        ["search", "reviews", "x", "--filter", "stars = $1::int", "--arg", "four"], FAILED,
        "hint: a value does not fit the type that it is compared with",
    ),
    "a filter with a wrong column": (
        ["search", "reviews", "x", "--filter", "starz = 1"], FAILED,
        'column "starz" does not exist hint: Perhaps you meant to reference the column',
    ),
    "a colour by a wrong column": (
        ["map", "reviews", "--color", "mood", "-o", "{folder}/map.html"], FAILED,
        'column "mood" does not exist hint: columns of reviews: id, body, stars',
    ),
    "a column of a file that it lacks": (
        ["load", "loaded", "{folder}/rows.csv", "--columns", "id,bdy"], FAILED,
        "no row has the column bdy hint: columns: body, id",
    ),
    "a type that is none": (
        ["load", "loaded", "{folder}/rows.csv", "--type", "id=intt"], FAILED,
        'type "intt" does not exist hint: types are as Postgres names them: text, bigint',
    ),
    "a language mistyped": (
        ["index", "reviews", "--text", "--text-config", "germann"], FAILED,
        'configuration "germann" does not exist hint: did you mean german',
    ),
    "a file that is not there": (
        ["tune", "reviews", "--queries", "none.txt"], USAGE,
        "none.txt cannot be read as queries: No such file or directory",
    ),
    "a worker that is not there": (
        ["models", "list", "--worker", "host=127.0.0.1 port=1"], FAILED,
        "hint: `rowvec worker` starts one, `rowvec server show` says where it is looked for",
    ),
    "a language model that is not there": (
        ["ask", "reviews", "x", "--relevance", "0", "--endpoint", "http://127.0.0.1:1/v1",
         "--model", "m"], FAILED,
        "hint: start the program that serves the model, or say where it is with --endpoint",
    ),
    "a database that is not there": (
        ["status", "--dsn", "host=127.0.0.1 port=1 dbname=x"], FAILED,
        "hint: --dsn or ROWVEC_DSN says where the database is; `rowvec up` starts one",
    ),
    "a DSN that is none": (
        ["status", "--dsn", "shop"], FAILED,
        'missing "=" after "shop" in connection info string hint: --dsn or ROWVEC_DSN says',
    ),
    "a viewer that is not there": (
        ["ui", "--role", "lookout"], FAILED, "hint: `rowvec viewer lookout` makes that role",
    ),
    "one of several tables mistyped": (
        ["sync", "reviews", "reveiws"], FAILED, "hint: did you mean reviews?",
    ),
    "a value of a setting that is none": (
        ["worker", "--device", "gpu"], USAGE, "hint: where models are computed: auto (CUDA",
    ),
    "a module that is none": (
        ["demo", "--module", "nosuch"], USAGE, "the standard library has no module nosuch",
    ),
}  # fmt: skip

_WITHOUT_DSN = {"bakcfill", "demo", "worker"}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_a_sentence_and_the_next_step(
    database: Database, tmp_path: Path, mistake: str
) -> None:
    (tmp_path / "rows.csv").write_text("id,body\n1,one\n")
    with database.connect() as connection:
        connection.execute(REVIEWS)
        connection.execute("CALL rowvec.backfill('reviews')")
    words, code, said = MISTAKES[mistake]
    typed = [word.replace("{folder}", str(tmp_path)) for word in words]
    if typed[0] not in _WITHOUT_DSN and "--dsn" not in typed:
        typed += ["--dsn", database.dsn]
    done = run_in_process(*typed)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join(done.stderr.split())
    for of_inside in ("CONTEXT", "PL/pgSQL", "Traceback", "[Errno"):
        assert of_inside not in done.stderr


def test_the_same_row_again_names_the_option_that_updates_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,body\n1,one\n")
    run("load", "loaded", tmp_path / "rows.csv", "--key", "id")
    run("load", "loaded", tmp_path / "rows.csv", fails="hint: --key COLUMN updates the rows")


def test_a_column_without_embedding_names_the_statement(
    connection: psycopg.Connection, run: Run
) -> None:
    connection.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
    run("backfill", "notes", fails="hint: rowvec.create_embedding makes one")
