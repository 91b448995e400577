-- About how many rows the indexes on pending rows had when they were built or vacuumed last.
SELECT coalesce(sum(c.reltuples), 0)::bigint
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid AND c.reltuples > 0
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = %(of)s
JOIN pg_depend AS d
  ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
WHERE pg_get_expr(i.indpred, i.indrelid) LIKE '%%IS DISTINCT FROM%%'
  AND i.indrelid IN (
      SELECT relid
      FROM pg_partition_tree(format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass)
      UNION ALL
      SELECT format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
  );
