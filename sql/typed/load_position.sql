-- A load from an API: where an earlier one, of the same into the same table, came to an end.
SELECT p.rest FROM rowvec.load_position AS p
WHERE p.source OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s) AND p.url OPERATOR(pg_catalog.=) %(url)s;
