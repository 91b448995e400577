-- The tables that hold the rows of a source: itself, or the leaves of its partitions.
SELECT n.nspname, c.relname
FROM pg_partition_tree(format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass) AS t
JOIN pg_class AS c ON c.oid = t.relid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.isleaf
ORDER BY 1, 2;
