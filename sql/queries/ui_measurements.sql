-- What was measured of an embedding's index, from the fastest setting on, and whether `search` uses it.
SELECT e.setting_name, m.setting, m.rescore, m.recall, m.p50_ms, m.p95_ms,
    m.setting = e.setting AND m.rescore IS NOT DISTINCT FROM e.rescore AS is_used
FROM rowvec.measurement AS m
JOIN rowvec.embedding AS e ON e.id = m.embedding_id
WHERE e.id = %(id)s
ORDER BY m.setting, m.rescore
