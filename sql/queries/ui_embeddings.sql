-- Every embedding that is not an orphan of a dropped table, with its progress.
SELECT s.*, s.source::text AS table
FROM rowvec.status AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.source
ORDER BY s.source::text, s.is_default DESC, s.embedding
