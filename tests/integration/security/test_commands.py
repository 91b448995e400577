"""The command line as a role that may embed and search, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from support.commands import run_in_process
from support.postgres import Database

WORKS = {
    "search": ("search", "reviews", "review 7"),
    "similar": ("similar", "reviews", "--key", "7"),
    "explain": ("explain", "reviews", "review 7"),
    "status": ("status",),
    "export": ("export", "reviews", "{folder}/reviews.jsonl"),
    "server show": ("server", "show"),
    "server ping": ("server", "ping"),
}
# What it lacks stands in the sentence.
LACKS = {
    "embed": (("embed", "--model", "stand-in-small", "a text"), "the worker's password"),
    "models list": (("models", "list"), "the worker's password"),
    "backfill": (("backfill", "reviews"), "the worker's password"),
    "plan": (("plan", "reviews"), "the worker's password"),
    "sync": (("sync", "reviews"), "permission denied for table sync"),
    "retry": (("retry", "reviews"), "permission denied for function retry"),
    "verify": (("verify", "reviews"), "permission denied for function verify"),
    "index": (("index", "reviews"), "must be owner of table reviews"),
    "tune": (("tune", "reviews"), "has no index"),
    "similarities": (("similarities", "reviews"), "permission denied"),
    "cluster": (("cluster", "reviews", "2"), "permission denied"),
    "map": (("map", "reviews"), "permission denied"),
    "migrate": (("migrate",), "a superuser has to prepare this database first"),
}


@pytest.fixture
def app(database: Database) -> Iterator[str]:
    """The DSN of the role."""
    name = f"app_{database.name}"
    with database.connect() as connection:
        connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
        connection.execute(
            "INSERT INTO reviews SELECT i, 'review ' || i FROM generate_series(1, 20) AS i"
        )
        connection.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
        connection.execute("CALL rowvec.backfill('reviews')")
        connection.execute(
            sql.SQL(
                "CREATE ROLE {0} LOGIN; GRANT rowvec_user TO {0}; GRANT SELECT ON reviews TO {0}"
            ).format(sql.Identifier(name))
        )
    yield database.cluster.dsn(database.name, name)
    with database.connect() as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


@pytest.mark.parametrize("words", WORKS.values(), ids=WORKS)
def test_what_the_role_may_do_works(app: str, words: tuple[str, ...], tmp_path: Path) -> None:
    done = run_in_process(*(word.format(folder=tmp_path) for word in words), ROWVEC_DSN=app)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("words", "said"), LACKS.values(), ids=LACKS)
def test_what_the_role_lacks_is_one_sentence(app: str, words: tuple[str, ...], said: str) -> None:
    done = run_in_process(*words, ROWVEC_DSN=app)
    assert done.returncode in (1, 2)
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in error
