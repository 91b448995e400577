-- The syncs of this database, a row each.
SELECT pid FROM pg_stat_activity
WHERE application_name = 'rowvec sync' AND datname = current_database();
