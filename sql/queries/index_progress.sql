-- How far the CREATE INDEX of another session is.
SELECT phase, tuples_done, tuples_total
FROM pg_stat_progress_create_index
WHERE pid = %(pid)s;
