-- The tables that hold rows of a source, with their index on pending rows: the source first, then its partitions and
-- the tables that inherit from it. is_leaf tells a table of partitions, which has no rows itself, from others.
WITH RECURSIVE part AS (
    SELECT format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass::oid AS relation,
           NULL::oid AS parent,
           0 AS level
    UNION ALL
    SELECT h.inhrelid, h.inhparent, p.level + 1
    FROM part AS p JOIN pg_inherits AS h ON h.inhparent = p.relation
    WHERE NOT h.inhdetachpending
)
SELECT n.nspname AS schema,
       c.relname AS "table",
       c.relkind <> 'p' AS is_leaf,
       CASE WHEN c.relispartition THEN parent_namespace.nspname END AS parent_schema,
       CASE WHEN c.relispartition THEN parent.relname END AS parent_table,
       i.index,
       coalesce(i.is_valid, false) AS is_valid,
       coalesce(i.is_attached, false) AS is_attached
FROM part AS p
JOIN pg_class AS c ON c.oid = p.relation AND c.relkind IN ('r', 'p')
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS parent ON parent.oid = p.parent
LEFT JOIN pg_namespace AS parent_namespace ON parent_namespace.oid = parent.relnamespace
LEFT JOIN LATERAL (
    SELECT x.relname AS index, i.indisvalid AND i.indisready AS is_valid, x.relispartition AS is_attached
    FROM pg_index AS i
    JOIN pg_class AS x ON x.oid = i.indexrelid
    -- By what it is: a partition's may have any name. By its name, where what stands there is none of ours.
    WHERE i.indrelid = p.relation AND (
        strpos(pg_get_expr(i.indpred, i.indrelid), quote_ident(%(of)s) || ' IS DISTINCT FROM') > 0
        OR x.relname = %(name)s AND p.level = 0)
    ORDER BY x.relispartition DESC, i.indisvalid DESC
    LIMIT 1
) AS i ON true
ORDER BY p.level, 1, 2;
