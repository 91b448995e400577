-- Whether an index of that name on that table is valid; no row where there is none.
SELECT i.indisvalid AND i.indisready, am.amname, c.reloptions, i.indclass[0]::bigint
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS am ON am.oid = c.relam
WHERE i.indrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
  AND c.relname = %(index)s;
