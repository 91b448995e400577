"""pgml.chunk: the splitters of LangChain, through a real worker."""

from __future__ import annotations

import langchain_text_splitters
import psycopg
import pytest

from rowvec.db.schema import migrate
from support.postgres import Database

TEXT = "It was the best of times.\n\nIt was the worst of times, it was the age of wisdom. " * 4


@pytest.fixture
def conn(database: Database, connection: psycopg.Connection) -> psycopg.Connection:
    migrate(database.dsn, with_pgml=True)
    return connection


@pytest.mark.parametrize(
    ("splitter", "name"),
    [
        ("recursive_character", "RecursiveCharacterTextSplitter"),
        ("character", "CharacterTextSplitter"),
        ("markdown", "MarkdownTextSplitter"),
    ],
)
def test_chunk_is_the_librarys(conn: psycopg.Connection, splitter: str, name: str) -> None:
    own = getattr(langchain_text_splitters, name)(chunk_size=60, chunk_overlap=10)
    rows = conn.execute(
        "SELECT (chunk).chunk_index, (chunk).chunk FROM (SELECT pgml.chunk(%s, %s, %s) AS chunk)",
        (splitter, TEXT, '{"chunk_size": 60, "chunk_overlap": 10}'),
    ).fetchall()
    assert rows == list(enumerate(own.split_text(TEXT), start=1))


def test_chunk_as_its_documentation_calls_it(conn: psycopg.Connection) -> None:
    call = "SELECT pgml.chunk('recursive_character', 'test')"
    assert conn.execute(call).fetchone() == (("1", "test"),)
    assert conn.execute("SELECT * FROM pgml.chunk('markdown', NULL)").fetchall() == []
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no splitter 'sentences'"):
        conn.execute("SELECT pgml.chunk('sentences', 'test')")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="is_separator_regex"):
        conn.execute("SELECT pgml.chunk('character', 'test', '{\"is_separator_regex\": true}')")


def test_who_has_the_role_may(conn: psycopg.Connection, database: Database) -> None:
    conn.execute("CREATE ROLE pgml_chunker LOGIN IN ROLE rowvec_user")
    try:
        with database.connect("pgml_chunker") as theirs:
            call = "SELECT pgml.chunk('character', 'x')"
            assert theirs.execute(call).fetchone() == (("1", "x"),)
    finally:
        conn.execute("DROP ROLE pgml_chunker")
