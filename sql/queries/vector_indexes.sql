-- Indexes over vectors of a table and its partitions, by name, with the state of each.
SELECT c.relname AS name,
       t.relname AS "table",
       am.amname AS kind,
       i.indisvalid AND i.indisready AS is_valid
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_am AS am ON am.oid = c.relam
WHERE am.amname = ANY(%(kinds)s::text[])
  AND (i.indrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
       OR i.indrelid IN (
           SELECT relid
           FROM pg_partition_tree(format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass)));
