-- A load: the columns of a table with their types, and their places in its primary key.
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
    pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum)
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid OPERATOR(pg_catalog.=) a.attrelid AND i.indisprimary
WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s)
    AND a.attnum OPERATOR(pg_catalog.>) 0
    AND NOT a.attisdropped
    AND a.attgenerated OPERATOR(pg_catalog.=) ''
ORDER BY a.attnum;
