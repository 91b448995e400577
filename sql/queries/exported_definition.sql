-- `rowvec export`: the definition of an embedding, its source's name and key.
SELECT d.name, d.input, d.dimensions, d.metric, d.destination, n.nspname AS schema, c.relname AS table,
    (SELECT array_agg(k.name) FROM rowvec._key_columns(d.source) AS k) AS key,
    (SELECT array_agg(k.type) FROM rowvec._key_columns(d.source) AS k) AS key_types
FROM rowvec._definition(%(source)s::regclass, %(embedding)s) AS d
JOIN pg_class AS c ON c.oid = d.source
JOIN pg_namespace AS n ON n.oid = c.relnamespace;
