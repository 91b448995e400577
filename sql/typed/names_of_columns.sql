-- Run by the command line when a column is not there: those that are.
SELECT attname::pg_catalog.text FROM pg_catalog.pg_attribute
WHERE attrelid OPERATOR(pg_catalog.=) %(source)s::pg_catalog.regclass
  AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped
ORDER BY attnum;
