-- How far the CREATE INDEX of another session is: by rows where they are counted, else by pages.
SELECT phase,
       CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END,
       CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END
FROM pg_stat_progress_create_index
WHERE pid = %(pid)s;
