"""Holds our SQL to the rule that no name in it is looked up where others may create.

A function that pins its search_path goes through pgspot, as `rowvec migrate` would apply it. What
runs under a path of somebody else's has every name qualified (`qualified_names`): functions whose
SQL is partly the caller's or that commit, views, the statements of sql/typed/, and those that
modules of src/ compose for it. All other statements run on connections that are pinned as soon as
they are open, which only the modules that pin them may open.

Ignored of pgspot, with the reason:
PS002 and PS015 are about CREATE OR REPLACE in a schema where others may create: only the owner of
the schema rowvec can, and only the owner migrates.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from qualified_names import in_fragment, in_function, in_statements, pins_its_path

from rowvec.db.queries import sql_file, sql_files
from rowvec.db.schema import render

IGNORED = ("PS002", "PS015")
SCHEMAS = {"vector": "public", "dblink": "rowvec_dblink"}
SOURCES = Path(__file__).parent.parent / "src" / "rowvec"
# Their statements run within `users_path`.
IN_THE_USERS_PATH = ("db/demo_table.py", "db/landing.py", "db/upsert.py")
# They pin what they open, but for the database of somebody else's that a load reads.
MAY_CONNECT = ("db/connection.py", "db/schema.py", "db/session.py")
# psycopg's places for values and names, and what stands there once it is filled in.
PLACES = ((r"%%", "%"), (r"%\(\w+\)s|%s", "$1"), (r"\{\w*\}", "x.x"))


def main() -> int:
    """Prints the findings file by file; 1 where there are any."""
    found = {**_in_files(), **_in_modules()}
    for path, findings in found.items():
        print(path, *findings, sep="\n  ")
    print(f"SQL: findings in {len(found)} files" if found else "SQL: nothing found")
    return int(bool(found))


def _in_files() -> dict[str, list[str]]:
    folders = ("functions", "pgml", "views", "typed")
    files = {path: text for name in folders for path, text in sql_files(name).items()}
    files["grants.sql"] = sql_file("grants.sql")
    found = {}
    for path, raw in files.items():
        text = render(raw, SCHEMAS, 180000)
        if path.startswith("typed/"):
            findings = in_statements(_filled_in(text))
        elif path.startswith("views/"):
            findings = in_statements(text) + _pgspot(text)
        elif path == "grants.sql" or pins_its_path(text):
            findings = _pgspot(text)
        else:
            findings = in_function(text)
        if findings:
            found[f"sql/{path}"] = findings
    return found


def _pgspot(text: str) -> list[str]:
    command = [str(Path(sys.executable).parent / "pgspot")]
    command += [flag for code in IGNORED for flag in ("--ignore", code)]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    return f"{done.stdout}{done.stderr}".splitlines() if done.returncode else []


def _in_modules() -> dict[str, list[str]]:
    found = {}
    for file in sorted(SOURCES.rglob("*.py")):
        path = str(file.relative_to(SOURCES))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        findings = []
        if path not in MAY_CONNECT:
            findings += [
                f"line {call.lineno} connects without rowvec.db.connection.connect, which pins"
                for call in calls
                if ast.unparse(call.func) in ("psycopg.connect", "psycopg.AsyncConnection.connect")
            ]
        if path in IN_THE_USERS_PATH:
            for call in calls:
                for argument in call.args:
                    if _takes_sql(call) and isinstance(argument, ast.Constant):
                        names = in_fragment(_filled_in(str(argument.value)))
                        findings += [f"line {argument.lineno}: {name}" for name in names]
        if findings:
            found[f"src/rowvec/{path}"] = findings
    return found


def _takes_sql(call: ast.Call) -> bool:
    return ast.unparse(call.func).rpartition(".")[2] in (
        "SQL",
        "execute",
        "_all",
        "_has_row",
        "_run",
    )


def _filled_in(text: str) -> str:
    for place, value in PLACES:
        text = re.sub(place, value.replace("\\", r"\\"), text)
    return text


if __name__ == "__main__":
    sys.exit(main())
