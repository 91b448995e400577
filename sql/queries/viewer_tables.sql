-- The sources given, or all that have an embedding, and what was made from them.
WITH source AS (
    SELECT s AS relation FROM pg_catalog.unnest(%(sources)s::oid[]) AS s
    UNION
    SELECT e.source
    FROM rowvec.embedding AS e
    WHERE pg_catalog.cardinality(%(sources)s::oid[]) = 0 AND rowvec._is_source(e)
)
SELECT n.nspname, c.relname
FROM (
    SELECT relation FROM source
    UNION
    SELECT rowvec._derived(d.embedding_id, d.kind)
    FROM rowvec.derived AS d
    JOIN rowvec.embedding AS e ON e.id = d.embedding_id
    JOIN source AS s ON s.relation = e.source
) AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY n.nspname, c.relname
