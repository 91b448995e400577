-- `rowvec export`: where the vectors of an embedding stand, in its source or its chunks; the key of its rows.
SELECT d.source::pg_catalog.text AS source, d.destination OPERATOR(pg_catalog.=) 'table' AS is_chunked, d.dimensions, d.metric,
    CASE WHEN d.destination OPERATOR(pg_catalog.=) 'table' THEN 'embedding' ELSE d.name END AS vector,
    CASE WHEN d.destination OPERATOR(pg_catalog.=) 'table' THEN 'chunk' ELSE d.input END AS text,
    n.nspname AS schema, c.relname AS table,
    rowvec._key_json(d.source) AS key,
    (SELECT pg_catalog.array_agg(k.type) FROM rowvec._key_columns(d.source) AS k) AS key_types
FROM rowvec._definition(%(source)s::pg_catalog.regclass, %(embedding)s) AS d
LEFT JOIN pg_catalog.pg_class AS c
    ON c.oid OPERATOR(pg_catalog.=) CASE WHEN d.destination OPERATOR(pg_catalog.=) 'table'
        THEN rowvec._derived(d.id, 'chunks') ELSE d.source END
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace;
