"""`rowvec server` and `rowvec uninstall` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import Rowvec
from support.postgres import Database


def test_set_keeps_what_is_not_given(database: Database, rowvec: Rowvec, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("another password\n")
    first = rowvec(
        "server", "set", "--dsn", database.dsn, "--sslmode", "disable",
        "--password-file", str(secret), "--json",
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    set_to = json.loads(first.stdout)
    assert set_to["changed"] is True
    assert set_to["options"]["sslmode"] == "disable"
    assert set_to["options"]["port"] == "5466"
    assert "another password" not in first.stdout + first.stderr

    again = rowvec("server", "set", "--dsn", database.dsn, "--sslmode", "disable", "--json")
    assert json.loads(again.stdout)["changed"] is False

    ping = rowvec("server", "ping", "--dsn", database.dsn)
    assert ping.returncode == 1
    assert "refused the password" in ping.stderr
    assert "another password" not in ping.stderr


def test_show(database: Database, rowvec: Rowvec) -> None:
    shown = rowvec("server", "show", "--dsn", database.dsn, "--json")
    assert json.loads(shown.stdout)["port"] == "5466"
    assert "password" not in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "nothing to set"),
        (("--port", "99999"), 2, "99999"),
        (("--password-file", "/nowhere/at/all"), 2, "/nowhere/at/all"),
        (("--sslmode", "perhaps"), 2, "perhaps"),
    ],
)
def test_set_says_what_is_wrong(
    migrated_database: Database, rowvec: Rowvec, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = rowvec("server", "set", "--dsn", migrated_database.dsn, *arguments)
    assert done.returncode == code
    assert message in done.stderr


def test_a_database_without_rowvec(empty_database: Database, rowvec: Rowvec) -> None:
    done = rowvec("server", "show", "--dsn", empty_database.dsn)
    assert done.returncode == 3
    assert "rowvec migrate" in done.stderr


def test_uninstall_refuses_while_others_use_it(database: Database, rowvec: Rowvec) -> None:
    """A view of the user's goes with nothing; the vectors stay until they are said to go."""
    with database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO notes VALUES (1, 'one')")
        conn.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
        conn.execute("CALL rowvec.backfill('notes')")
        conn.execute("CREATE VIEW mine AS SELECT id, pending FROM rowvec.status")
        refused = rowvec("uninstall", "--dsn", database.dsn, "--yes")
        assert refused.returncode == 1
        assert "view public.mine" in refused.stderr
        conn.execute("DROP VIEW mine")

        done = rowvec("uninstall", "--dsn", database.dsn, "--yes")
        assert done.returncode == 0, done.stderr
        assert "columns embedding and embedding_of of public.notes" in done.stderr
        assert conn.execute("SELECT count(embedding) FROM notes").fetchone() == (1,)
        assert conn.execute("SELECT to_regnamespace('rowvec')").fetchone() == (None,)


def test_uninstall_drops_columns_where_told(database: Database, rowvec: Rowvec) -> None:
    with database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
        done = rowvec("uninstall", "--dsn", database.dsn, "--yes", "--drop-columns")
        assert done.returncode == 0, done.stderr
        found = conn.execute("SELECT * FROM notes")
        assert [column.name for column in found.description or ()] == ["id", "body"]
