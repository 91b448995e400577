-- Whether an index of that name on that table is valid, and what it is; no row where there is none.
SELECT i.indisvalid AND i.indisready AS is_valid,
       am.amname AS kind,
       c.reloptions AS options,
       oc.opcname AS opclass,
       EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid) AS is_attached
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS am ON am.oid = c.relam
JOIN pg_opclass AS oc ON oc.oid = i.indclass[0]
WHERE i.indrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
  AND c.relname = %(index)s;
