-- A table and its partitions at every level, the top first; a table without any is its own leaf.
SELECT n.nspname AS schema,
       c.relname AS "table",
       pn.nspname AS parent_schema,
       p.relname AS parent_table,
       coalesce(t.isleaf, true) AS is_leaf
FROM (SELECT format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass AS top) AS s
LEFT JOIN pg_partition_tree(s.top) AS t ON true
JOIN pg_class AS c ON c.oid = coalesce(t.relid, s.top)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS p ON p.oid = t.parentrelid AND t.level > 0
LEFT JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE c.relkind IN ('r', 'm', 'p')
ORDER BY t.level, 1, 2;
