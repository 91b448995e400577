-- The SQL condition that the key of a row is equal to or beyond values, an expression for each of its columns.
SELECT rowvec._key_condition(e.source, %(operator)s, %(values)s::text[])
FROM rowvec.embedding AS e
WHERE e.id = %(id)s;
