-- The rows of a source that were too long for the model, embedding by embedding.
SELECT e.name AS embedding, t.key, t.tokens, t.max_tokens, t.lost
FROM rowvec.embedding AS e
CROSS JOIN LATERAL rowvec.truncated(e.source, e.name) AS t
WHERE e.source OPERATOR(pg_catalog.=) %(source)s::pg_catalog.regclass
ORDER BY e.id, t.tokens DESC, t.key;
