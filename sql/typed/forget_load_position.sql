-- A load from an API that came to the end: the next one begins at the beginning.
DELETE FROM rowvec.load_position WHERE source OPERATOR(pg_catalog.=) %(table)s::pg_catalog.regclass AND url OPERATOR(pg_catalog.=) %(url)s;
