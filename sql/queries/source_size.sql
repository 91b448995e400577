-- Rows and bytes of a table as the statistics know them; rows are negative before the first ANALYZE.
SELECT sum(c.reltuples)::float8 AS rows, sum(pg_table_size(c.oid))::bigint AS bytes
FROM pg_class AS c
WHERE c.relkind = 'r'
  AND c.oid IN (
      SELECT relid
      FROM pg_partition_tree(format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass)
      UNION ALL
      SELECT format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
  );
