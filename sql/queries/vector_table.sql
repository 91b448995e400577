-- The table that holds the vectors of an embedding, and their column: the source, or its chunks.
SELECT n.nspname AS schema,
       c.relname AS "table",
       CASE WHEN c.oid = d.source THEN d.name ELSE 'embedding' END AS "column",
       d.index_name,
       d.index_kind,
       d.index_storage,
       d.index_lists,
       d.index_rows,
       d.measured_at,
       d.setting_name,
       d.setting,
       d.rescore,
       d.recall,
       coalesce(d.target_recall,
                (SELECT (value #>> '{}')::real FROM rowvec.setting WHERE name = 'target_recall'))
           AS target_recall
FROM rowvec.embedding AS d
JOIN pg_class AS c ON c.oid = coalesce(
    CASE WHEN d.destination = 'table' THEN rowvec._derived(d.id, 'chunks') END, d.source)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE d.id = %(id)s;
