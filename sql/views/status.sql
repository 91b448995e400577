-- Read by every member of rowvec_user, and by `rowvec status`: one row per embedding.
CREATE OR REPLACE VIEW rowvec.status AS
SELECT
    e.id,
    e.source,
    e.name AS embedding,
    e.model,
    e.dimensions,
    c.rows,
    c.pending,
    CASE WHEN pg_catalog.has_table_privilege(e.source, 'SELECT') THEN (
        SELECT pg_catalog.count(*) FROM rowvec.failure AS f
        WHERE f.embedding_id OPERATOR(pg_catalog.=) e.id
            AND (NOT pg_catalog.row_security_active(e.source::pg_catalog.oid) OR rowvec._sees(e.id, f.key))
    ) END AS failed,
    e.index_name AS index,
    e.index_kind,
    CASE WHEN e.setting_name OPERATOR(pg_catalog.=) 'probes' THEN e.setting END AS probes,
    e.recall,
    e.paused,
    e.created_at,
    CASE WHEN pg_catalog.has_table_privilege(e.source, 'SELECT') THEN (
        SELECT pg_catalog.count(*) FROM rowvec.truncation AS t
        WHERE t.embedding_id OPERATOR(pg_catalog.=) e.id
            AND (NOT pg_catalog.row_security_active(e.source::pg_catalog.oid) OR rowvec._sees(e.id, t.key))
    ) END AS truncated,
    rowvec._index_advice(e, c.rows OPERATOR(pg_catalog.-) coalesce(c.pending, 0)) AS index_advice,
    (rowvec._definition(e.source, NULL)).id OPERATOR(pg_catalog.=) e.id AS is_default
FROM rowvec.embedding AS e
CROSS JOIN LATERAL rowvec._counts(e) AS c;

COMMENT ON VIEW rowvec.status IS
'One row an embedding. rows is an estimate for large tables; pending has the failed rows in it; '
'counts are NULL where the caller may not read the table. '
'index_advice says why the index should be built anew. '
'is_default marks the embedding that is meant where none is named.';
