-- The owner of an embedding's source.
SELECT pg_get_userbyid(c.relowner)
FROM rowvec.embedding AS e JOIN pg_class AS c ON c.oid = e.source
WHERE e.id = %(id)s;
