-- Whether the index of that name on pending rows is whole, and as it has to be; no row where there is none.
SELECT i.indisvalid AND i.indisready
       AND obj_description(c.oid, 'pg_class') IS NOT DISTINCT FROM rowvec._pending_stamp(%(id)s) AS is_current
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
  AND c.relname = %(index)s;
