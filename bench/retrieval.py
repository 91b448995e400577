"""nDCG@10 on Cranfield of `search` in Postgres: exact, by its index, by words, and hybrid.

ROWVEC_TEST_MODELS names the folder with cranfield. The model is all-MiniLM-L6-v2. The index is what
`rowvec index` builds and measures at its defaults.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
from quality import DEPTH, Cranfield
from stage import MODEL, ROWVEC, instance, report

WAYS = {
    "exact": """options => '{"exact": true}'""",
    "search": "method => 'vector'",
    "text": "method => 'text'",
    "hybrid": "method => 'hybrid'",
    "hybrid_50": """options => '{"method": "hybrid", "candidates": 50}'""",
    "hybrid_half": """options => '{"method": "hybrid", "weights": {"text": 0.5}}'""",
}


def main() -> None:
    """One line a way of searching."""
    cranfield = Cranfield(Path(os.environ["ROWVEC_TEST_MODELS"]) / "cranfield")
    with instance() as dsn, psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE abstracts (id int PRIMARY KEY, body text)")
        with conn.cursor() as cursor, cursor.copy("COPY abstracts FROM STDIN") as copy:
            for document in cranfield.documents:
                copy.write_row((document["id"], document["text"]))
        conn.execute("SELECT rowvec.create_embedding('abstracts', %s, 'body')", (MODEL,))
        run("backfill", "abstracts", "--dsn", dsn)
        run("index", "abstracts", "--dsn", dsn)
        run("index", "abstracts", "--text", "--text-config", "english", "--dsn", dsn)
        for name, arguments in WAYS.items():
            ndcg = cranfield.score(ranking(conn, arguments))
            report("retrieval", way=name, ndcg=round(ndcg, 4))


def run(*arguments: str) -> None:
    """A command of rowvec."""
    subprocess.run([str(ROWVEC), *arguments], check=True, stdout=subprocess.DEVNULL)


def ranking(conn: psycopg.Connection, arguments: str) -> Callable[[str], list[int]]:
    """Searches, and gives the ids of what is found."""
    statement = f"SELECT key::int FROM rowvec.search('abstracts', %s, {DEPTH}, {arguments})"

    def found(question: str) -> list[int]:
        return [row[0] for row in conn.execute(statement, (question,))]

    return found


if __name__ == "__main__":
    main()
