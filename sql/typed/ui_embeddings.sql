-- Every embedding that is not an orphan of a dropped table, with its progress.
SELECT s.*, s.source::pg_catalog.text AS table
FROM rowvec.status AS s
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) s.source
ORDER BY s.source::pg_catalog.text, s.is_default DESC, s.embedding
