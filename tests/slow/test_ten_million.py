"""Fault 58: a table that is large."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest

from support.commands import StartRowvec
from support.postgres import Database


@pytest.mark.timeout(4 * 3600)
def test_fault_58_ten_million_rows(database: Database, start_rowvec: StartRowvec) -> None:
    """Memory stays, no transaction that writes lasts, and VACUUM finds its dead rows."""
    rows = 10_000_000
    with database.connect() as connection:
        connection.execute("CREATE TABLE reviews (id bigint PRIMARY KEY, body text)")
        connection.execute(
            "INSERT INTO reviews SELECT i, 'text ' || i FROM generate_series(1, %s) AS i", (rows,)
        )
        connection.execute("VACUUM ANALYZE reviews")
        connection.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
        job = start_rowvec("backfill", "reviews", "--json", ROWVEC_DSN=database.dsn)
        process = psutil.Process(job.process.pid)
        memory: list[int] = []
        longest = (0.0, "")
        watched = (
            "SELECT extract(epoch FROM clock_timestamp() - xact_start), query"
            " FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
            " AND datname = current_database() AND query !~* '(CREATE INDEX|VACUUM)'"
            " AND xact_start IS NOT NULL ORDER BY 1 DESC LIMIT 1"
        )
        while job.process.poll() is None:
            if found := connection.execute(watched).fetchone():
                longest = max(longest, (float(found[0]), found[1]))
            with psutil.Popen(["true"]):
                """A moment."""
            with suppress(psutil.NoSuchProcess):
                memory.append(process.memory_info().rss)
        # One that is ending has none left.
        memory = [resident for resident in memory if resident]
        assert job.end()[0]["pending"] == 0
        tenth = len(memory) // 10
        assert max(memory[tenth:]) - min(memory[tenth:]) < 50 << 20
        assert longest[0] < 1, longest
        connection.execute("VACUUM reviews")
        dead = connection.execute(
            "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'reviews'"
        ).fetchone()
        assert dead is not None
        assert dead[0] < rows / 100
