-- The definition that a job works on, its pending predicate, and where its source is.
SELECT d.id,
       n.nspname AS schema,
       c.relname AS "table",
       c.relkind = 'p' AS is_partitioned,
       d.name,
       d.model,
       d.input,
       d.modality,
       d.filter,
       d.destination,
       d.dimensions,
       d.kwargs,
       d.on_truncate,
       d.metric,
       d.version,
       d.paused,
       rowvec._pending(d.id) AS pending,
       rowvec._kept(d.id) AS kept
FROM rowvec._definition(%(source)s::regclass, %(embedding)s::text) AS d
JOIN pg_class AS c ON c.oid = d.source
JOIN pg_namespace AS n ON n.oid = c.relnamespace;
