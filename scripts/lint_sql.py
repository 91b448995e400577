"""Runs pgspot over the functions, views and grants as `rowvec migrate` would apply them.

Ignored, with the reason:
PS002 is about CREATE OR REPLACE in a schema where others may create: only the owner of the schema
rowvec can, and only the owner migrates. PS017 is about unqualified objects in functions without a
pinned search_path: those that run the caller's own SQL keep the caller's path by design.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rowvec.db.queries import sql_file, sql_files
from rowvec.db.schema import render

IGNORED = ("PS002",)
SCHEMAS = {"vector": "public", "dblink": "rowvec_dblink"}


def main() -> int:
    """Prints pgspot's findings file by file; 1 where there are any."""
    pgspot = Path(sys.executable).parent / "pgspot"
    options = [flag for code in IGNORED for flag in ("--ignore", code)]
    files = {**sql_files("functions"), **sql_files("views"), "grants.sql": sql_file("grants.sql")}
    failed = False
    for path, text in files.items():
        done = subprocess.run(
            [pgspot, *options],
            input=render(text, SCHEMAS, 180000),
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            failed = True
            print(f"sql/{path}\n{done.stdout}{done.stderr}")
    print("pgspot: findings above" if failed else f"pgspot: {len(files)} files, nothing found")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
