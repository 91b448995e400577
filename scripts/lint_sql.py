"""Runs pgspot over the functions, views and grants as `rowvec migrate` would apply them.

Ignored, with the reason:
PS002 and PS015 are about CREATE OR REPLACE in a schema where others may create: only the owner of
the schema rowvec can, and only the owner migrates.

Left out are the functions that pin no search_path, because the SQL that they run is the caller's
own or because they commit. They run with the caller's rights, and what they call of ours pins its
own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rowvec.db.queries import sql_file, sql_files
from rowvec.db.schema import render

IGNORED = ("PS002", "PS015")
SCHEMAS = {"vector": "public", "dblink": "rowvec_dblink"}
KEEP_THE_CALLERS_PATH = {
    "functions/_canonical_expressions.sql",
    "functions/_candidates.sql",  # as cosine_similarity
    "functions/_check_expression.sql",
    "functions/_distance.sql",  # inlined into functions that pin theirs
    "functions/_exchange_settings.sql",  # as cosine_similarity
    "functions/_nearest.sql",  # as _distance
    "functions/_nearest_enough.sql",  # as _distance
    "functions/_operator.sql",  # as cosine_similarity
    "functions/_refuse_other_path.sql",  # looks at it
    "functions/_run_search.sql",
    "functions/_search.sql",
    "functions/_search_settings.sql",  # as cosine_similarity
    "functions/_similar.sql",
    "functions/_similar_pairs.sql",
    "functions/_text_config.sql",
    "functions/alter_embedding.sql",
    "functions/backfill.sql",
    "functions/_passages.sql",
    "functions/context.sql",
    "functions/cosine_similarity.sql",  # inlined, its body is bound when it is created
    "functions/create_embedding.sql",
    "functions/embed_rows.sql",
    "functions/nearest.sql",
    "functions/polarity.sql",  # as cosine_similarity
    "functions/scale.sql",  # as cosine_similarity
    "functions/search.sql",
    "functions/search_rows.sql",
    "functions/similar.sql",
    "functions/similar_pairs.sql",
}


def main() -> int:
    """Prints pgspot's findings file by file; 1 where there are any."""
    pgspot = Path(sys.executable).parent / "pgspot"
    options = [flag for code in IGNORED for flag in ("--ignore", code)]
    folders = (sql_files(name) for name in ("functions", "views", "pgml"))
    files = {path: text for folder in folders for path, text in folder.items()}
    files["grants.sql"] = sql_file("grants.sql")
    failed = False
    for path, text in files.items():
        if path in KEEP_THE_CALLERS_PATH:
            continue
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
