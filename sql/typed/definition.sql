-- The definition that a job works on, its pending predicate, and where its source is.
SELECT d.id,
       n.nspname AS schema,
       c.relname AS "table",
       c.relkind OPERATOR(pg_catalog.=) 'p' AS is_partitioned,
       d.name,
       d.model,
       rowvec._qualified(d.input) AS input,
       d.modality,
       rowvec._qualified(d.filter) AS filter,
       d.destination,
       d.dimensions,
       d.kwargs,
       rowvec._document_kwargs(d.kwargs, d.on_truncate) AS document_kwargs,
       d.on_truncate,
       d.chunk,
       chunks_namespace.nspname AS chunks_schema,
       chunks.relname AS chunks_table,
       d.metric,
       d.version,
       d.paused,
       rowvec._pending(d.id) AS pending,
       rowvec._kept(d.id) AS kept,
       rowvec._key_json(d.source) AS key_json
FROM rowvec._definition(%(source)s::pg_catalog.regclass, %(embedding)s::pg_catalog.text) AS d
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.source
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_class AS chunks
    ON chunks.oid OPERATOR(pg_catalog.=) rowvec._derived(d.id, 'chunks')
LEFT JOIN pg_catalog.pg_namespace AS chunks_namespace
    ON chunks_namespace.oid OPERATOR(pg_catalog.=) chunks.relnamespace;
