-- What was measured of an embedding's index, from the fastest setting on.
SELECT setting, rescore, recall, p50_ms, p95_ms
FROM rowvec.measurement
WHERE embedding_id = %(id)s
ORDER BY setting, rescore
