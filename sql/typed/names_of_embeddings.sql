-- Run by the command line when a table has no embedding of the name that was given.
SELECT name FROM rowvec.embedding
WHERE source OPERATOR(pg_catalog.=) %(source)s::pg_catalog.regclass
ORDER BY id;
