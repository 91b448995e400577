-- Run by the command line when a column is not there: those that are.
SELECT attname::text FROM pg_attribute
WHERE attrelid = %(source)s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;
