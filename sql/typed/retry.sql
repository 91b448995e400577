-- Rows that were set aside are due again; how many.
SELECT rowvec.retry(%(source)s::pg_catalog.regclass, %(embedding)s::pg_catalog.text, %(sqlstate)s::pg_catalog.text);
