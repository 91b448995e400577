"""Statements live in db/ and in sql/; whoever looks for what reads a table looks nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Modules outside db/ that run or compose SQL all the same, each with its reason.
ALLOWED = {
    "src/rowvec/load/query.py": "reads another database, by the query of whoever loads",
    "src/rowvec/doctor/database.py": "says which statements a person may run",
    "src/rowvec/load/llm_sqlite.py": "reads the SQLite file of another program",
    "src/rowvec/filling/batch.py": "one transaction: which statements it has hangs on its rows",
    "src/rowvec/backfill/shards.py": "each step of taking a range is a statement",
}

# A verb in capitals and what it works on; a verb and a number is the wire's word for what was done.
_STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|SET|CREATE|ALTER|DROP|WITH|COPY|VACUUM|ANALYZE|EXPLAIN"
    r"|TRUNCATE|LOCK|CALL|GRANT|REVOKE|SHOW|LISTEN|NOTIFY|DECLARE|FETCH|PREPARE)\s+(?!\d+\s*$)\S"
)
_RUNS = {"execute", "executemany", "exec_driver_sql"}


def _docstrings(tree: ast.Module) -> set[ast.Constant]:
    """Texts that stand for themselves; a docstring may show a statement."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Where a module composes, names, spells or runs a statement, and which of these it does."""
    tree = ast.parse(text)
    shown = _docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="psycopg", names=names) if any(
                name.name == "sql" for name in names
            ):
                yield node.lineno, "composes"
            case (
                ast.ImportFrom(module="psycopg.sql")
                | ast.Import(names=[ast.alias(name="psycopg.sql")])
            ):
                yield node.lineno, "composes"
            case ast.ImportFrom(module="rowvec.db.queries", names=names) if any(
                name.name in ("query", "typed") for name in names
            ):
                yield node.lineno, "names"
            case ast.Constant(value=str(value)) if node not in shown and _STATEMENT.match(value):
                yield node.lineno, "spells"
            case ast.Call(func=ast.Attribute(attr=attribute)) if attribute in _RUNS:
                yield node.lineno, "runs"


def outside() -> Iterator[Path]:
    """Every module of the package that is not in db/."""
    for folder in ("src/rowvec", "jobs"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if not file.is_relative_to(ROOT / "src/rowvec/db"):
                yield file


def test_modules_outside_db_have_no_statements() -> None:
    found = {
        f"{file.relative_to(ROOT)}:{line} {what} a statement"
        for file in outside()
        for line, what in statements(file.read_text(encoding="utf-8"))
        if str(file.relative_to(ROOT)) not in ALLOWED
    }
    assert not found, "move it to src/rowvec/db/, or give the reason in ALLOWED"


def test_what_is_allowed_is_needed() -> None:
    needless = {
        name for name in ALLOWED if not [*statements((ROOT / name).read_text(encoding="utf-8"))]
    }
    assert not needless


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("from psycopg import sql", "composes"),
        ("from psycopg.sql import SQL", "composes"),
        ("from rowvec.db.queries import query", "names"),
        ("from rowvec.db.queries import typed", "names"),
        ("session.run('SELECT 1 FROM t')", "spells"),
        ("session.run(f'DELETE FROM {table}')", "spells"),
        ("connection.execute(text)", "runs"),
        ("wire.command_complete('SELECT 1')", None),
        ("def f():\n    'SELECT rowvec.embed(...)'", None),
    ],
)
def test_the_search_sees_each_way(code: str, what: str | None) -> None:
    assert [how for _, how in statements(code)] == ([] if what is None else [what])
