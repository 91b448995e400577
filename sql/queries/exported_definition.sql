-- `rowvec export`: where the vectors of an embedding stand, in its source or its chunks; the key of its rows.
SELECT d.source::text AS source, d.destination = 'table' AS is_chunked, d.dimensions, d.metric,
    CASE d.destination WHEN 'table' THEN 'embedding' ELSE d.name END AS vector,
    CASE d.destination WHEN 'table' THEN 'chunk' ELSE d.input END AS text,
    n.nspname AS schema, c.relname AS table,
    rowvec._key_json(d.source) AS key,
    (SELECT array_agg(k.type) FROM rowvec._key_columns(d.source) AS k) AS key_types
FROM rowvec._definition(%(source)s::regclass, %(embedding)s) AS d
LEFT JOIN pg_class AS c
    ON c.oid = CASE d.destination WHEN 'table' THEN rowvec._derived(d.id, 'chunks') ELSE d.source END
LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace;
