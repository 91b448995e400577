-- Rows that were set aside are due again; how many.
SELECT rowvec.retry(%(source)s::regclass, %(embedding)s::text, %(sqlstate)s::text);
