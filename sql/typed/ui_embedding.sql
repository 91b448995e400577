-- One definition, with the name of its table as SQL writes it, its columns, and how far it is filled.
SELECT e.*, e.source::pg_catalog.text AS table, counts.rows, counts.pending,
    ARRAY(
        SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid OPERATOR(pg_catalog.=) e.source AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    ) AS columns
FROM rowvec.embedding AS e
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) e.source
CROSS JOIN LATERAL rowvec._counts(e) AS counts
WHERE e.id OPERATOR(pg_catalog.=) %(id)s
