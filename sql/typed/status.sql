-- Every embedding, or those of one source: what there is, and how its jobs go. Counted once, by progress.
SELECT p.id,
       p.source,
       p.embedding,
       (rowvec._definition(e.source, NULL)).id OPERATOR(pg_catalog.=) e.id AS is_default,
       e.model,
       e.dimensions,
       p.rows,
       p.pending,
       p.failed,
       p.truncated,
       e.index_name AS index,
       e.index_kind,
       CASE WHEN e.setting_name OPERATOR(pg_catalog.=) 'probes' THEN e.setting END AS probes,
       e.recall,
       e.measured_at,
       rowvec._index_advice(e, p.rows OPERATOR(pg_catalog.-) coalesce(p.pending, 0)) AS index_advice,
       p.paused,
       e.created_at,
       p.done,
       p.workers,
       p.rows_per_second,
       p.eta,
       p.lag,
       p.last_error,
       p.last_error_at,
       p.unproven
FROM rowvec.progress AS p
JOIN rowvec.embedding AS e ON e.id OPERATOR(pg_catalog.=) p.id
WHERE %(source)s::pg_catalog.text IS NULL OR p.source OPERATOR(pg_catalog.=) %(source)s::pg_catalog.regclass
ORDER BY p.id;
