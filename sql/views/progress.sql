-- Read by every member of rowvec_user, and by `rowvec status`: the progress of filling each embedding.
CREATE OR REPLACE VIEW rowvec.progress AS
SELECT
    e.id,
    e.source,
    e.name AS embedding,
    c.rows,
    c.rows OPERATOR(pg_catalog.-) c.pending AS done,
    c.pending,
    d.failed,
    d.truncated,
    j.workers,
    j.rows_per_second,
    CASE
        WHEN c.pending OPERATOR(pg_catalog.<=) d.failed THEN interval '0'
        WHEN j.rows_per_second OPERATOR(pg_catalog.>) 0 THEN pg_catalog.make_interval(
            secs => ((c.pending OPERATOR(pg_catalog.-) d.failed)::pg_catalog.float8
                OPERATOR(pg_catalog./) j.rows_per_second))
    END AS eta,
    CASE
        WHEN j.syncs OPERATOR(pg_catalog.=) 0 THEN NULL
        WHEN c.pending OPERATOR(pg_catalog.<=) d.failed THEN interval '0'
        ELSE pg_catalog.now() OPERATOR(pg_catalog.-) j.caught_up_at
    END AS lag,
    l.last_error,
    l.last_error_at,
    e.paused
FROM rowvec.embedding AS e
CROSS JOIN LATERAL rowvec._counts(e) AS c
LEFT JOIN LATERAL (
    SELECT
        (SELECT pg_catalog.count(*) FROM rowvec.failure AS f
            WHERE f.embedding_id OPERATOR(pg_catalog.=) e.id
                AND (NOT pg_catalog.row_security_active(e.source::pg_catalog.oid)
                    OR rowvec._sees(e.id, f.key))) AS failed,
        (SELECT pg_catalog.count(*) FROM rowvec.truncation AS t
            WHERE t.embedding_id OPERATOR(pg_catalog.=) e.id
                AND (NOT pg_catalog.row_security_active(e.source::pg_catalog.oid)
                    OR rowvec._sees(e.id, t.key))) AS truncated
    WHERE pg_catalog.has_table_privilege(e.source, 'SELECT')
) AS d ON true
CROSS JOIN LATERAL (
    -- Of a job that was killed the last sign of life is left.
    SELECT
        pg_catalog.count(*) AS workers,
        pg_catalog.count(*) FILTER (WHERE b.kind OPERATOR(pg_catalog.=) 'sync') AS syncs,
        coalesce(pg_catalog.sum(b.rows_per_second), 0) AS rows_per_second,
        pg_catalog.max(b.caught_up_at) AS caught_up_at
    FROM rowvec.job AS b
    WHERE b.embedding_id OPERATOR(pg_catalog.=) e.id
        AND b.ended_at IS NULL
        AND b.heartbeat_at OPERATOR(pg_catalog.>)
            (pg_catalog.now() OPERATOR(pg_catalog.-) interval '15 seconds')
) AS j
LEFT JOIN LATERAL (
    SELECT b.last_error, b.last_error_at
    FROM rowvec.job AS b
    WHERE b.embedding_id OPERATOR(pg_catalog.=) e.id AND b.last_error IS NOT NULL
        AND pg_catalog.has_table_privilege(e.source, 'SELECT')
    ORDER BY b.last_error_at DESC
    LIMIT 1
) AS l ON true;

COMMENT ON VIEW rowvec.progress IS
'One row an embedding. rows_per_second is of the last minute, of all jobs that live; eta is NULL where '
'nothing moves, or where pending rows cannot be counted; lag is how long sync has not caught up for, '
'NULL where none runs.';
